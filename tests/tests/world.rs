//! Two availability zones interconnected through the reference and through
//! ours, with the same checks, compared.

use std::path::Path;

use anyhow::Result;
use ovn_ic_db_tests::process::Program;
use ovn_ic_db_tests::world::interconnect::{Standalone, standalone_faults};
use ovn_ic_db_tests::world::report::{compare, side_by_side};
use ovn_ic_db_tests::world::{Report, run};

fn play(start: impl FnOnce(&Path) -> Result<Standalone>) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix("interconnect-").tempdir()?;
    let mut server = start(folder.path())?;
    run(&mut server, &mut standalone_faults())
}

fn compare_with(name: &str, start: impl FnOnce(&Path) -> Result<Standalone>) -> Result<()> {
    let reference = play(|folder| Standalone::start(Program::Reference, folder))?;
    let second = play(start)?;
    println!(
        "{}",
        side_by_side(("reference", &reference), (name, &second))
    );
    compare(&reference, &second)
}

/// Set, it leaves ours out and plays the reference in both roles, the second
/// time on the newest schemas, as ours serves them: a check of the checks.
const CHECK_THE_CHECKS: &str = "WORLD_REFERENCE_ONLY";

#[test]
fn two_zones_on_the_reference_and_on_ours() -> Result<()> {
    if std::env::var_os(CHECK_THE_CHECKS).is_some() {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
        return compare_with("new schemas", |folder| {
            Standalone::reference(folder, &schemas)
        });
    }
    compare_with("ours", |folder| Standalone::start(Program::Ours, folder))
}
