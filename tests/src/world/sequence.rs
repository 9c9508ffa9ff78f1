//! The whole sequence of checks, in the order of a deployment's life.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use super::checks;
use super::ctl::Ctl;
use super::database::Database;
use super::interconnect::{Fault, Interconnect, Side, look};
use super::report::Report;
use super::zone::Zone;

/// Everything that runs, and ways to look at it.
pub struct World<'a> {
    /// The server under test.
    pub interconnect: &'a mut dyn Interconnect,
    /// The two zones, number 1 first.
    pub zones: [Zone; 2],
    /// `ovn-ic-nbctl` on the server under test.
    pub nbctl: Ctl,
    /// `ovn-ic-sbctl` on the server under test.
    pub sbctl: Ctl,
    /// The server's northbound database.
    pub nb: Database,
    /// The server's southbound database.
    pub sb: Database,
    // Last, so that it is removed when the programs are gone.
    _folder: TempDir,
}

impl<'a> World<'a> {
    /// Starts two zones around a running server, without a transit switch.
    ///
    /// # Errors
    /// If a program is missing or does not start.
    pub fn start(interconnect: &'a mut dyn Interconnect) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zones-").tempdir()?;
        let zone = |number: u8, path: &Path, server: &dyn Interconnect| {
            Zone::start(number, &path.join(format!("az{number}")), &|side| {
                server.remotes(side)
            })
        };
        let zones = [
            zone(1, folder.path(), interconnect)?,
            zone(2, folder.path(), interconnect)?,
        ];
        Ok(Self {
            nbctl: Ctl::new(
                "ovn-ic-nbctl",
                "ovn-ic",
                &interconnect.remotes(Side::Northbound),
            )?,
            sbctl: Ctl::new(
                "ovn-ic-sbctl",
                "ovn-ic",
                &interconnect.remotes(Side::Southbound),
            )?,
            nb: look(interconnect, Side::Northbound),
            sb: look(interconnect, Side::Southbound),
            interconnect,
            zones,
            _folder: folder,
        })
    }
}

/// Plays every check against `interconnect`, with `faults` in the middle.
///
/// # Errors
/// The first check that fails, with its name.
pub fn run(interconnect: &mut dyn Interconnect, faults: &mut [Fault<'_>]) -> Result<Report> {
    let mut report = Report::default();
    checks::commands::initial(interconnect, &mut report)?;
    let mut world = World::start(interconnect)?;
    if let Err(error) = play(&mut world, &mut report, faults) {
        let seen = world.sb.contents().unwrap_or_default().join("\n");
        return Err(error.context(format!("the southbound database then:\n{seen}")));
    }
    Ok(report)
}

fn play(world: &mut World<'_>, report: &mut Report, faults: &mut [Fault<'_>]) -> Result<()> {
    checks::registration::run(world, report)?;
    checks::glance::run(world, report)?;
    checks::routes::run(world, report)?;
    checks::commands::run(world, report)?;
    checks::faults::run(world, report, faults)?;
    checks::tunnel_keys::run(world, report)?;
    checks::reset::run(world, report)?;
    checks::departure::run(world, report)?;
    for zone in &mut world.zones {
        zone.check_alive()?;
    }
    Ok(())
}
