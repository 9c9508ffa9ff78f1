//! Two availability zones interconnected through the reference and through
//! ours, with the same checks, compared.

use std::path::Path;

use anyhow::{Result, ensure};
use ovn_ic_db_tests::process::Program;
use ovn_ic_db_tests::world::interconnect::{Standalone, standalone_faults};
use ovn_ic_db_tests::world::report::{compare_transcripts, side_by_side, slower};
use ovn_ic_db_tests::world::{Report, run};

fn play(start: impl Fn(&Path) -> Result<Standalone>) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix("interconnect-").tempdir()?;
    let mut server = start(folder.path())?;
    run(&mut server, &mut standalone_faults())
}

/// Whatever was slower gets a second chance, on both: a machine that is busy
/// for a moment is no slow server.
fn compare_with(name: &str, start: impl Fn(&Path) -> Result<Standalone>) -> Result<()> {
    let play_reference = || play(|folder| Standalone::start(Program::Reference, folder));
    let mut reference = play_reference()?;
    let mut second = play(&start)?;
    println!(
        "{}",
        side_by_side(("reference", &reference), (name, &second))
    );
    compare_transcripts(&reference, &second)?;
    let mut found = slower(&reference, &second);
    if !found.is_empty() {
        println!("once more, because of {found:#?}");
        second = play(&start)?.best(&second);
        reference = play_reference()?.best(&reference);
        println!(
            "{}",
            side_by_side(("reference", &reference), (name, &second))
        );
        found = slower(&reference, &second);
    }
    ensure!(found.is_empty(), "slower than the reference: {found:#?}");
    Ok(())
}

/// `WORLD_AGAINST=reference` lets the reference play both roles, the second
/// time on the newest schemas: a check of the checks.
#[test]
fn two_zones_converge_alike_on_both_servers() -> Result<()> {
    if std::env::var("WORLD_AGAINST").is_ok_and(|program| program == "reference") {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
        return compare_with("new schemas", |folder| {
            Standalone::reference(folder, &schemas)
        });
    }
    compare_with("ours", |folder| Standalone::start(Program::Ours, folder))
}
