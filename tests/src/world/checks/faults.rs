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
    }
    Ok(())
}
