//! `ovn-ic-db health`, the probe of containers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::program::Program;

/// Its exit status and its line.
fn health(folder: &Path, flags: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"))
        .arg("health")
        .args(flags)
        .env("OVN_RUNDIR", folder)
        .output()?;
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.code(), line))
}

#[test]
fn it_is_one_line_and_a_status() -> Result<()> {
    let mut program = Program::new()?;
    let folder = program.path("run");
    let (status, line) = health(&folder, &[])?;
    assert_eq!(status, Some(1), "{line}");
    assert!(
        line.starts_with("not well: OVN_IC_Northbound does not answer: "),
        "{line}"
    );
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    program.start()?;
    let well = "well: OVN_IC_Northbound is served; OVN_IC_Southbound is served\n";
    assert_eq!(health(&folder, &[])?, (Some(0), well.to_owned()));
    assert_eq!(health(&folder, &["--alive"])?.0, Some(0));
    assert_eq!(health(&folder, &["--timeout=0"])?.0, Some(2));
    Ok(())
}

#[test]
fn who_waits_for_a_cluster_is_alive_and_not_well() -> Result<()> {
    let mut program = Program::new()?
        .set("NODE_IPS", "127.21.9.1,127.21.9.2")
        .set("LOCAL_IP", "127.21.9.2")
        .set("LEADER_IP", "127.21.9.1");
    program.start()?;
    let folder = program.path("run");
    let (status, line) = health(&folder, &[])?;
    assert_eq!(status, Some(1), "{line}");
    assert!(line.contains("OVN_IC_Southbound"), "{line}");
    let (status, line) = health(&folder, &["--alive"])?;
    assert_eq!(status, Some(0), "{line}");
    Ok(())
}
