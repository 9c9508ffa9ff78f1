//! Where the programs are.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Which implementation to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's `ovsdb-server`, or the one that `OVSDB_SERVER_BIN` names.
    Reference,
    /// `ovn-ic-db ovsdb-server`, from `OVN_IC_DB_BIN` or the target folder.
    Ours,
}

/// Finds an executable on `PATH` or in the folders of system daemons.
///
/// # Errors
/// Says which Debian package to install if there is no such program.
pub fn require(program: &str, debian_package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{program} is missing: apt-get install {debian_package}"))
}

/// The executable of a program under test.
///
/// # Errors
/// If it is not there, with what to do about it.
pub fn executable(program: Program) -> Result<PathBuf> {
    match program {
        Program::Reference => match std::env::var_os("OVSDB_SERVER_BIN") {
            Some(path) => Ok(path.into()),
            None => require("ovsdb-server", "openvswitch-common"),
        },
        Program::Ours => {
            if let Some(path) = std::env::var_os("OVN_IC_DB_BIN") {
                return Ok(path.into());
            }
            built("ovn-ic-db").context("cargo build -p ovn-ic-db")
        }
    }
}

/// A program of this workspace that was built with the test.
///
/// # Errors
/// If it was not.
pub fn built(program: &str) -> Result<PathBuf> {
    // A test runs as target/PROFILE/deps/NAME-HASH, or one folder higher.
    let test = std::env::current_exe().context("where the test itself is")?;
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("no {program} near {}", test.display()))
}
