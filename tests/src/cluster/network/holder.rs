//! A network namespace, kept alive by a process.
//!
//! No privilege is needed: a user who is not root gets a user namespace. The
//! process ends when its standard input is closed; the kernel removes what
//! nobody holds.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cluster::guard;
use crate::process::require;

/// A process that keeps a namespace alive.
#[derive(Debug)]
pub struct Holder {
    child: Child,
    /// Whether it is in a user namespace as well.
    user: bool,
}

impl Holder {
    /// Makes a new network namespace.
    ///
    /// # Errors
    /// If the machine does not permit namespaces or lacks a program.
    pub fn outermost() -> Result<Self> {
        let user = !rustix::process::geteuid().is_root();
        Self::start(&[], user).context(
            "a network namespace cannot be made here: run as root, or permit user namespaces",
        )
    }

    /// Makes another one beside it, with the same rights.
    ///
    /// # Errors
    /// As [`Holder::outermost`].
    pub fn inner(&self) -> Result<Self> {
        Self::start(&self.enter(), self.user)
    }

    /// The process, by which others name the namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes a new network namespace, from the one that `within` enters.
    fn start(within: &[OsString], user: bool) -> Result<Self> {
        let outermost = within.is_empty();
        let flags = if user && outermost { "-Urn" } else { "-n" };
        // It says when it is there, and then waits for the end of its input.
        let mut line = within.to_vec();
        line.extend(["unshare", flags, "sh", "-c", "echo && exec cat"].map(OsString::from));
        let mut command = command(&line)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = guard::spawn(command).context("unshare does not start")?;
        let mut made = [0];
        let stdout = child.stdout.as_mut().context("no output")?;
        let read = stdout.read_exact(&mut made);
        let holder = Self { child, user };
        read.context("unshare has failed")?;
        Ok(holder)
    }

    /// What a command line begins with to run in it.
    #[must_use]
    pub fn enter(&self) -> Vec<OsString> {
        let mut line = vec![
            "nsenter".to_owned(),
            "-t".into(),
            self.child.id().to_string(),
        ];
        if self.user {
            line.extend(["-U".into(), "--preserve-credentials".into()]);
        }
        line.extend(["-n".into(), "--".into()]);
        line.into_iter().map(OsString::from).collect()
    }

    /// Has `ip` do these commands in it.
    ///
    /// # Errors
    /// With what it says if it refuses one.
    pub fn ip(&self, lines: &str) -> Result<()> {
        let ip = require("ip", "iproute2")?;
        self.run(&[&ip.to_string_lossy(), "-batch", "-"], lines)
    }

    /// Runs a program in it to its end.
    ///
    /// # Errors
    /// With what it says if it fails.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut line = self.enter();
        line.extend(arguments.iter().map(OsString::from));
        let mut child = command(&line)?
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        let fed = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success() && fed.is_ok(),
            "{arguments:?} with {input:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command whose first word is looked for as [`require`] does.
///
/// # Errors
/// If there is no such program.
pub fn command(line: &[OsString]) -> Result<Command> {
    let (program, arguments) = line.split_first().context("an empty command")?;
    let mut command = Command::new(require(&program.to_string_lossy(), "util-linux")?);
    command.args(arguments);
    Ok(command)
}
