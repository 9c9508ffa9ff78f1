//! A console that nobody reads stops nobody.

use std::fs;
use std::io::{BufRead, BufReader, pipe};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::program::{DEADLINE, Program};

/// How many lines of a kilobyte and more are caused: more than a pipe and the queue before it hold.
const REQUESTS: usize = 8000;

#[test]
fn clients_are_answered_while_nobody_reads_the_console() -> Result<()> {
    let (reader, writer) = pipe()?;
    let mut program = Program::new()?;
    program.launch_to(Stdio::null(), writer)?;
    program.wait_for_databases()?;
    program.control("nb", &["vlog/set", "jsonrpc:console:dbg"])?;
    let mut client = program.client("nb")?;
    client.deadline = DEADLINE;
    let text = "x".repeat(1000);
    for number in 0..REQUESTS {
        let answer = client.call("echo", json!([number, text]))?;
        ensure!(answer[0] == number, "{answer}");
    }
    ensure!(program.ctl("nb", &["ts-add", "one"]).is_ok());
    ensure!(program.control("sb", &["version"])?.contains("ovn-ic-db"));

    // The log files have what they always have, and somebody who reads at last is told.
    program.control("nb", &["vlog/set", "jsonrpc:console:info"])?;
    let lines = std::thread::spawn(move || -> Result<Vec<String>> {
        Ok(BufReader::new(reader).lines().collect::<Result<_, _>>()?)
    });
    let log = program.path("log/ovsdb-server-ic-nb.log");
    let told = " lines for the console were left out, as nobody read it";
    program.wait("the count", |program| {
        // Any line will do.
        program.client("nb")?.send_bytes(b"no JSON")?;
        let text = fs::read_to_string(&log)?;
        Ok(text.contains(told).then_some(()))
    })?;
    program.stop()?;
    let lines = lines.join().expect("no panic")?;
    ensure!(lines.iter().any(|line| line.contains(told)));
    ensure!(lines.iter().any(|line| line.contains("SIGTERM: stopping")));
    ensure!(
        lines.last().is_some_and(|line| line.contains("stopped")),
        "{:?}",
        lines.last()
    );
    Ok(())
}

#[test]
fn it_ends_while_nobody_reads_the_console() -> Result<()> {
    let (_reader, writer) = pipe()?;
    let mut program = Program::new()?;
    program.launch_to(Stdio::null(), writer)?;
    program.wait_for_databases()?;
    program.control("nb", &["vlog/set", "jsonrpc:console:dbg"])?;
    let mut client = program.client("nb")?;
    for number in 0..200 {
        client.call("echo", json!([number, "x".repeat(1000)]))?;
    }
    let begin = Instant::now();
    program.stop()?;
    ensure!(begin.elapsed() < Duration::from_secs(20));
    Ok(())
}
