//! `cluster/failure-test`: a member fails as it is told, as tests of the reference have it, and
//! nothing that was acknowledged is lost by that.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::{
    Cluster, Kind, Options, Plan, Wiring, Workload, run, under_workload,
};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

const SIDE: Side = Side::Southbound;
const PATIENCE: Duration = Duration::from_secs(30);

fn under(test: impl FnOnce(&mut Cluster, &Workload) -> Result<()>) -> Result<()> {
    let options = Options::three(Kind::Ours, Wiring::Loopback);
    under_workload(&options, &Plan::default(), test)
}

fn leader(cluster: &Cluster) -> Result<usize> {
    cluster.wait_for_leader(SIDE, |_| true)
}

fn fail(cluster: &Cluster, node: usize, how: &str) -> Result<()> {
    let said = cluster
        .node(node)
        .control(SIDE, "cluster/failure-test", &[how])?;
    let expected = if how == "clear" {
        "test dismissed"
    } else {
        "test engaged"
    };
    ensure!(said.trim_end() == expected, "{how}: {said}");
    Ok(())
}

fn wait_for_role(cluster: &Cluster, node: usize, role: &str) -> Result<()> {
    wait_for(role, PATIENCE, || {
        let status = cluster.status(node, SIDE)?;
        Ok((status.role == role).then_some(()))
    })
}

/// The crash at a snapshot is in `cluster_far_behind`, where there is one.
#[test]
fn members_crash_where_they_are_told_to() -> Result<()> {
    under(|cluster, workload| {
        for (how, leads) in [
            ("crash-before-sending-append-request", true),
            ("crash-after-sending-append-request", true),
            ("crash-before-sending-execute-command-reply", true),
            ("crash-after-sending-execute-command-reply", true),
            ("crash-before-sending-execute-command-request", false),
            ("crash-after-sending-execute-command-request", false),
            ("crash-after-receiving-append-request-update", false),
        ] {
            let leader = leader(cluster)?;
            let victim = if leads { leader } else { (leader + 1) % 3 };
            let socket = cluster.node(victim).socket(SIDE);
            fail(cluster, victim, how)?;
            let ended = wait_for("the process's end", PATIENCE, || {
                Ok(cluster.node_mut(victim).check_alive().err())
            });
            let ended = ended.with_context(|| how.to_owned())?;
            ensure!(
                format!("{ended}").contains("exit status: 1"),
                "{how}: {ended}"
            );
            ensure!(!socket.exists(), "{how}: its socket's file is left");
            cluster.node_mut(victim).kill9()?;
            workload.wait_until_all_write(cluster, &[])?;
            cluster.start(victim)?;
            cluster.wait_until_whole().with_context(|| how.to_owned())?;
        }
        Ok(())
    })
}

/// A server joins also where the leader hands over in the middle of adding it.
#[test]
fn a_server_joins_though_the_leader_hands_over() -> Result<()> {
    let options = Options {
        spare: 1,
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    under_workload(&options, &Plan::default(), |cluster, _| {
        let before = leader(cluster)?;
        fail(cluster, before, "transfer-leadership-after-starting-to-add")?;
        let spare = cluster.add_node()?;
        cluster.start_as(spare, Kind::Ours)?;
        cluster.wait_for_leader(SIDE, |node| node != before)?;
        cluster.wait_for_servers(4)?;
        cluster.wait_until_whole()
    })
}

/// Whether it is acknowledged does not matter.
fn insert(cluster: &Cluster, node: usize, name: &str) -> Result<()> {
    let insert = json!({"op": "insert", "table": "Availability_Zone", "row": {"name": name}});
    let mut client = Client::unix(&cluster.node(node).socket(SIDE))?;
    let _ = client.transact(SIDE.database(), &[insert]);
    Ok(())
}

fn terms(cluster: &Cluster) -> Result<Vec<u64>> {
    let all = (0..3).map(|node| Ok(cluster.status(node, SIDE)?.term));
    all.collect()
}

/// Without writers, as who has most of the log is elected.
#[test]
fn members_fall_silent_and_delay_and_hand_over() -> Result<()> {
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        let first = leader(cluster)?;
        let [second, third] = [(first + 1) % 3, (first + 2) % 3];
        let before = terms(cluster)?;
        // One that hears and says nothing disturbs nobody.
        fail(cluster, second, "stop-raft-rpc")?;
        wait_for_role(cluster, second, "candidate")?;
        fail(cluster, second, "clear")?;
        wait_for_role(cluster, second, "follower")?;
        fail(cluster, second, "force-election")?;
        insert(cluster, second, "z")?;
        cluster.wait_until_whole()?;
        ensure!(terms(cluster)? == before, "an election");
        // The one that waits longer is not the next leader.
        fail(cluster, second, "delay-election")?;
        cluster.wait_until_even()?;
        cluster.node_mut(first).kill9()?;
        let next = cluster.wait_for_leader(SIDE, |node| node != first)?;
        ensure!(next == third, "node {next} leads");
        cluster.start(first)?;
        cluster.wait_until_whole()?;
        // Nor is the one that asks nobody.
        fail(cluster, second, "dont-send-vote-request")?;
        cluster.wait_until_even()?;
        cluster.node_mut(third).kill9()?;
        let next = cluster.wait_for_leader(SIDE, |node| node != third)?;
        ensure!(next == first, "node {next} leads");
        cluster.start(third)?;
        fail(cluster, second, "clear")?;
        cluster.wait_until_whole()?;
        for how in [
            "transfer-leadership-after-sending-append-request",
            "transfer-leadership",
        ] {
            let before = leader(cluster)?;
            fail(cluster, before, how)?;
            insert(cluster, before, how)?;
            cluster.wait_for_leader(SIDE, |node| node != before)?;
            cluster.wait_until_whole()?;
        }
        let node = cluster.node(first);
        let wrong = node.control(SIDE, "cluster/failure-test", &["explode"]);
        let wrong = wrong.expect_err("an unknown one").to_string();
        ensure!(wrong.contains("unknown test scenario"), "{wrong}");
        Ok(())
    })
}

/// What a leader does about its members and settings is seen while it cannot be committed.
#[test]
fn changes_are_shown_while_they_go_on() -> Result<()> {
    let options = Options {
        spare: 1,
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        let database = SIDE.database();
        let leader = leader(cluster)?;
        let followers = [(leader + 1) % 3, (leader + 2) % 3];
        let said = |cluster: &Cluster| {
            cluster
                .node(leader)
                .control(SIDE, "cluster/status", &[database])
        };
        let wait = |cluster: &Cluster, what: &str| {
            let mut last = String::new();
            let seen = wait_for(what, PATIENCE, || {
                last = said(cluster)?;
                Ok(last.contains(what).then_some(()))
            });
            seen.context(last)
        };
        for follower in followers {
            cluster.node_mut(follower).freeze()?;
        }
        let control = cluster.node(leader);
        control.control(SIDE, "cluster/change-election-timer", &[database, "1500"])?;
        wait(cluster, "Election timer: 1000 (changing to 1500)")?;
        for follower in followers {
            cluster.node_mut(follower).thaw()?;
        }
        wait(cluster, "Election timer: 1500\n")?;
        cluster.wait_until_whole()?;

        let leader_now = cluster.wait_for_leader(SIDE, |_| true)?;
        ensure!(leader_now == leader, "node {leader_now} leads");
        let spare = cluster.add_node()?;
        for follower in followers {
            cluster.node_mut(follower).freeze()?;
        }
        cluster.start_as(spare, Kind::Ours)?;
        wait(cluster, "(adding: committing)")?;
        for follower in followers {
            cluster.node_mut(follower).thaw()?;
        }
        cluster.wait_for_servers(4)?;
        cluster.wait_until_whole()?;
        ensure!(!said(cluster)?.contains("adding"), "{}", said(cluster)?);

        let id = cluster.status(spare, SIDE)?.server_id;
        for frozen in [followers[0], followers[1], spare] {
            cluster.node_mut(frozen).freeze()?;
        }
        cluster
            .node(leader)
            .control(SIDE, "cluster/kick", &[database, &id])?;
        wait(cluster, "Removing server ")?;
        for frozen in [followers[0], followers[1], spare] {
            cluster.node_mut(frozen).thaw()?;
        }
        wait_for("three servers for good", PATIENCE, || {
            let three = cluster.status(leader, SIDE)?.servers.len() == 3;
            Ok((three && !said(cluster)?.contains("Removing")).then_some(()))
        })
    })
}

/// What the reference takes and refuses, and in which words, and that little is enough.
#[test]
fn little_may_wait_for_a_connection() -> Result<()> {
    let kind = Kind::under_test()?;
    let options = Options::three(kind, Wiring::Loopback);
    under_workload(&options, &Plan::default(), |cluster, workload| {
        let database = SIDE.database();
        let set = |cluster: &Cluster, node: usize, arguments: [&str; 2]| {
            let arguments = [&[database][..], &arguments].concat();
            let control = cluster.node(node);
            control.control(SIDE, "cluster/set-backlog-threshold", &arguments)
        };
        for (arguments, words) in [
            (["49", "1000"], "values out of range"),
            (["x", "1000"], "invalid argument"),
            (["50", "1k"], "invalid argument"),
        ] {
            let refused = set(cluster, 0, arguments).expect_err(words).to_string();
            ensure!(refused.contains(words), "{refused}");
        }
        for node in 0..3 {
            set(cluster, node, ["50", "100000"])?;
        }
        workload.wait_until_all_write(cluster, &[])?;
        // A frozen follower fills what may wait.
        let follower = (leader(cluster)? + 1) % 3;
        cluster.node_mut(follower).freeze()?;
        workload.wait_for_progress(300)?;
        cluster.node_mut(follower).thaw()?;
        cluster.wait_until_whole()
    })
}
