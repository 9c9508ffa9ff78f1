//! What members say of themselves.

use ovsdb_cluster::operator::Member as _;
use ovsdb_cluster::status::{MemberStatus, Role, Standing};

use super::support::{Cluster, wait_for};

fn status(cluster: &Cluster, n: usize) -> MemberStatus {
    cluster.member(n).clustered().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_say_how_they_are() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    cluster.member(leader).insert(1).await;
    let leads = status(&cluster, leader);
    assert_eq!(
        (leads.standing, leads.role),
        (Standing::Member, Role::Leader)
    );
    assert_eq!(leads.leader, Some(leads.server_id));
    for n in 0..3 {
        wait_for("all of the log and both ways to all", || {
            let status = status(&cluster, n);
            let ways = status.connections.iter().filter(|way| way.connected);
            status.log.end == leads.log.end && status.unapplied() == 0 && ways.count() == 4
        })
        .await;
        let status = status(&cluster, n);
        assert_eq!(status.leader, Some(leads.server_id));
        assert_eq!(status.servers.len(), 3);
        let text = status.to_string();
        assert!(text.contains("Status: cluster member\n"), "{text}");
    }
    let progress = || {
        let servers = status(&cluster, leader).servers;
        servers.iter().all(|server| {
            let matched = server.progress.map(|progress| progress.matched);
            matched == Some(leads.log.end - 1)
        })
    };
    wait_for("the leader hears that all have all", progress).await;

    // The last one of three knows after a while that it is alone.
    let last = (leader + 1) % 3;
    for n in [leader, (leader + 2) % 3] {
        cluster.stop(n).await;
    }
    wait_for("a member that is cut off", || {
        status(&cluster, last).standing == Standing::Disconnected
    })
    .await;
    let alone = status(&cluster, last);
    assert_eq!((alone.role, alone.leader), (Role::Candidate, None));
    assert_eq!(alone.connections.len(), 2, "{alone}");
    assert!(
        alone
            .connections
            .iter()
            .all(|way| way.dialled && !way.connected)
    );
    let text = alone.to_string();
    let said = "Status: disconnected from the cluster (election timeout)\nRole: candidate\n";
    assert!(text.contains(said), "{text}");
    cluster.restart(leader).await;
    wait_for("a leader again", || status(&cluster, last).leader.is_some()).await;
    assert_eq!(status(&cluster, last).standing, Standing::Member);
    cluster.stop_all().await;
}
