//! `ovsdb-client convert` at any member, whoever leads.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::status::error_in;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Plan, Wiring, Workload, run};
use ovn_ic_db_tests::process::{require, wait_for};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::{Value, json};

const SIDE: Side = Side::Southbound;
const PATIENCE: Duration = Duration::from_secs(30);

fn schema(cluster: &Cluster, node: usize) -> Result<Value> {
    let mut client = Client::unix(&cluster.node(node).socket(SIDE))?;
    client.call("get_schema", json!([SIDE.database()]))
}

/// The schema with another column and another version; newer than any, so that nobody converts it
/// again.
fn newer(mut schema: Value, number: usize) -> Value {
    schema["version"] = json!(format!("99.{number}.0"));
    let columns = &mut schema["tables"]["Availability_Zone"]["columns"];
    columns[format!("note_{number}")] = json!({"type": "string"});
    schema
}

fn convert(cluster: &Cluster, node: usize, schema: &Value) -> Result<Output> {
    let file = cluster.node(node).folder().join("new.ovsschema");
    fs::write(&file, schema.to_string())?;
    let socket = format!("unix:{}", cluster.node(node).socket(SIDE).display());
    let output = Command::new(require("ovsdb-client", "openvswitch-common")?)
        .args(["--timeout=30", "convert", &socket])
        .arg(&file)
        .output()?;
    Ok(output)
}

fn wait_for_schema(cluster: &Cluster, wanted: &Value) -> Result<()> {
    for node in 0..cluster.size() {
        wait_for("the new schema", PATIENCE, || {
            let there = schema(cluster, node)?;
            Ok((there["version"] == wanted["version"]).then_some(()))
        })
        .with_context(|| format!("node {node}"))?;
    }
    Ok(())
}

fn insert(cluster: &Cluster, node: usize, row: &Value) -> Result<()> {
    let mut client = Client::unix(&cluster.node(node).socket(SIDE))?;
    let insert = json!({"op": "insert", "table": "Availability_Zone", "row": row});
    let results = client.transact(SIDE.database(), &[insert])?;
    ensure!(error_in(&results).is_none(), "{results:?}");
    Ok(())
}

/// Converts at one node, and writes what only the new schema has at each.
fn convert_at(cluster: &Cluster, node: usize, number: usize) -> Result<()> {
    let wanted = newer(schema(cluster, node)?, number);
    let output = convert(cluster, node, &wanted)?;
    ensure!(output.status.success(), "{output:?}");
    // Who has asked has it already.
    ensure!(schema(cluster, node)?["version"] == wanted["version"]);
    wait_for_schema(cluster, &wanted)?;
    for node in 0..cluster.size() {
        let column = format!("note_{number}");
        let name = format!("zone-{number}-{node}");
        insert(cluster, node, &json!({"name": name, column: "new"}))?;
    }
    Ok(())
}

#[test]
fn a_follower_has_it_converted_beside_writers() -> Result<()> {
    let options = Options::three(Kind::Ours, Wiring::Loopback);
    let plan = Plan {
        // Views of one schema cannot be compared with contents of another one.
        watchers: Vec::new(),
        ..Plan::default()
    };
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &plan)?;
        workload.wait_until_all_write(cluster, &[])?;
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        let follower = (leader + 1) % 3;
        let term = cluster.status(leader, SIDE)?.term;
        let mut watcher = Client::unix(&cluster.node(follower).socket(SIDE))?;
        watcher.call("set_db_change_aware", json!([true]))?;
        let requests = json!({"Availability_Zone": [{"columns": ["name"], "where": []}]});
        let nothing = "00000000-0000-0000-0000-000000000000";
        let request = json!([SIDE.database(), "w", requests, nothing]);
        watcher.call("monitor_cond_since", request)?;
        let wanted = newer(schema(cluster, follower)?, 1);
        let output = convert(cluster, follower, &wanted)?;
        ensure!(output.status.success(), "{output:?}");
        ensure!(schema(cluster, follower)?["version"] == wanted["version"]);
        wait_for_schema(cluster, &wanted)?;
        wait_for("the end of the monitor", PATIENCE, || {
            let message = watcher.receive()?;
            Ok((message["method"] == "monitor_canceled").then_some(()))
        })?;
        workload.wait_until_all_write(cluster, &[])?;
        println!("{}", workload.finish(cluster)?);
        let now = cluster.status(leader, SIDE)?.term;
        ensure!(now == term, "an election: terms {term} and {now}");
        Ok(())
    })
}

/// Each kind follows the other one.
#[test]
fn kinds_have_it_converted_by_each_other() -> Result<()> {
    let options = Options {
        kinds: vec![Kind::Reference, Kind::Ours, Kind::Reference],
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        for (number, leading) in [(1, 0), (2, 1)] {
            make_lead(cluster, leading)?;
            let other = 1 - leading;
            convert_at(cluster, other, number).with_context(|| format!("{leading} leads"))?;
            convert_at(cluster, leading, number + 10)?;
        }
        Ok(())
    })
}

/// Stops the others that could lead until this one does.
fn make_lead(cluster: &mut Cluster, node: usize) -> Result<()> {
    for _ in 0..20 {
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        if leader == node {
            return Ok(());
        }
        let third = (0..3).find(|other| *other != node && *other != leader);
        let third = third.context("a third node")?;
        cluster.node_mut(third).stop()?;
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        if leader != node {
            cluster.node_mut(leader).stop()?;
            cluster.start(leader)?;
        }
        cluster.start(third)?;
        cluster.wait_until_whole()?;
    }
    anyhow::bail!("node {node} does not lead")
}

/// Whoever is asked says the same.
#[test]
fn what_cannot_be_converted_is_refused_everywhere() -> Result<()> {
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        insert(cluster, 0, &json!({"name": "longer than that"}))?;
        let before = schema(cluster, 0)?;
        let mut short = newer(before.clone(), 1);
        short["tables"]["Availability_Zone"]["columns"]["name"] =
            json!({"type": {"key": {"type": "string", "maxLength": 3}}});
        let mut ephemeral = newer(before.clone(), 1);
        ephemeral["tables"]["Availability_Zone"]["columns"]["note_1"]["ephemeral"] = json!(true);
        cluster.wait_until_even()?;
        for (schema, said) in [
            (&short, "constraint violation"),
            (&ephemeral, "note_1 is ephemeral"),
        ] {
            for node in 0..3 {
                let mut client = Client::unix(&cluster.node(node).socket(SIDE))?;
                let id = client.request("convert", json!([SIDE.database(), schema]))?;
                let reply = client.reply(&id)?;
                ensure!(
                    reply["error"].to_string().contains(said),
                    "node {node}: {reply}"
                );
            }
        }
        for node in 0..3 {
            ensure!(
                schema(cluster, node)? == before,
                "node {node}'s schema has changed"
            );
        }
        Ok(())
    })
}
