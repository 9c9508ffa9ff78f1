//! Five nodes bear the loss of two.

use std::time::Duration;

use anyhow::{Result, ensure};
use ovn_ic_db_tests::cluster::status::announced;
use ovn_ic_db_tests::cluster::{Aim, Kind, Options, Plan, Wiring, under_workload};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

const SIDE: Side = Side::Southbound;
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn two_of_five_are_killed_the_leader_among_them() -> Result<()> {
    let kind = Kind::under_test()?;
    let options = Options {
        kinds: vec![kind; 5],
        ..Options::three(kind, Wiring::Loopback)
    };
    let members = (0..5).map(Aim::Member);
    let plan = Plan {
        writers: members.clone().chain([Aim::Leader, Aim::Any]).collect(),
        watchers: members.chain([Aim::Any]).collect(),
        ..Plan::default()
    };
    under_workload(&options, &plan, |cluster, workload| {
        cluster.wait_for_servers(5)?;
        for step in [1, 3] {
            let leader = cluster.wait_for_leader(SIDE, |_| true)?;
            let victims = [leader, (leader + step) % 5];
            for victim in victims {
                cluster.node_mut(victim).kill9()?;
            }
            workload.wait_until_all_write(cluster, &[])?;
            for victim in victims {
                cluster.start(victim)?;
            }
            cluster.wait_until_whole()?;
            workload.wait_until_all_write(cluster, &[])?;
        }
        // A third one is too many.
        for victim in 0..3 {
            cluster.node_mut(victim).freeze()?;
        }
        wait_for("members without a majority", PATIENCE, || {
            let told = [3, 4].map(|node| announced(&cluster.node(node).socket(SIDE), SIDE));
            let [one, other] = told;
            Ok((!one?.connected && !other?.connected).then_some(()))
        })?;
        for victim in 0..3 {
            cluster.node_mut(victim).thaw()?;
        }
        cluster.wait_until_whole()?;
        for node in 0..5 {
            let servers = cluster.status(node, SIDE)?.servers;
            ensure!(servers.len() == 5, "node {node}: {servers:?}");
        }
        Ok(())
    })
}
