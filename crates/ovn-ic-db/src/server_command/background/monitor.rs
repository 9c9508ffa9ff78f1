//! Looking after the process that serves: one that crashes is started again, with the configuration that
//! commands had made (`--monitor`).

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;

use super::super::part::Part;
use super::{Beginning, ready, start};

/// A process that crashes again is not started sooner than this after the last time.
const PAUSE: Duration = Duration::from_secs(10);

/// The signals that a bug brings about.
const CRASHES: [(Signal, &str); 9] = [
    (Signal::ABORT, "Aborted"),
    (Signal::ALARM, "Alarm clock"),
    (Signal::BUS, "Bus error"),
    (Signal::FPE, "Floating point exception"),
    (Signal::ILL, "Illegal instruction"),
    (Signal::PIPE, "Broken pipe"),
    (Signal::SEGV, "Segmentation fault"),
    (Signal::XCPU, "CPU time limit exceeded"),
    (Signal::XFSZ, "File size limit exceeded"),
];

fn has_crashed(status: ExitStatus) -> bool {
    let signal = status.signal();
    signal.is_some_and(|signal| CRASHES.iter().any(|(crash, _)| crash.as_raw() == signal))
}

/// Starts the process that serves, and starts it again whenever it has crashed. `part` is its. With
/// `away`, somebody waits for this process to go to the background, where it may stay in its folder.
///
/// # Errors
/// If it cannot be started.
pub fn look_after(
    arguments: &[OsString],
    part: Part,
    away: Option<bool>,
) -> anyhow::Result<ExitCode> {
    // Whoever is started finds there what was configured last; nobody else does.
    let saved = tempfile::tempfile().context("no file can be made for the configuration")?;
    let mut child = match start(arguments, part, Some(&saved))? {
        Beginning::Ready(child) => child,
        Beginning::Over(status) => return Ok(as_code(status)),
    };
    if let Some(stay) = away {
        ready(true, stay, false).context("the terminal cannot be left")?;
    }
    let mut crashes = 0;
    loop {
        let status = child.wait()?;
        let pid = child.id();
        if !has_crashed(status) {
            tracing::info!("pid {pid} died, {}, exiting", words(status));
            return Ok(as_code(status));
        }
        crashes += 1;
        let words = words(status);
        tracing::error!("{crashes} crashes: pid {pid} died, {words}, restarting");
        child = start_again(arguments, part, &saved)?;
    }
}

fn start_again(arguments: &[OsString], part: Part, saved: &File) -> anyhow::Result<Child> {
    loop {
        let began = Instant::now();
        match start(arguments, part, Some(saved))? {
            Beginning::Ready(child) => return Ok(child),
            Beginning::Over(status) => {
                tracing::error!("the process that was started again ended: {status}");
                std::thread::sleep(PAUSE.saturating_sub(began.elapsed()));
            }
        }
    }
}

/// How a process has ended, in the reference's words.
fn words(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("exit status {}", status.code().unwrap_or_default());
    };
    let crash = CRASHES.iter().find(|(crash, _)| crash.as_raw() == signal);
    let name = match crash {
        Some((_, name)) => (*name).to_owned(),
        None => format!("signal {signal}"),
    };
    let core = if status.core_dumped() {
        ", core dumped"
    } else {
        ""
    };
    format!("killed ({name}){core}")
}

fn as_code(status: ExitStatus) -> ExitCode {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    }
}
