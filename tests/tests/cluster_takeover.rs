//! Members of the old deployment are replaced by ours one at a time, and ours
//! by them again, while clients write and watch.

use anyhow::{Context, Result, bail};
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Plan, Wiring, Workload, run};
use ovn_ic_db_tests::world::interconnect::Side;

/// How often the leader is stopped until the node that is wanted leads.
const ATTEMPTS: usize = 30;

/// Makes a node lead the southbound: whoever else does hands over by a stop, while nobody else can
/// take over.
fn lead(cluster: &mut Cluster, node: usize) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        if leader == node {
            return Ok(());
        }
        let mut others = (0..cluster.size()).filter(|other| ![node, leader].contains(other));
        let third = others.next().context("a third node")?;
        cluster.node_mut(third).stop()?;
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        if leader != node {
            cluster.node_mut(leader).stop()?;
            cluster.start(leader)?;
        }
        cluster.start(third)?;
        cluster.wait_until_whole()?;
    }
    bail!("node {node} does not become the leader")
}

/// Replaces every node, each by its own files, and lets each lead in turn.
fn replace(cluster: &mut Cluster, workload: &Workload, by: Kind) -> Result<()> {
    for node in 0..cluster.size() {
        // A leader is replaced as well as a follower.
        if node == 1 {
            lead(cluster, node)?;
        }
        cluster.node_mut(node).stop()?;
        workload.wait_until_all_write(cluster, &[])?;
        cluster.start_as(node, by)?;
        cluster.wait_until_whole()?;
        lead(cluster, node)?;
        workload.wait_until_all_write(cluster, &[])?;
        // The others lead and follow beside the new one, too.
        let other = (node + 1) % cluster.size();
        lead(cluster, other)?;
        workload.wait_until_all_write(cluster, &[])?;
    }
    Ok(())
}

#[test]
fn three_nodes_are_taken_over_one_at_a_time_and_given_back() -> Result<()> {
    let ours = Kind::under_test()?;
    let options = Options::three(Kind::Reference, Wiring::Loopback);
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &Plan::default())?;
        let ids = |cluster: &Cluster| -> Result<Vec<String>> {
            let all = (0..cluster.size()).map(|node| cluster.status(node, Side::Southbound));
            all.map(|status| Ok(status?.server_id)).collect()
        };
        let before = ids(cluster)?;
        replace(cluster, &workload, ours)?;
        assert_eq!(ids(cluster)?, before);
        replace(cluster, &workload, Kind::Reference)?;
        assert_eq!(ids(cluster)?, before);
        let report = workload.finish(cluster)?;
        println!("{report}");
        Ok(())
    })
}

/// Killed in a mixed cluster: whatever one kind has acknowledged, the other
/// keeps.
#[test]
fn a_mixed_cluster_survives_kill_9() -> Result<()> {
    let ours = Kind::under_test()?;
    let options = Options {
        kinds: vec![Kind::Reference, ours, ours],
        ..Options::three(ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &Plan::default())?;
        workload.wait_until_all_write(cluster, &[])?;
        for leader in 0..cluster.size() {
            lead(cluster, leader)?;
            cluster.node_mut(leader).kill9()?;
            workload.wait_until_all_write(cluster, &[])?;
            cluster.start(leader)?;
            cluster.wait_until_whole()?;
        }
        let report = workload.finish(cluster)?;
        println!("{report}");
        Ok(())
    })
}
