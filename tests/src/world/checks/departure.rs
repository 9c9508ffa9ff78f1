//! A zone stops, is cleaned up by hand, and comes back.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::registration::converged;
use super::routes::new_route;
use crate::process::wait_for;
use crate::world::{Report, World};

const PATIENCE: Duration = Duration::from_secs(5);

/// Kills the second zone, works on without it, removes what it left as
/// kube-ovn's script does, and starts it again.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    world.zones[1].kill()?;
    world.nbctl.run("ts-add lonely")?;
    report.check("a zone is dead: the other works on", || {
        world.zones[0].wait_switch("lonely", true)
    })?;
    report.check("a zone is dead: its rows stay", || {
        world.zones[0].wait_remote_port("ts-lr2", true)?;
        world.zones[0].wait_learned("192.168.2.1/24", true)
    })?;
    world.nbctl.run("ts-del lonely")?;
    report.check("a zone is dead: a switch goes", || {
        world.zones[0].wait_switch("lonely", false)
    })?;

    report.check("the clean-up's commands", || clean_up(world, "az2"))?;
    report.check("clean-up: only the other zone is left", || {
        // A follower of a cluster may be a moment behind.
        wait_for("one row of each table", PATIENCE, || {
            let zones = world.sb.select("Availability_Zone", json!([]))?;
            let ports = world.sb.select("Port_Binding", json!([]))?;
            let gateways = world.sb.select("Gateway", json!([]))?;
            let encaps = world.sb.select("Encap", json!([]))?;
            let left = [zones.len(), ports.len(), gateways.len(), encaps.len()];
            Ok((left == [1, 1, 1, 1]).then_some(()))
        })
    })?;
    report.check("clean-up: its port and routes are forgotten", || {
        world.zones[0].wait_learned("192.168.2.1/24", false)?;
        world.zones[0].wait_remote_port("ts-lr2", false)
    })?;
    world.zones[1].start_again()?;
    converged(world, report, "after the zone came back")?;
    new_route(world, report, "10.33.0.0/24", "after the zone came back")
}

/// Removes all that a zone has in the southbound database: the rows of each
/// table that names the zone, then the zone itself.
fn clean_up(world: &World<'_>, zone: &str) -> Result<()> {
    let find = |table: &str, condition: &str| {
        world.sbctl.run(&format!(
            "--format=csv --data=bare --no-heading --columns=_uuid find {table} {condition}"
        ))
    };
    let id = find("availability_zone", &format!("name={zone}"))?;
    let id = id.trim();
    ensure!(id.len() == 36, "not one zone {zone}: {id:?}");
    let name = world
        .sbctl
        .run(&format!("get availability_zone {id} name"))?;
    ensure!(name.trim() == zone, "the zone's name is {name}");
    for table in ["Gateway", "Route", "Port_Binding"] {
        let rows = find(table, &format!("availability_zone={id}"))?;
        ensure!(!rows.trim().is_empty(), "no {table} of {zone}");
        for row in rows.split_whitespace() {
            world.sbctl.run(&format!("destroy {table} {row}"))?;
        }
    }
    world
        .sbctl
        .run(&format!("destroy availability_zone {id}"))?;
    Ok(())
}
