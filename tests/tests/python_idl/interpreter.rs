//! Interpreters that have `ovs`. Another one on `PATH` need not have it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Python {
    /// Of Debian's python3-openvswitch.
    Debian,
    /// Of the virtual environment with PyPI's, or that which `OVN_IC_DB_PYTHON` names.
    PyPi,
}

impl Python {
    pub const BOTH: [Self; 2] = [Self::Debian, Self::PyPi];

    pub fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::PyPi => "pypi",
        }
    }

    pub fn executable(self) -> Result<PathBuf> {
        let (python, remedy) = match self {
            Self::Debian => (
                "/usr/bin/python3".into(),
                "apt-get install python3-openvswitch",
            ),
            Self::PyPi => (environment()?, "make packages"),
        };
        let output = Command::new(&python)
            .args(["-c", "import ovs.db.idl"])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{} does not start: {remedy}", python.display()))?;
        ensure!(
            output.status.success(),
            "{} has no ovs: {remedy}",
            python.display()
        );
        Ok(python)
    }
}

/// What `tests/install-python.sh` has made in the target folder.
fn environment() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("OVN_IC_DB_PYTHON") {
        return Ok(named.into());
    }
    // A test runs as target/PROFILE/deps/NAME-HASH, or deeper by the name of a platform.
    let test = std::env::current_exe().context("where the test itself is")?;
    test.ancestors()
        .skip(2)
        .take(3)
        .map(|folder| folder.join("python/bin/python"))
        .find(|candidate| candidate.is_file())
        .with_context(|| {
            let test = test.display();
            format!("no virtual environment in the target folder of {test}: make packages")
        })
}
