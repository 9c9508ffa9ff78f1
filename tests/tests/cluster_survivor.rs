//! A new cluster of what the only survivor of an old one has.

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::contents::converged;
use ovn_ic_db_tests::cluster::status::announced;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::process::{Program, executable, wait_for};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

const SURVIVOR: usize = 0;
const WIPED: [usize; 2] = [1, 2];

fn found_from(cluster: &Cluster, arguments: &[&str]) -> Result<Output> {
    let folder = cluster.node(SURVIVOR).folder().join("etc");
    let output = Command::new(executable(Program::Ours)?)
        .args(["cluster", "found-from", "--db-dir"])
        .arg(folder)
        .args(arguments)
        .output()?;
    Ok(output)
}

fn index(cluster: &Cluster, node: usize, side: Side) -> Result<i64> {
    let told = announced(&cluster.node(node).socket(side), side)?;
    told.index.context("an index")
}

#[test]
fn two_of_three_are_wiped_and_the_third_ones_copy_is_enough() -> Result<()> {
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        for side in Side::BOTH {
            let leader = cluster.wait_for_leader(side, |_| true)?;
            let mut client = Client::unix(&cluster.node(leader).socket(side))?;
            let table = match side {
                Side::Northbound => "Transit_Switch",
                Side::Southbound => "Availability_Zone",
            };
            for number in 0..20 {
                let row = json!({"name": format!("n{number}")});
                let insert = json!({"op": "insert", "table": table, "row": row});
                client.transact(side.database(), &[insert])?;
            }
        }
        cluster.wait_until_even()?;
        let before = [
            converged(cluster, Side::Northbound)?,
            converged(cluster, Side::Southbound)?,
        ];
        let indexes = Side::BOTH.map(|side| index(cluster, SURVIVOR, side));

        for node in WIPED {
            cluster.node_mut(node).kill9()?;
            cluster.node_mut(node).lose_disk()?;
        }
        // A server that runs keeps its files.
        let refused = found_from(cluster, &["--yes"])?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(refused.status.code() == Some(1), "{said}");
        ensure!(said.contains("is locked by process"), "{said}");
        // Before the others are back: it would begin to let them into the old cluster.
        cluster.node_mut(SURVIVOR).kill9()?;
        for node in WIPED {
            cluster.start(node)?;
        }
        let unsure = found_from(cluster, &[])?;
        ensure!(unsure.status.code() == Some(2), "{unsure:?}");
        // Nobody has founded anything meanwhile.
        for node in WIPED {
            for side in Side::BOTH {
                // Its control socket knows the command a moment after it is there.
                let patience = Duration::from_secs(30);
                let status =
                    wait_for("a status", patience, || Ok(cluster.status(node, side).ok()))?;
                ensure!(status.role != "leader", "node {node}: {status:?}");
            }
        }

        let done = found_from(cluster, &["--yes"])?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(done.status.success(), "{said}{done:?}");
        ensure!(
            said.matches("the old file is kept as").count() == 2,
            "{said}"
        );
        ensure!(said.matches("tcp:").count() >= 6, "{said}");
        cluster.start(SURVIVOR)?;
        cluster.wait_until_whole()?;
        cluster.wait_for_servers(3)?;
        for (side, before) in Side::BOTH.into_iter().zip(&before) {
            let after = converged(cluster, side)?;
            ensure!(after == *before, "{}: {after:?}", side.database());
        }
        // Clients go away from a server whose log ends before what they have seen.
        for (side, old) in Side::BOTH.into_iter().zip(indexes) {
            let new = index(cluster, SURVIVOR, side)?;
            ensure!(
                new > old.as_ref().copied().unwrap_or(i64::MAX),
                "{old:?} {new}"
            );
        }
        Ok(())
    })
}
