//! What the log says of clients and files, and how its lines look.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use serde_json::{Value, json};

use crate::program::Program;

/// What a side's log file has.
fn log(program: &Program, side: &str) -> Result<String> {
    let path = program.path(&format!("log/ovsdb-server-ic-{side}.log"));
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn connect(program: &Program, side: &str) -> Result<Client> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, program.port(side)?));
    let mut client = Client::tcp(address)?;
    client.call("echo", json!([]))?;
    Ok(client)
}

/// How many lines have all these words.
fn count(log: &str, words: &[&str]) -> usize {
    let has = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().filter(has).count()
}

fn wait_for_line(program: &mut Program, side: &str, words: &[&str]) -> Result<()> {
    program.wait(&format!("{words:?} in the log"), |program| {
        Ok((count(&log(program, side)?, words) > 0).then_some(()))
    })
}

#[test]
fn clients_that_come_and_go_are_told_in_their_databases_log() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    drop(connect(&program, "nb")?);
    wait_for_line(
        &mut program,
        "nb",
        &["|INFO|tcp:127.0.0.1:", ": disconnected after "],
    )?;
    let mut nonsense = connect(&program, "sb")?;
    nonsense.send_bytes(b"no JSON")?;
    wait_for_line(
        &mut program,
        "sb",
        &["|WARN|tcp:127.0.0.1:", "connection dropped"],
    )?;
    // Whoever says nothing, as those do who only look whether the port is open, is not told.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, program.port("sb")?));
    drop(std::net::TcpStream::connect(address)?);
    program.ctl("sb", &["show"])?;
    program.control("sb", &["ovsdb-server/compact"])?;
    wait_for_line(&mut program, "sb", &["OVN_IC_Southbound: compacted from "])?;
    let (nb, sb) = (log(&program, "nb")?, log(&program, "sb")?);
    for (log, counts) in [(&nb, [1, 1, 0, 0]), (&sb, [1, 0, 1, 1])] {
        let words = [
            ": connected",
            ": disconnected after ",
            "connection dropped",
            "compact",
        ];
        let found = words.map(|words| count(log, &[words]).min(1));
        assert_eq!(found, counts, "{log}");
        assert_eq!(count(log, &[": connected"]), 1, "{log}");
    }
    Ok(())
}

#[test]
fn a_client_that_comes_all_the_time_does_not_fill_the_log() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    for _ in 0..60 {
        drop(connect(&program, "nb")?);
    }
    let _last = connect(&program, "sb")?;
    wait_for_line(&mut program, "sb", &[": connected"])?;
    let nb = log(&program, "nb")?;
    let told = count(&nb, &[": connected"]);
    // One more for each minute that this has taken on a busy machine.
    ensure!((10..15).contains(&told), "{nb}");
    ensure!(count(&nb, &[": disconnected"]) <= told, "{nb}");
    Ok(())
}

#[test]
fn lines_can_be_json() -> Result<()> {
    let mut program = Program::new()?.set("OVN_IC_DB_LOG_FORMAT", "json");
    program.start()?;
    let mut nonsense = connect(&program, "nb")?;
    nonsense.send_bytes(b"no JSON")?;
    wait_for_line(&mut program, "nb", &["connection dropped"])?;
    program.stop()?;
    let parse = |text: &str| -> Result<Vec<Value>> {
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    };
    let north = parse(&log(&program, "nb")?)?;
    for line in &north {
        for member in ["time", "level", "module", "message"] {
            ensure!(line[member].is_string(), "{member}: {line}");
        }
        ensure!(line["db"] != "sb", "{line}");
    }
    let dropped = north.iter().find(|line| line["level"] == "warn");
    let dropped = dropped.context("a warning")?;
    assert_eq!(dropped["db"], "nb");
    assert_eq!(dropped["module"], "ovsdb_server::session::greeting");
    let south = parse(&log(&program, "sb")?)?;
    ensure!(
        south.iter().all(|line| line["level"] != "warn"),
        "{south:?}"
    );
    // The console has both.
    let console = parse(&program.said())?;
    for db in ["nb", "sb"] {
        ensure!(console.iter().any(|line| line["db"] == db), "{console:?}");
    }
    let mut wrong = Program::new()?.set("OVN_IC_DB_LOG_FORMAT", "xml");
    let (status, said) = wrong.fails()?;
    assert_eq!(status, 2);
    ensure!(
        said.contains("OVN_IC_DB_LOG_FORMAT=xml: must be text or json"),
        "{said}"
    );
    Ok(())
}
