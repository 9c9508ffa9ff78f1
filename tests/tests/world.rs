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

/// `ours` plays the second role with our program. Until that serves, the reference plays both
/// roles by default, the second time on the newest schemas: a check of the checks.
const AGAINST: &str = "WORLD_AGAINST";

#[test]
#[ignore = "compares the reference with itself until ours serves; `make world` runs it"]
fn two_zones_converge_alike_on_both_servers() -> Result<()> {
    if std::env::var(AGAINST).is_ok_and(|program| program == "ours") {
        return compare_with("ours", |folder| Standalone::start(Program::Ours, folder));
    }
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    compare_with("new schemas", |folder| {
        Standalone::reference(folder, &schemas)
    })
}
