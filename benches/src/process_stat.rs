//! What the kernel says about a process: memory and processor time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// `USER_HZ`, the unit of the times in `/proc/PID/stat`: 100 on every Linux this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// Resident memory of a process in bytes (`Rss` in `/proc/PID/smaps_rollup`).
pub fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .context("no Rss line")?;
    let kib: u64 = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .context("Rss is no number")?;
    Ok(kib * 1024)
}

/// Resident memory once it no longer changes (by more than 128 KiB in 0.3 s), or after ten seconds.
pub fn settled_resident(pid: u32) -> Result<u64> {
    let started = Instant::now();
    let mut last = resident(pid)?;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = resident(pid)?;
        if now.abs_diff(last) <= 128 << 10 || started.elapsed() > Duration::from_secs(10) {
            return Ok(now);
        }
        last = now;
    }
}

/// Processor time a process has used so far, in user mode and in the kernel, all threads.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The second field is the program's name in parentheses and may hold spaces.
    let fields = text.rsplit_once(')').context("no name in stat")?.1;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    let ticks = ticks
        .sum::<Result<u64, _>>()
        .context("times are no numbers")?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn together(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| processor_time(*pid)).sum()
}

/// Processor time of a server and of this program over a span of time.
pub struct Busy {
    pids: Vec<u32>,
    server: Duration,
    generator: Duration,
    started: Instant,
}

/// What [`Busy`] found.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Processor time of all processes of the server.
    pub server: Duration,
    /// Share of one processor that this program took, 1.0 being all of it: then it is the bottleneck.
    pub generator: f64,
}

impl Busy {
    /// Begins to count for the server with these process ids.
    pub fn start(pids: &[u32]) -> Result<Self> {
        let generator = processor_time(std::process::id())?;
        Ok(Self {
            pids: pids.to_vec(),
            server: together(pids)?,
            generator,
            started: Instant::now(),
        })
    }

    /// What was used since the start.
    pub fn used(&self) -> Result<Used> {
        let server = together(&self.pids)?.saturating_sub(self.server);
        let generator = processor_time(std::process::id())?.saturating_sub(self.generator);
        let generator = generator.as_secs_f64() / self.started.elapsed().as_secs_f64();
        Ok(Used { server, generator })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time() {
        let pid = std::process::id();
        assert!(resident(pid).unwrap() > 100_000);
        assert!(processor_time(pid).unwrap() < Duration::from_secs(3600));
    }
}
