//! The labels of three pods, of which one is the leader's, wherever that goes.

use anyhow::{Result, ensure};
use ovn_ic_db_tests::cluster::harness::PATIENCE;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Variables, Wiring, run};
use ovn_ic_db_tests::kubernetes::ApiServer;
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

fn pod(node: usize) -> String {
    format!("ovn-ic-server-{node}")
}

/// Waits until among the working nodes' pods the leaders' say so, and no others.
fn wait_for_labels(cluster: &Cluster, api: &ApiServer) -> Result<()> {
    let mut last = String::new();
    let waited = wait_for("labels that say who leads", PATIENCE, || {
        let leaders = Side::BOTH.map(|side| cluster.leader(side));
        let right = cluster.working().into_iter().all(|node| {
            let wanted = leaders.map(|leader| leader.map(|leader| leader == node));
            api.leads(&pod(node)) == wanted
        });
        let said: Vec<_> = (0..3).map(|node| api.leads(&pod(node))).collect();
        last = format!("leaders {leaders:?}, labels {said:?}");
        Ok(right.then_some(()))
    });
    waited.map_err(|error| error.context(last))
}

#[test]
fn labels_go_where_the_leadership_goes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let api = ApiServer::start(&folder.path().join("account"))?;
    let variables = (0..3).map(|node| {
        api.add_pod(&pod(node));
        api.variables(&pod(node))
    });
    let variables: Vec<_> = variables.collect();
    let options = Options {
        variables: Variables::new(move |node, _| variables[node.number()].clone()),
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        wait_for_labels(cluster, &api)?;
        for side in Side::BOTH {
            let leader = cluster.wait_for_leader(side, |_| true)?;
            cluster.node_mut(leader).kill9()?;
            cluster.wait_for_leader(side, |node| node != leader)?;
            wait_for_labels(cluster, &api)?;
            // A pod whose container was killed keeps its labels until that is started again.
            cluster.start(leader)?;
            cluster.wait_until_whole()?;
            wait_for_labels(cluster, &api)?;
        }
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        cluster.node_mut(leader).stop()?;
        let after = api.leads(&pod(leader));
        ensure!(
            after == [Some(false); 2],
            "after a graceful stop: {after:?}"
        );
        cluster.wait_for_leader(Side::Southbound, |node| node != leader)?;
        wait_for_labels(cluster, &api)?;
        cluster.start(leader)?;
        cluster.wait_until_whole()?;
        wait_for_labels(cluster, &api)?;
        ensure!(api.complaints().is_empty(), "{:?}", api.complaints());
        Ok(())
    })
}
