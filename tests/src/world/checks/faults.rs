//! The server goes away and comes back in the middle of everything.

use anyhow::{Result, ensure};

use super::registration::converged;
use super::routes::new_route;
use crate::process::wait_for;
use crate::world::database::DEADLINE;
use crate::world::zone::Zone;
use crate::world::{Fault, Report, World};

/// Inflicts each fault on the settled world; afterwards every row is there
/// and new routes go from zone to zone, both ways. Then again while the first
/// zone's controller is writing.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report, faults: &mut [Fault<'_>]) -> Result<()> {
    for fault in faults {
        let name = fault.name;
        let before = [world.nb.contents()?, world.sb.contents()?];
        report.check(&format!("{name}: it serves again"), || {
            inflict(world, fault)
        })?;
        report.check(&format!("{name}: no row is lost"), || {
            let after = [world.nb.contents()?, world.sb.contents()?];
            ensure!(before == after, "before:\n{before:#?}\nafter:\n{after:#?}");
            Ok(())
        })?;
        report.check(&format!("{name}: both zones are back"), || both_work(world))?;
        new_route(world, report, "10.30.0.0/24", name)?;
        converged(world, report, name)?;
        amid_changes(world, report, fault)?;
    }
    Ok(())
}

fn inflict(world: &mut World<'_>, fault: &mut Fault<'_>) -> Result<()> {
    (fault.inflict)(world.interconnect)?;
    // The connections of the checks themselves died with the server.
    world.nb.wait_until_served("IC_NB_Global")?;
    world.sb.wait_until_served("IC_SB_Global")
}

/// A route goes each way. Both controllers have found the server again then,
/// and the next checks do not wait for them.
fn both_work(world: &mut World<'_>) -> Result<()> {
    let [first, second] = &mut world.zones;
    let route = |zone: &Zone, verb: &str, hop: &str| {
        let n = zone.number;
        zone.nbctl
            .run(&format!("lr-route-{verb} lr{n} 10.39.{n}.0/24 {hop}"))
    };
    route(first, "add", "192.168.1.10")?;
    route(second, "add", "192.168.2.10")?;
    second.wait_learned("10.39.1.0/24", true)?;
    first.wait_learned("10.39.2.0/24", true)?;
    route(first, "del", "")?;
    route(second, "del", "")?;
    second.wait_learned("10.39.1.0/24", false)?;
    first.wait_learned("10.39.2.0/24", false)
}

fn amid_changes(world: &mut World<'_>, report: &mut Report, fault: &mut Fault<'_>) -> Result<()> {
    let name = fault.name;
    let prefixes: Vec<String> = (0..40).map(|i| format!("10.40.{i}.0/24")).collect();
    let commands = |verb: &str, hop: &str| -> String {
        let each: Vec<String> = prefixes
            .iter()
            .map(|prefix| format!("{verb} lr1 {prefix} {hop}"))
            .collect();
        each.join(" -- ")
    };
    let learned = |zone: &mut Zone, there: bool| {
        prefixes
            .iter()
            .try_for_each(|prefix| zone.wait_learned(prefix, there))
    };
    let add = commands("lr-route-add", "192.168.1.10");
    world.zones[0].nbctl.run(&add)?;
    report.check(&format!("{name}, amid changes: all routes come"), || {
        inflict(world, fault)?;
        learned(&mut world.zones[1], true)?;
        both_work(world)
    })?;
    world.zones[0].nbctl.run(&commands("lr-route-del", ""))?;
    report.check(&format!("{name}, amid changes: all routes go"), || {
        learned(&mut world.zones[1], false)?;
        // The zone may have heard of it from another server than the checks ask.
        wait_for("the routes' end", DEADLINE, || {
            let rows = world.sb.contents()?;
            let over = !rows.iter().any(|row| row.contains("10.40."));
            Ok(over.then_some(()))
        })
    })
}
