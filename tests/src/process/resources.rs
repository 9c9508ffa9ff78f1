//! What a running server uses of the machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Server;

impl Server {
    /// How much memory it has in use now.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        let pages: u64 = self
            .proc("statm")?
            .split_whitespace()
            .nth(1)
            .context("statm without a second figure")?
            .parse()?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// How much processor time it has used.
    ///
    /// # Errors
    /// If it does not run.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The name in parentheses may hold spaces; user and system time are the
        // 12th and 13th figure behind it.
        let (_, rest) = stat.rsplit_once(')').context("stat without a name")?;
        let ticks: Vec<u64> = rest
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let ticks = ticks.iter().sum::<u64>() as f64;
        let second = rustix::param::clock_ticks_per_second() as f64;
        Ok(Duration::from_secs_f64(ticks / second))
    }

    /// How many files, sockets among them, it has open.
    ///
    /// # Errors
    /// If it does not run.
    pub fn open_files(&self) -> Result<usize> {
        let pid = self.pid().context("the server does not run")?;
        Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
    }

    fn proc(&self, file: &str) -> Result<String> {
        let pid = self.pid().context("the server does not run")?;
        Ok(fs::read_to_string(format!("/proc/{pid}/{file}"))?)
    }
}
