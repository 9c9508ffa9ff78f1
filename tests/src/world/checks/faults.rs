//! The server goes away and comes back in the middle of everything.

use anyhow::{Result, ensure};

use super::registration::converged;
use super::routes::new_route;
use crate::world::{Fault, Report, World};

/// Inflicts each fault on the settled world; afterwards every row is there
/// and a new route goes from zone to zone.
///
/// # Errors
/// The first check that fails.
pub fn run(world: &mut World<'_>, report: &mut Report, faults: &mut [Fault<'_>]) -> Result<()> {
    for (number, fault) in faults.iter_mut().enumerate() {
        let name = fault.name;
        let before = [world.nb.contents()?, world.sb.contents()?];
        report.check(&format!("{name}: it serves again"), || {
            (fault.inflict)(world.interconnect)?;
            world.nb.wait_until_served("IC_NB_Global")?;
            world.sb.wait_until_served("IC_SB_Global")
        })?;
        report.check(&format!("{name}: no row is lost"), || {
            let after = [world.nb.contents()?, world.sb.contents()?];
            ensure!(before == after, "before:\n{before:#?}\nafter:\n{after:#?}");
            Ok(())
        })?;
        new_route(world, report, &format!("10.30.{number}.0/24"), name)?;
        converged(world, report, name)?;
        amid_changes(world, report, fault)?;
    }
    Ok(())
}

/// The same fault while the first zone's controller is writing.
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
    let [first, second] = &mut world.zones;
    first.nbctl.run(&commands("lr-route-add", "192.168.1.10"))?;
    report.check(&format!("{name}, amid changes: all routes come"), || {
        (fault.inflict)(world.interconnect)?;
        // The connections of the checks themselves died with the server.
        world.nb.wait_until_served("IC_NB_Global")?;
        world.sb.wait_until_served("IC_SB_Global")?;
        prefixes
            .iter()
            .try_for_each(|prefix| second.wait_learned(prefix, true))
    })?;
    first.nbctl.run(&commands("lr-route-del", ""))?;
    report.check(&format!("{name}, amid changes: all routes go"), || {
        (fault.inflict)(world.interconnect)?;
        // The connections of the checks themselves died with the server.
        world.nb.wait_until_served("IC_NB_Global")?;
        world.sb.wait_until_served("IC_SB_Global")?;
        prefixes
            .iter()
            .try_for_each(|prefix| second.wait_learned(prefix, false))
    })
}
