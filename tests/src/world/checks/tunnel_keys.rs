//! Both zones' `ovn-ic` want to give each new switch a tunnel key at once.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use crate::world::{Report, World};

/// How many values a column has.
fn distinct(rows: &[Map<String, Value>], column: &str) -> usize {
    let values = rows.iter().filter_map(|row| row.get(column));
    values
        .map(ToString::to_string)
        .collect::<HashSet<_>>()
        .len()
}

/// How many switches are made at once.
const SWITCHES: usize = 30;

/// Makes many switches in one transaction and many in quick succession, and
/// removes them.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report) -> Result<()> {
    let names: Vec<String> = (0..SWITCHES).map(|i| format!("race{i}")).collect();
    let (together, single) = names.split_at(SWITCHES * 2 / 3);
    let add: Vec<String> = together
        .iter()
        .map(|name| format!("ts-add {name}"))
        .collect();
    world.nbctl.run(&add.join(" -- "))?;
    for name in single {
        world.nbctl.run(&format!("ts-add {name}"))?;
    }
    report.check("many switches at once get distinct keys", || {
        let rows = world
            .sb
            .wait_for("all keys", "Datapath_Binding", json!([]), |rows| {
                // Only keys are unique: both zones may make a row for a switch, with two
                // keys, of which `ovn-ic` removes one again.
                rows.len() == SWITCHES + 1 && distinct(rows, "transit_switch") == rows.len()
            })?;
        ensure!(distinct(&rows, "tunnel_key") == rows.len(), "{rows:?}");
        Ok(())
    })?;
    for (index, zone) in world.zones.iter_mut().enumerate() {
        report.check(&format!("many switches appear in az{}", index + 1), || {
            names
                .iter()
                .try_for_each(|name| zone.wait_switch(name, true).map(drop))
        })?;
    }
    let delete: Vec<String> = names.iter().map(|name| format!("ts-del {name}")).collect();
    world.nbctl.run(&delete.join(" -- "))?;
    report.check("many switches go again everywhere", || {
        for zone in &mut world.zones {
            for name in &names {
                zone.wait_switch(name, false)?;
            }
        }
        world
            .sb
            .wait_for("one key left", "Datapath_Binding", json!([]), |rows| {
                rows.len() == 1
            })
            .map(drop)
    })
}
