//! Nodes of a cluster are killed, stopped and frozen while clients write and
//! watch: nothing that was acknowledged is lost or done twice, and writes go
//! on whenever a majority works.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::status::announced;
use ovn_ic_db_tests::cluster::{
    Cluster, Kind, Options, Plan, Wiring, Workload, run, under_workload,
};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

/// From the start of a server to its first answers.
const ANSWERS: Duration = Duration::from_secs(10);
/// Longer than the election timer of 1 s and its random part of another one.
const LONGER_THAN_AN_ELECTION: Duration = Duration::from_millis(3500);

fn under(test: impl FnOnce(&mut Cluster, &Workload) -> Result<()>) -> Result<()> {
    let options = Options::three(Kind::under_test()?, Wiring::Loopback);
    under_workload(&options, &Plan::default(), test)
}

fn leader(cluster: &Cluster) -> Result<usize> {
    cluster.wait_for_leader(Side::Southbound, |_| true)
}

#[test]
fn kill_9_of_any_node_and_of_two_and_of_all() -> Result<()> {
    under(|cluster, workload| {
        // One leads, and two do not.
        for victim in 0..3 {
            cluster.node_mut(victim).kill9()?;
            workload.wait_until_all_write(cluster, &[])?;
            cluster.start(victim)?;
            cluster.wait_until_whole()?;
        }
        let first = leader(cluster)?;
        for victims in [vec![first, (first + 1) % 3], vec![0, 1, 2]] {
            for victim in &victims {
                cluster.node_mut(*victim).kill9()?;
            }
            for victim in &victims {
                cluster.start(*victim)?;
            }
            cluster.wait_until_whole()?;
            workload.wait_until_all_write(cluster, &[])?;
        }
        Ok(())
    })
}

#[test]
fn every_node_is_stopped_and_started_again() -> Result<()> {
    under(|cluster, workload| {
        for _ in 0..2 {
            let victim = leader(cluster)?;
            cluster.node_mut(victim).stop()?;
            workload.wait_until_all_write(cluster, &[])?;
            cluster.start(victim)?;
            cluster.wait_until_whole()?;
        }
        for victim in 0..3 {
            cluster.node_mut(victim).stop()?;
        }
        for victim in 0..3 {
            cluster.start(victim)?;
        }
        Ok(())
    })
}

#[test]
fn a_node_is_frozen_for_longer_than_the_election_timer() -> Result<()> {
    under(|cluster, workload| {
        let first = leader(cluster)?;
        for victim in [first, (first + 1) % 3] {
            cluster.node_mut(victim).freeze()?;
            let since = workload.now();
            workload.wait_until_all_write(cluster, &[])?;
            // What is tested is this duration.
            let rest = LONGER_THAN_AN_ELECTION.saturating_sub(workload.now() - since);
            std::thread::sleep(rest);
            cluster.node_mut(victim).thaw()?;
            cluster.wait_until_whole()?;
            workload.wait_until_all_write(cluster, &[])?;
        }
        Ok(())
    })
}

#[test]
fn all_nodes_are_frozen_and_go_on_one_after_the_other() -> Result<()> {
    under(|cluster, workload| {
        for victim in 0..3 {
            cluster.node_mut(victim).freeze()?;
        }
        std::thread::sleep(LONGER_THAN_AN_ELECTION);
        for victim in 0..2 {
            cluster.node_mut(victim).thaw()?;
        }
        workload.wait_until_all_write(cluster, &[])?;
        cluster.node_mut(2).thaw()
    })
}

/// Its system takes connections for those that it cannot talk to.
#[test]
fn a_newcomer_whose_peers_are_frozen_answers_and_says_for_whom_it_waits() -> Result<()> {
    let options = Options {
        spare: 1,
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        let spare = cluster.add_node()?;
        for peer in 0..3 {
            cluster.node_mut(peer).freeze()?;
        }
        cluster.start_as(spare, Kind::Ours)?;
        for side in Side::BOTH {
            wait_for("an answer while it joins", ANSWERS, || {
                // It may not listen yet.
                let status = cluster.status(spare, side).ok();
                Ok(status.filter(|status| status.status == "joining cluster"))
            })?;
            let told = announced(&cluster.node(spare).socket(side), side)?;
            ensure!(!told.connected && !told.leader, "{told:?}");
            wait_for("for whom it waits", ANSWERS, || {
                let said = cluster.troubles(spare, side)?.join("; ");
                Ok(said.contains("waits for").then_some(()))
            })?;
        }
        for peer in 0..3 {
            cluster.node_mut(peer).thaw()?;
        }
        cluster.wait_for_servers(4)?;
        cluster.wait_until_whole()
    })
}

/// Debian's `ovsdb-server` may leave a file that it cannot read again, so with
/// the reference only the others' work is tested.
#[test]
fn the_disk_of_a_follower_is_full_and_then_the_leaders() -> Result<()> {
    under(|cluster, workload| {
        let follower = (leader(cluster)? + 1) % 3;
        let size = |cluster: &Cluster| cluster.node(follower).file(Side::Southbound).metadata();
        let before = size(cluster)?.len();
        cluster.node(follower).fill_disk()?;
        workload.wait_until_all_write(cluster, &[follower])?;
        workload.wait_for_progress(100)?;
        ensure!(size(cluster)?.len() <= before, "a file beyond its limit");
        if Kind::under_test()? == Kind::Reference {
            cluster.node_mut(follower).kill9()?;
            return cluster.node_mut(follower).lose_disk();
        }
        cluster.node(follower).free_disk()?;
        cluster.wait_until_whole()?;
        let full = leader(cluster)?;
        cluster.node(full).fill_disk()?;
        workload.wait_until_all_write(cluster, &[full])?;
        cluster.node(full).free_disk()
    })
}

/// The checker is shown a loss: a row is taken away behind its back.
#[test]
fn a_planted_loss_is_found() -> Result<()> {
    let options = Options::three(Kind::under_test()?, Wiring::Loopback);
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &Plan::default())?;
        workload.wait_until_all_write(cluster, &[])?;
        let socket = cluster.node(leader(cluster)?).socket(Side::Southbound);
        let delete = json!({"op": "delete", "table": "Availability_Zone",
            "where": [["name", "==", "row-raw0-1"]]});
        let results = Client::unix(&socket)?.transact("OVN_IC_Southbound", &[delete])?;
        ensure!(results[0]["count"] == 1, "{results:?}");
        workload.wait_until_all_write(cluster, &[])?;
        let Err(error) = workload.finish(cluster) else {
            bail!("the loss of a row was not found");
        };
        let found = format!("{error:#}");
        for text in ["row-raw0-1 is there 0 times", "never committed"] {
            ensure!(found.contains(text), "{found}");
        }
        Ok(())
    })
}
