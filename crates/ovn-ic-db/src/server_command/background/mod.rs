//! The processes of one server: the one that was called, one that looks after the one that serves
//! (`--monitor`), and the one that serves, in the background with `--detach` (ovsdb-server(1), "Daemon
//! Options"). Each starts the next by starting the program again.

mod crash_signals;
mod detach;
mod monitor;
mod user;

pub use crash_signals::die_of_sent_signals;
pub use detach::{leave_session, ready};
pub use monitor::look_after;
pub use user::become_user;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context;

use super::known::PART;
use super::options::Options;
use super::part::Part;

/// What a process writes to its standard output when it serves.
const READY: &[u8] = b"ready\n";

/// The process that this one is to start and wait for, if it does not serve itself.
pub fn next_part(options: &Options) -> Option<Part> {
    match options.part {
        Part::Called if options.monitor => Some(Part::Monitor {
            detached: options.detach,
        }),
        Part::Called if options.detach => Some(Part::Worker {
            detached: true,
            saves: false,
        }),
        Part::Called | Part::Worker { .. } => None,
        Part::Monitor { detached } => Some(Part::Worker {
            detached,
            saves: true,
        }),
    }
}

/// How a process that was started has begun.
enum Beginning {
    /// It serves.
    Ready(Child),
    /// It has ended; it has said why.
    Over(ExitStatus),
}

/// Starts the program as another part with the same arguments and waits until it serves. `saved` is its
/// standard input.
fn start(arguments: &[OsString], part: Part, saved: Option<&File>) -> anyhow::Result<Beginning> {
    let program = std::env::current_exe().context("the program does not find itself")?;
    let input = match saved {
        Some(file) => file.try_clone()?.into(),
        None => Stdio::null(),
    };
    let mut child = Command::new(program)
        // It goes by this in messages. Not to be taken for a file behind the word itself.
        .args(["ovsdb-server", &format!("--{PART}={}", part.name())])
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .context("no process can be started in the background")?;
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(READY.len() as u64).read_to_end(&mut said)?;
    }
    match said == READY {
        true => Ok(Beginning::Ready(child)),
        false => Ok(Beginning::Over(child.wait()?)),
    }
}

/// Starts the process that goes on in the background. True if it serves.
///
/// # Errors
/// If it cannot be started.
pub fn send_away(arguments: &[OsString], part: Part) -> anyhow::Result<bool> {
    match start(arguments, part, None)? {
        Beginning::Ready(_) => Ok(true),
        Beginning::Over(_) => Ok(false),
    }
}
