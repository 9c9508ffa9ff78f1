//! A cluster on IPv6 addresses, which its nodes' variables spell in different ways.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::contents::converged;
use ovn_ic_db_tests::cluster::status::error_in;
use ovn_ic_db_tests::cluster::{
    Cluster, Kind, Node, Options, Plan, Site, Variables, Wiring, Workload, run,
};
use ovn_ic_db_tests::process::{Program, executable};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::{Value, json};

/// Bare, in brackets, and with white space and all digits.
fn spelled(node: &Node, site: &Site) -> Vec<(String, String)> {
    let all = site.addresses.iter().map(|address| match node.number() {
        0 => address.to_string(),
        1 => format!("[{address}]"),
        _ => address
            .to_string()
            .replace("::", ":0:0:0:0000:0::")
            .to_uppercase(),
    });
    let all: Vec<String> = all.collect();
    let mut variables = vec![
        ("NODE_IPS", all.join([",", ",", ", "][node.number()])),
        ("LOCAL_IP", all[node.number()].clone()),
    ];
    if node.number() > 0 {
        variables.push(("LEADER_IP", all[0].clone()));
    }
    let variables = variables.into_iter();
    variables
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What `ovn-ic-db status` says when it is given hosts.
fn asked(cluster: &Cluster, hosts: &str) -> Result<Value> {
    let mut line: Vec<OsString> = cluster.network().at_client();
    line.push(executable(Program::Ours)?.into());
    line.extend(["status", "--format=json", "--host", hosts].map(OsString::from));
    let output = Command::new(&line[0]).args(&line[1..]).output()?;
    ensure!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).context("no JSON")
}

fn insert(cluster: &Cluster, node: usize, name: &str) -> Result<()> {
    let side = Side::Southbound;
    let mut client = Client::unix(&cluster.node(node).socket(side))?;
    let insert = json!({"op": "insert", "table": "Availability_Zone", "row": {"name": name}});
    let results = client.transact(side.database(), &[insert])?;
    ensure!(error_in(&results).is_none(), "{results:?}");
    Ok(())
}

#[test]
fn three_nodes_on_ipv6_and_the_way_back() -> Result<()> {
    let options = Options {
        variables: Variables::new(spelled),
        ..Options::three(Kind::Ours, Wiring::Ipv6)
    };
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &Plan::default())?;
        workload.wait_until_all_write(cluster, &[])?;
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        cluster.node_mut(leader).kill9()?;
        workload.wait_until_all_write(cluster, &[])?;
        cluster.start(leader)?;
        cluster.wait_until_whole()?;
        workload.wait_until_all_write(cluster, &[])?;
        println!("{}", workload.finish(cluster)?);

        for node in 0..cluster.size() {
            let servers = cluster.status(node, Side::Southbound)?.servers;
            let mut addresses: Vec<&str> = servers.iter().map(|(_, at)| &**at).collect();
            addresses.sort_unstable();
            let expected = (1..4).map(|n| format!("tcp:[fd00::{n}]:6648"));
            ensure!(addresses.iter().copied().eq(expected), "{servers:?}");
        }
        let said = asked(cluster, "fd00::1,[fd00::2],fd00:0::3")?;
        for database in said.as_array().context("databases")?.iter().take(2) {
            let answers = database["answers"].as_array().context("answers")?;
            let members = answers
                .iter()
                .filter(|answer| answer["report"]["member"]["standing"] == "member");
            ensure!(members.count() == 3, "{said}");
        }

        let before = Side::BOTH.map(|side| converged(cluster, side));
        for node in 0..cluster.size() {
            cluster.node_mut(node).stop()?;
        }
        for node in 0..cluster.size() {
            cluster.start_as(node, Kind::Reference)?;
        }
        cluster.wait_until_whole()?;
        for (side, before) in Side::BOTH.into_iter().zip(before) {
            ensure!(
                converged(cluster, side)? == before?,
                "{side:?}: other contents"
            );
        }
        for node in 0..cluster.size() {
            insert(cluster, node, &format!("by Debian's {node}"))?;
        }
        // And ours again, beside one that stays.
        for node in 0..2 {
            cluster.node_mut(node).stop()?;
            cluster.start_as(node, Kind::Ours)?;
            cluster.wait_until_whole()?;
            insert(cluster, node, &format!("by ours {node}"))?;
        }
        converged(cluster, Side::Southbound)?;
        Ok(())
    })
}
