//! Going to the background: the process starts itself again, and ends when that one serves.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::Context;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::options::DETACHED;

/// What the process in the background writes to its standard output when it serves.
const READY: &[u8] = b"ready\n";

/// Starts the process in the background with the same arguments and waits until it serves. False
/// if it has ended instead; it has said why.
pub fn start(arguments: &[OsString]) -> anyhow::Result<bool> {
    let program = std::env::current_exe().context("the program does not find itself")?;
    let mut child = Command::new(program)
        // Not as `ovsdb-server`: then the word would be taken for a file.
        .arg0("ovn-ic-db")
        .arg("ovsdb-server")
        .arg(format!("--{DETACHED}"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("no process can be started in the background")?;
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(READY.len() as u64).read_to_end(&mut said)?;
    }
    if said == READY {
        return Ok(true);
    }
    child.wait()?;
    Ok(false)
}

/// Leaves the terminal's session, in the process in the background.
pub fn leave_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Tells the process that waits that this one serves, and lets go of all that it shares with it.
/// `stay`: the working folder stays as it is.
pub fn ready(stay: bool) -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    if !stay {
        std::env::set_current_dir("/")?;
    }
    dup2_stdin(&nothing)?;
    dup2_stderr(&nothing)?;
    let mut output = io::stdout();
    output.write_all(READY)?;
    output.flush()?;
    dup2_stdout(&nothing)?;
    Ok(())
}
