//! A whole OVN with its real programs on ours: what is asked for in the Northbound becomes logical
//! flows, bindings and OpenFlow flows, and what the chassis see comes back; through crashes, too.
//! The same comes of it on Debian's server and on ours, alone, in clusters and behind a relay.

mod story;

use anyhow::{Result, ensure};
use ovn_ic_db_tests::process::Program;
use ovn_ic_db_tests::world::home::clusters::Clusters;
use ovn_ic_db_tests::world::home::relayed::Relayed;
use ovn_ic_db_tests::world::home::standalone::Standalone;

use story::{Pictures, play};

/// All in one, because each is compared with the reference.
#[test]
fn a_whole_ovn_converges_alike_wherever_its_databases_are() -> Result<()> {
    let reference = play("reference", Program::Reference, |folder| {
        Ok(Box::new(Standalone::start(Program::Reference, folder)?))
    })?;
    let alone = play("ours alone", Program::Ours, |folder| {
        Ok(Box::new(Standalone::start(Program::Ours, folder)?))
    })?;
    compare("alone", &reference, &alone)?;
    let relayed = play("ours behind a relay", Program::Ours, |folder| {
        Ok(Box::new(Relayed::start(Program::Ours, folder)?))
    })?;
    compare("behind a relay", &reference, &relayed)?;
    let clusters = play("our clusters", Program::Ours, |folder| {
        Ok(Box::new(Clusters::start(Program::Ours, folder)?))
    })?;
    compare("in clusters", &reference, &clusters)
}

fn compare(name: &str, reference: &Pictures, ours: &Pictures) -> Result<()> {
    ensure!(reference.len() == ours.len(), "{name}: not all stages");
    for ((stage, expected), (_, found)) in reference.iter().zip(ours) {
        let missing: Vec<&String> = expected.iter().filter(|l| !found.contains(l)).collect();
        let more: Vec<&String> = found.iter().filter(|l| !expected.contains(l)).collect();
        ensure!(
            expected == found,
            "{name}, {stage}: {} lines, {} expected; missing {missing:#?}, too many {more:#?}",
            found.len(),
            expected.len()
        );
        println!("{name}, {stage}: {} lines", found.len());
    }
    Ok(())
}
