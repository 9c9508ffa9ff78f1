//! The guide's reset: the switch is deleted in each zone, comes again by
//! itself, and is attached anew; likewise when it is deleted for all.

use anyhow::Result;
use serde_json::json;

use super::registration::attach_both;
use super::routes::new_route;
use crate::world::database::uuid;
use crate::world::{Report, World};

/// Resets twice.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    let mut old = Vec::new();
    for zone in &mut world.zones {
        for row in zone.wait_switch("ts", true)? {
            old.push(uuid(&row, "_uuid").to_owned());
        }
        zone.nbctl.run("ls-del ts")?;
    }
    report.check("reset: the ports are unbound", || {
        world
            .sb
            .wait_for("no port", "Port_Binding", json!([]), <[_]>::is_empty)
    })?;
    report.check("reset: the switch comes anew", || {
        for (zone, old) in world.zones.iter_mut().zip(&old) {
            zone.nb.wait_for(
                "a new switch",
                "Logical_Switch",
                json!([["name", "==", "ts"]]),
                |rows| rows.len() == 1 && uuid(&rows[0], "_uuid") != old,
            )?;
        }
        Ok(())
    })?;
    // OVN 23.03 leaves the routes of a router that has no port on any transit
    // switch where they are, here and in the southbound database, so only a
    // new one shows that routes work again.
    attach_both(world, report, "after the reset")?;
    new_route(world, report, "10.31.0.0/24", "after the reset")?;

    world.nbctl.run("ts-del ts")?;
    report.check("ts-del: gone in both zones", || {
        world
            .zones
            .iter_mut()
            .try_for_each(|zone| zone.wait_switch("ts", false).map(drop))
    })?;
    report.check("ts-del: nothing left of it", || {
        for table in ["Datapath_Binding", "Port_Binding"] {
            world
                .sb
                .wait_for("no row", table, json!([]), <[_]>::is_empty)?;
        }
        Ok(())
    })?;
    world.nbctl.run("ts-add ts")?;
    attach_both(world, report, "after ts-del and ts-add")?;
    new_route(world, report, "10.32.0.0/24", "after ts-del and ts-add")
}
