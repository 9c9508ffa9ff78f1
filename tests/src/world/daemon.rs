//! A real program running in the foreground as a child of the test.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::guard;
use crate::process::{START_DEADLINE, wait_for};

/// How to start a program, and the child if it runs. Dropping it kills the
/// child.
#[derive(Debug)]
pub struct Daemon {
    executable: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    output: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// A program that is not started yet; `output` is the file that gets what
    /// it prints.
    #[must_use]
    pub fn new(executable: PathBuf, arguments: Vec<OsString>, output: PathBuf) -> Self {
        Self {
            executable,
            arguments,
            environment: Vec::new(),
            output,
            child: None,
        }
    }

    /// The same with more environment variables.
    #[must_use]
    pub fn with_environment(mut self, environment: Vec<(OsString, OsString)>) -> Self {
        self.environment = environment;
        self
    }

    /// Starts it, or starts it again after it was stopped.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start(&mut self) -> Result<()> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(&self.output)?;
        let folder = self.output.parent().unwrap_or(Path::new("/"));
        let mut command = Command::new(&self.executable);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = guard::spawn(command)
            .with_context(|| format!("{} does not start", self.executable.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Fails if the program should run and has ended, with its last words.
    ///
    /// # Errors
    /// Then.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            let said = fs::read_to_string(&self.output).unwrap_or_default();
            bail!("{} ended: {status}\n{said}", self.executable.display());
        }
        Ok(())
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// If the system cannot wait for it.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself already.
            let _ = child.kill();
            child.wait()?;
        }
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("not running")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stops it with SIGTERM.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.wait_for_end()
    }

    /// Waits until it ends, having been told to.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("not running")?;
        wait_for(
            "the program's end",
            START_DEADLINE,
            || Ok(child.try_wait()?),
        )?;
        self.child = None;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.kill9();
    }
}
