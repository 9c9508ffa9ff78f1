//! Members in every state that they can be brought into.

use std::collections::BTreeMap;

use ovsdb_cluster::entry::{ServerId, Servers};
use ovsdb_cluster::operator::rules;
use ovsdb_cluster::status::*;
use ovsdb_cluster::wire::Body;
use ovsdb_cluster::wire::message::AddServerRequest;
use ovsdb_cluster::wire::stream::Settings;

use super::cluster::{Cluster, IPS};
use super::reference::{Reference, wait_for};
use super::support::{Node, free, id, local};

#[test]
fn members_of_a_cluster() {
    let cluster = Cluster::start(&IPS);
    let leader = cluster.members.leader();
    cluster.members.insert(1, "one");
    cluster.settle();
    let status = cluster.status(leader);
    assert_eq!(status.standing, Standing::Member);
    assert_eq!(status.leader, Some(status.server_id));
    assert!(
        status
            .servers
            .iter()
            .all(|server| server.progress.is_some())
    );
    assert_eq!((status.uncommitted(), status.unapplied()), (0, 0));
    let follower = cluster.status((leader + 1) % 3);
    assert_eq!(follower.role, Role::Follower);
    assert_eq!(follower.leader, Some(status.server_id));
}

#[test]
fn leadership_is_handed_over() {
    let cluster = Cluster::start(&IPS);
    let leader = cluster.members.leader();
    let test = ["cluster/failure-test", "transfer-leadership"];
    cluster.members.control(leader, &test).expect("engaged");
    let another = wait_for("another leader", || {
        (0..3).find(|member| *member != leader && cluster.members.role(*member) == "leader")
    });
    let election = cluster.status(another).election.expect("an election");
    assert_eq!(election.reason, ElectionReason::LeadershipTransfer);
    assert!(election.won.is_some());
    cluster.wait("a vote for it", leader, |status| {
        status.leader == Some(cluster.status(another).server_id)
    });
}

#[test]
fn without_a_majority() {
    let mut cluster = Cluster::start(&IPS);
    let leader = cluster.members.leader();
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.members.kill(leader);
    cluster.members.kill(others[0]);
    let last = others[1];
    let candidate = cluster.wait("a candidate", last, |status| status.role == Role::Candidate);
    assert_eq!(candidate.leader, None);
    let own = candidate
        .servers
        .iter()
        .find(|s| s.id == candidate.server_id);
    assert_eq!(own.expect("itself").vote, Some(candidate.server_id));
    assert!(!candidate.connections.iter().any(|way| way.connected));
    cluster.wait("a lost election", last, |status| {
        status.standing == Standing::Disconnected && status.term > candidate.term
    });
    let other = cluster.members.id(last, "cluster/sid");
    let other = cluster
        .ids
        .values()
        .find(|id| **id != other)
        .expect("another");
    let other = other.to_string();
    assert_eq!(
        cluster.says(last, &["cluster/kick", "Parts", &other]),
        "failed to send removal request"
    );
    cluster
        .members
        .control(last, &["cluster/leave", "Parts"])
        .expect("begun");
    let leaving = cluster.wait("its leave", last, |s| s.standing == Standing::Leaving);
    let again = cluster.says(last, &["cluster/leave", "Parts"]);
    assert_eq!(
        rules::leave(&leaving).expect_err("refused").to_string(),
        again
    );
}

#[test]
fn entries_and_removals_that_wait() {
    let cluster = Cluster::start(&IPS);
    let leader = cluster.members.leader();
    // Long enough to look at a leader that nobody answers.
    for timer in ["2000", "4000", "8000", "16000", "32000"] {
        let command = ["cluster/change-election-timer", "Parts", timer];
        cluster.members.control(leader, &command).expect("changed");
        cluster.wait("the new timer", leader, |status| {
            status.election_timer.to_string() == timer && status.uncommitted() == 0
        });
    }
    cluster.settle();
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    let victims = followers.map(|member| cluster.members.id(member, "cluster/sid"));
    let victims = victims.map(|id| id.to_string());
    for member in followers {
        cluster.members.signal(member, "STOP");
    }
    let timer = ["cluster/change-election-timer", "Parts", "5000"];
    assert_eq!(
        cluster.says(leader, &timer),
        "change of election timer initiated."
    );
    let waiting = cluster.wait("an entry that waits", leader, |status| {
        status.uncommitted() > 0
    });
    assert_eq!(waiting.next_election_timer, Some(5000));
    let refused = rules::election_timer(&waiting, "5000").expect_err("refused");
    assert_eq!(refused.to_string(), cluster.says(leader, &timer));

    // The first removal is under way, the second waits for that.
    for victim in &victims {
        let kick = ["cluster/kick", "Parts", &victim[..6]];
        assert_eq!(cluster.says(leader, &kick), "started removal");
    }
    let removing = cluster.wait("a removal that waits", leader, |status| {
        let mut phases = status.servers.iter().map(|server| server.phase);
        phases.any(|phase| phase == Phase::Removing)
    });
    let changes = removing.changes.iter().map(|server| server.phase);
    assert_eq!(changes.collect::<Vec<_>>(), [Phase::Removing]);
    for victim in &victims {
        let kick = ["cluster/kick", "Parts", &victim[..6]];
        let refused = rules::kick(&removing, &victim[..6]).expect_err("refused");
        assert_eq!(refused.to_string(), cluster.says(leader, &kick));
    }
}

#[test]
fn a_server_that_joins_nobody() {
    let mut members = Reference::start(&["127.0.0.1"]);
    let (joiner, nowhere) = (free("127.0.0.1"), free("::1"));
    let joiner = members.join(joiner, &[members.addresses[0], nowhere]);
    let mut cluster = Cluster {
        ids: BTreeMap::new(),
        members,
    };
    cluster.members.signal(0, "STOP");
    cluster.members.start_member(joiner);
    let status = cluster.wait("a joiner", joiner, |status| {
        status.standing == Standing::Joining
    });
    assert_eq!((status.cluster_id, status.remotes.len()), (None, 2));
    assert_eq!(
        cluster.says(joiner, &["cluster/cid", "Parts"]),
        "cluster id not yet known"
    );
    assert_eq!(
        rules::leave(&status).expect_err("refused").to_string(),
        cluster.says(joiner, &["cluster/leave", "Parts"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_being_added() {
    let mut cluster = Cluster::start(&["127.0.0.1"]);
    let address = free("127.0.0.1");
    let mut own = local(4, address);
    own.db = "Parts".to_owned();
    own.cluster = Some(cluster.members.id(0, "cluster/cid"));
    cluster.ids.insert(short_id(id(4)), id(4));
    let leader: ServerId = *cluster.ids.values().find(|one| **one != id(4)).expect("it");
    let at = format!("tcp:{}", cluster.members.addresses[0]);
    let joiner = Node::start(
        own,
        address,
        &Servers::from([(leader, at)]),
        Settings::default(),
    );
    let request = Body::AddServerRequest(AddServerRequest {
        address: format!("tcp:{address}"),
    });
    let status = tokio::task::block_in_place(|| {
        // It never answers what it gets.
        wait_for("the request's way", || {
            joiner.peers.send(leader, &request, None).ok()
        });
        cluster.wait("a server that is added", 0, |status| {
            !status.changes.is_empty()
        })
    });
    assert_eq!(status.changes[0].phase, Phase::CatchingUp);
}
