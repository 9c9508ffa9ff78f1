//! Docker's command line.

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::{require, wait_for};

/// How long a container may take for anything on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program to its end.
///
/// # Errors
/// If it is missing, or fails, with what it said.
pub fn run(program: &str, debian_package: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(require(program, debian_package)?)
        .args(arguments)
        .output()?;
    told(program, arguments, &output)
}

fn told(program: &str, arguments: &[&str], output: &Output) -> Result<String> {
    ensure!(
        output.status.success(),
        "{program} {}: {}: {}{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `docker ...`.
///
/// # Errors
/// As [`run`].
pub fn docker(arguments: &[&str]) -> Result<String> {
    run("docker", "docker.io", arguments)
}

/// The guide's `--privileged`. Docker refuses it on a machine that lacks some capability itself, as
/// sandboxes do; there it is as much as a machine has that can run these tests.
///
/// # Errors
/// If the kernel does not say what there is.
pub fn privileged() -> Result<Vec<&'static str>> {
    let status = fs::read_to_string("/proc/1/status")?;
    let bounds = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let there = u64::from_str_radix(bounds.context("no CapBnd")?.trim(), 16)?;
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?
        .trim()
        .parse()?;
    Ok(match there.count_ones() == last + 1 {
        true => vec!["--privileged"],
        false => vec![
            "--cap-add=SYS_ADMIN",
            "--cap-add=NET_ADMIN",
            "--security-opt=seccomp=unconfined",
        ],
    })
}

/// A container. It goes with its sandbox.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name.
    pub name: String,
}

impl Container {
    /// Runs a command inside; its output.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub fn exec(&self, line: &[&str]) -> Result<String> {
        docker(&[&["exec", &self.name][..], line].concat())
    }

    /// Everything that it has printed.
    ///
    /// # Errors
    /// If Docker does not know it.
    pub fn logs(&self) -> Result<String> {
        let output = Command::new(require("docker", "docker.io")?)
            .args(["logs", &self.name])
            .output()?;
        let [out, err] = [output.stdout, output.stderr].map(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.into_owned()
        });
        Ok(out + &err)
    }

    /// A field of `docker inspect`.
    ///
    /// # Errors
    /// If there is none.
    pub fn inspect(&self, field: &str) -> Result<String> {
        let format = format!("{{{{{field}}}}}");
        Ok(docker(&["inspect", "--format", &format, &self.name])?
            .trim()
            .to_owned())
    }

    /// Waits until a command inside succeeds; its output.
    ///
    /// # Errors
    /// If it does not in time, with its last words, or if the container ends.
    pub fn wait_for(&self, line: &[&str]) -> Result<String> {
        let mut last = String::new();
        let waited = wait_for(
            &format!("{} in {}", line.join(" "), self.name),
            PATIENCE,
            || {
                ensure!(
                    self.inspect(".State.Running")? == "true",
                    "{} has ended",
                    self.name
                );
                match self.exec(line) {
                    Ok(said) => Ok(Some(said)),
                    Err(error) => {
                        last = format!("{error:#}");
                        std::thread::sleep(Duration::from_millis(50));
                        Ok(None)
                    }
                }
            },
        );
        waited.with_context(|| format!("{last}\n{}", self.logs().unwrap_or_default()))
    }

    /// `docker stop`: how long it took, and the exit status.
    ///
    /// # Errors
    /// If Docker does not know it.
    pub fn stop(&self) -> Result<(Duration, i32)> {
        let begun = Instant::now();
        docker(&["stop", &self.name])?;
        let took = begun.elapsed();
        Ok((took, self.inspect(".State.ExitCode")?.parse()?))
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&self) -> Result<()> {
        docker(&["kill", &self.name]).map(drop)
    }

    /// Starts it again after [`Container::kill`] or [`Container::stop`].
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self) -> Result<()> {
        docker(&["start", &self.name]).map(drop)
    }

    /// Takes it away.
    ///
    /// # Errors
    /// If Docker cannot.
    pub fn remove(&self) -> Result<()> {
        docker(&["rm", "--force", "--volumes", &self.name]).map(drop)
    }
}
