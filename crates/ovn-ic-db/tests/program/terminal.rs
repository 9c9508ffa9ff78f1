//! What is shown on a terminal only: colours, and how far something is.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use ovn_ic_db_tests::process::require;

use crate::program::Program;

const OURS: &str = env!("CARGO_BIN_EXE_ovn-ic-db");
/// What colours begin with.
const ESCAPE: &str = "\u{1b}[";

/// What a command shows on a terminal of its own.
fn on_terminal(line: &str) -> Result<String> {
    let script = require("script", "bsdutils")?;
    let output = Command::new(script)
        .args(["-qec", line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What it says in pipes, both of them.
fn in_pipe(line: &str) -> Result<String> {
    let output = Command::new("sh").args(["-c", line]).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn colours_are_for_terminals() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let line = format!("{OURS} status --run-dir {}", program.path("run").display());
    let shown = on_terminal(&line)?;
    ensure!(shown.contains("OVN_IC_Northbound"), "{shown}");
    ensure!(shown.contains(&format!("{ESCAPE}32mstandalone")), "{shown}");
    let plain = on_terminal(&format!("NO_COLOR=1 {line}"))?;
    let piped = in_pipe(&line)?;
    for text in [plain, piped] {
        ensure!(text.contains("standalone"), "{text}");
        ensure!(!text.contains(ESCAPE), "{text:?}");
    }
    Ok(())
}

/// The line of a command that waits for a server which never answers.
fn waiting(folder: &Path) -> Result<(UnixListener, String)> {
    let silent = UnixListener::bind(folder.join("ovn_ic_nb_db.ctl"))?;
    let folder = folder.display();
    let line = format!("{OURS} compact --only nb --timeout 2 --run-dir {folder}");
    Ok((silent, line))
}

#[test]
fn what_takes_long_is_seen_on_a_terminal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_silent, line) = waiting(folder.path())?;
    let moving = "OVN_IC_Northbound is compacted";
    let shown = on_terminal(&line)?;
    ensure!(shown.contains(moving), "{shown:?}");
    ensure!(!shown.contains(" B"), "nothing is counted: {shown:?}");
    let piped = in_pipe(&line)?;
    for (text, what) in [(&shown, "terminal"), (&piped, "pipe")] {
        ensure!(text.contains("no answer within 2 s"), "{what}: {text}");
    }
    ensure!(!piped.contains(moving), "{piped}");
    Ok(())
}
