//! Going to the background.

use std::fs::File;
use std::io::{self, Write};

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::READY;

/// Leaves the terminal's session, in the process in the background.
///
/// # Errors
/// If the system refuses.
pub fn leave_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Tells the process that waits that this one serves, and lets go of all that it shares with it if
/// it is in the background. `stay`: the working folder stays as it is. With `keep_input` its
/// standard input is of use still.
///
/// # Errors
/// If the system refuses.
pub fn ready(detached: bool, stay: bool, keep_input: bool) -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    if detached {
        crate::logging::flush();
        if !stay {
            std::env::set_current_dir("/")?;
        }
        if !keep_input {
            dup2_stdin(&nothing)?;
        }
        dup2_stderr(&nothing)?;
    }
    let mut output = io::stdout();
    output.write_all(READY)?;
    output.flush()?;
    dup2_stdout(&nothing)?;
    Ok(())
}
