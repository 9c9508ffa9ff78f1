//! Running `ovn-*ctl` as a person or a script does.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::require;

/// One of the ctl tools with the database it talks to.
#[derive(Clone, Debug)]
pub struct Ctl {
    program: PathBuf,
    remotes: String,
}

/// What a command gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit status, -1 after a signal.
    pub status: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub error: String,
}

impl Ctl {
    /// `remotes` is what `--db` takes: one remote, or a comma list.
    ///
    /// # Errors
    /// If the program is missing, with the Debian package that has it.
    pub fn new(program: &str, debian_package: &str, remotes: &str) -> Result<Self> {
        Ok(Self {
            program: require(program, debian_package)?,
            remotes: remotes.to_owned(),
        })
    }

    /// Runs a command, whatever comes out.
    ///
    /// # Errors
    /// If the program does not start.
    pub fn ask(&self, arguments: &[&str]) -> Result<Said> {
        let output = Command::new(&self.program)
            .arg(format!("--db={}", self.remotes))
            .arg("--timeout=15")
            .args(arguments)
            .output()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        Ok(Said {
            status: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs commands that must succeed, and gives the output. `line` is split
    /// at spaces, for commands whose arguments have none.
    ///
    /// # Errors
    /// If they fail, with what they said.
    pub fn run(&self, line: &str) -> Result<String> {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let said = self.ask(&arguments)?;
        ensure!(
            said.status == 0,
            "{} {line}: exit {}: {}",
            self.program.display(),
            said.status,
            said.error
        );
        Ok(said.output)
    }
}
