//! The compose file: one node, and three.

use std::fs;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::container::Sandbox;
use ovn_ic_db_tests::container::compose::Composed;
use ovn_ic_db_tests::container::docker::PATIENCE;
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::ctl::Ctl;
use serde_json::Value;

const HEALTH: [&str; 2] = ["ovn-ic-db", "health"];

/// What compose makes of the file: every variable is documented, and nothing has a privilege.
fn check_config(composed: &Composed) -> Result<()> {
    let config: Value = serde_saphyr::from_str(&composed.run(&["config"])?)?;
    let known = include_str!("../../../docs/configuration.md");
    let services = config["services"].as_object().context("services")?;
    for (name, service) in services {
        let variables = service["environment"].as_object().context("environment")?;
        for variable in variables.keys() {
            let known = known.contains(&format!("| `{variable}`"))
                || known.contains(&format!(", `{variable}`"));
            ensure!(known, "{name}: {variable}");
        }
        ensure!(service["cap_drop"][0] == "ALL", "{name}: {service}");
        ensure!(service["read_only"] == true, "{name}: {service}");
        ensure!(service["privileged"].is_null() && service["cap_add"].is_null());
    }
    Ok(())
}

#[test]
fn one_node_on_the_hosts_network_and_folders() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let host = sandbox.folder().join("host");
    for folder in ["etc/ovn", "var/run/ovn", "var/log/ovn"] {
        fs::create_dir_all(host.join(folder))?;
    }
    let composed = Composed::new(&sandbox, "one", &host)?;
    check_config(&composed)?;
    composed.up()?;
    let container = composed.container("one")?;
    container.wait_for(&HEALTH)?;
    let zones = Ctl::new("ovn-ic-nbctl", "ovn-ic", "tcp:127.0.0.1:6645")?;
    ensure!(zones.run("ts-list")?.contains("(ts)"));
    ensure!(host.join("etc/ovn/ovn_ic_sb_db.db").is_file());
    ensure!(host.join("var/run/ovn/ovn_ic_sb_db.pid").is_file());
    let (_, status) = container.stop()?;
    ensure!(status == 0, "{}", container.logs()?);
    Ok(())
}

#[test]
fn three_nodes_of_which_one_dies() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let composed = Composed::new(&sandbox, "three", sandbox.folder())?;
    check_config(&composed)?;
    composed.up()?;
    let nodes = ["node1", "node2", "node3"].map(|service| composed.container(service));
    let nodes = nodes.into_iter().collect::<Result<Vec<_>>>()?;
    for node in &nodes {
        node.wait_for(&HEALTH)?;
    }
    let subnet = composed.subnet();
    let remotes = [11, 12, 13].map(|last| format!("tcp:{subnet}.{last}:6645"));
    let zones = Ctl::new("ovn-ic-nbctl", "ovn-ic", &remotes.join(","))?;
    zones.run("ts-add one")?;
    nodes[0].kill()?;
    zones.run("ts-add two")?;
    // It comes back on its volume.
    nodes[0].start()?;
    nodes[0].wait_for(&HEALTH)?;
    let own = Ctl::new("ovn-ic-nbctl", "ovn-ic", &remotes[0])?;
    wait_for("all switches at the node that was away", PATIENCE, || {
        let list = own.run("--no-leader-only ts-list")?;
        let all = ["(ts)", "(one)", "(two)"];
        Ok(all.iter().all(|name| list.contains(name)).then_some(()))
    })
}
