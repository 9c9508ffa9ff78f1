//! Both zones make themselves known, and their ports find each other.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::world::database::{Row, entry, uuid};
use crate::world::{Report, World};

/// Registers both zones, makes the transit switch and attaches both routers.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    for n in [1, 2] {
        report.check(&format!("zone az{n} registers"), || {
            world.sb.wait_for(
                "the zone",
                "Availability_Zone",
                json!([["name", "==", format!("az{n}")]]),
                |rows| rows.len() == 1,
            )
        })?;
        report.check(&format!("gateway gw{n} registers"), || {
            world.sb.wait_for(
                "the gateway",
                "Gateway",
                json!([["name", "==", format!("gw{n}")]]),
                |rows| rows.len() == 1,
            )
        })?;
    }
    world.nbctl.run("ts-add ts")?;
    report.check("the switch gets a tunnel key", || {
        world.sb.wait_for(
            "the key",
            "Datapath_Binding",
            json!([["transit_switch", "==", "ts"]]),
            |rows| rows.len() == 1,
        )
    })?;
    attach_both(world, report, "first")?;
    report.check("both ports get distinct tunnel keys and gateways", || {
        world
            .sb
            .wait_for("two bound ports", "Port_Binding", json!([]), |rows| {
                let bound =
                    |row: &Row| !matches!(row.get("gateway"), Some(value) if value.is_array());
                rows.len() == 2
                    && rows.iter().all(bound)
                    && rows[0].get("tunnel_key") != rows[1].get("tunnel_key")
                    && uuid(&rows[0], "availability_zone") != uuid(&rows[1], "availability_zone")
            })
    })?;
    report
        .check("ovn-ic-sbctl show", || {
            let shown = world.sbctl.run("show")?;
            for part in [
                "availability-zone az1",
                "availability-zone az2",
                "gateway gw1",
                "gateway gw2",
                "hostname: host1",
                "type: geneve",
                "ip: 10.0.0.1",
                "ip: 10.0.0.2",
                "port ts-lr1",
                "port ts-lr2",
                "transit switch: ts",
                "address: [\"02:00:00:00:00:01 169.254.100.1/24\"]",
                "address: [\"02:00:00:00:00:02 169.254.100.2/24\"]",
            ] {
                ensure!(shown.contains(part), "{part} is missing in:\n{shown}");
            }
            // Zones come in the order of their random UUIDs, so lines are sorted.
            let mut lines: Vec<&str> = shown.lines().collect();
            lines.sort_unstable();
            Ok(lines.join("\n"))
        })
        .map(|lines| report.transcribe(&lines))
}

/// Attaches both routers to `ts` and waits until each zone has the other's
/// port and subnet.
///
/// # Errors
/// If something does not come.
pub fn attach_both(world: &mut World<'_>, report: &mut Report, time: &str) -> Result<()> {
    report.check(&format!("switch ts appears in both zones, {time}"), || {
        world.zones.iter_mut().try_for_each(|zone| {
            zone.wait_switch("ts", true)?;
            Ok(())
        })
    })?;
    for zone in &mut world.zones {
        zone.attach()?;
    }
    converged(world, report, time)
}

/// Checks that each zone has the other's port as a remote one and the other's
/// subnet as a learned route.
///
/// # Errors
/// If something does not come.
pub fn converged(world: &mut World<'_>, report: &mut Report, time: &str) -> Result<()> {
    for (zone, other) in world.zones.iter_mut().zip([2, 1]) {
        let n = zone.number;
        report.check(
            &format!("remote port ts-lr{other} in az{n}, {time}"),
            || zone.wait_remote_port(&format!("ts-lr{other}"), true),
        )?;
        report.check(
            &format!("subnet of az{other} learned in az{n}, {time}"),
            || {
                let prefix = format!("192.168.{other}.1/24");
                let rows = world.sb.wait_for(
                    "the advertised route",
                    "Route",
                    json!([["ip_prefix", "==", prefix]]),
                    |rows| rows.len() == 1,
                )?;
                let advertised = rows.first().map(|row| uuid(row, "_uuid"));
                zone.nb.wait_for(
                    "a route learned from just that row",
                    "Logical_Router_Static_Route",
                    json!([["ip_prefix", "==", prefix]]),
                    |rows| {
                        rows.len() == 1
                            && entry(&rows[0], "external_ids", "ic-learned-route") == advertised
                    },
                )
            },
        )?;
    }
    Ok(())
}
