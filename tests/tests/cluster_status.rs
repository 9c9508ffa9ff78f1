//! `ovn-ic-db status` on a cluster with servers of both kinds, some of which are gone.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::process::{Program, executable, wait_for};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::Value;

/// What the command says of the northbound, and its exit code.
fn status(cluster: &Cluster) -> Result<(Value, Option<i32>)> {
    let [nb, sb] = Side::BOTH.map(|side| cluster.remotes(side));
    let output = Command::new(executable(Program::Ours)?)
        .args(["status", "--format=json", "--timeout=1"])
        .args(["--nb", &nb, "--sb", &sb])
        .output()?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((said[0].clone(), output.status.code()))
}

#[test]
fn a_cluster_of_both_kinds_of_which_servers_go() -> Result<()> {
    let options = Options {
        kinds: vec![Kind::Ours, Kind::Reference, Kind::Ours],
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        let (said, code) = status(cluster)?;
        ensure!(code == Some(0), "{said}");
        let answers = &said["answers"];
        let member = &answers[0]["report"]["member"];
        let server = &answers[1]["server"];
        ensure!(member["cluster_id"] == server["cluster_id"], "{said}");
        ensure!(
            member["standing"] == "member" && server["connected"] == true,
            "{said}"
        );
        let ids = member["servers"].as_array().context("servers")?;
        for id in [&member["server_id"], &server["server_id"]] {
            ensure!(ids.iter().any(|known| known["id"] == *id), "{said}");
        }
        let leads = answers.as_array().context("answers")?.iter();
        let leads = leads.filter(|answer| {
            let role = &answer["report"]["member"]["role"];
            role == "leader" || answer["server"]["leader"] == true
        });
        ensure!(leads.count() == 1, "{said}");

        // One is gone, and the two others lead and follow.
        cluster.node_mut(2).kill9()?;
        cluster.wait_for_leader(Side::Northbound, |leader| leader != 2)?;
        cluster.wait_for_leader(Side::Southbound, |leader| leader != 2)?;
        let patience = Duration::from_secs(30);
        let served = wait_for("a leader that is known", patience, || {
            let (said, code) = status(cluster)?;
            Ok((code == Some(0)).then_some(said))
        })?;
        ensure!(
            served["answers"][2]["error"] == "Connection refused",
            "{served}"
        );

        // One takes connections and says nothing; the last one is alone, and knows it.
        cluster.node_mut(1).freeze()?;
        let alone = wait_for("a member that is cut off", patience, || {
            let (said, code) = status(cluster)?;
            Ok((code == Some(1) && said["served"] == false).then_some(said))
        })?;
        ensure!(
            alone["answers"][1]["error"] == "no answer within 1 s",
            "{alone}"
        );
        let member = &alone["answers"][0]["report"]["member"];
        ensure!(member["standing"] == "disconnected", "{alone}");
        ensure!(member["leader"].is_null(), "{alone}");

        cluster.node_mut(1).thaw()?;
        cluster.start(2)?;
        cluster.wait_until_whole()
    })
}
