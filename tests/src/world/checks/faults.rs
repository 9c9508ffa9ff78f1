//! The server goes away and comes back in the middle of everything.

use anyhow::{Result, ensure};

use super::registration::converged;
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
        let prefix = format!("10.30.{number}.0/24");
        let [first, second] = &mut world.zones;
        first
            .nbctl
            .run(&format!("lr-route-add lr1 {prefix} 192.168.1.10"))?;
        report.check(&format!("{name}: a new route is learned"), || {
            second.wait_learned(&prefix, true)
        })?;
        first.nbctl.run(&format!("lr-route-del lr1 {prefix}"))?;
        report.check(&format!("{name}: and forgotten"), || {
            second.wait_learned(&prefix, false)
        })?;
        converged(world, report, name)?;
    }
    Ok(())
}
