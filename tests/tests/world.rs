//! Two availability zones interconnected through the reference and through
//! ours, with the same checks, compared.

use anyhow::Result;
use ovn_ic_db_tests::process::Program;
use ovn_ic_db_tests::world::interconnect::{Standalone, standalone_faults};
use ovn_ic_db_tests::world::report::{compare, side_by_side};
use ovn_ic_db_tests::world::{Report, run};

fn play(program: Program) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix("interconnect-").tempdir()?;
    let mut server = Standalone::start(program, folder.path())?;
    run(&mut server, &mut standalone_faults())
}

#[test]
fn two_zones_on_the_reference_and_on_ours() -> Result<()> {
    let reference = play(Program::Reference)?;
    // `WORLD_REFERENCE_ONLY` checks the checks: the reference in both roles.
    let second = match std::env::var_os("WORLD_REFERENCE_ONLY") {
        Some(_) => Program::Reference,
        None => Program::Ours,
    };
    let ours = play(second)?;
    println!("{}", side_by_side(&reference, &ours));
    compare(&reference, &ours)
}
