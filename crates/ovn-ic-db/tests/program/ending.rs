//! How it ends, and what is left then.

use std::fs;

use anyhow::{Result, ensure};
use ovn_ic_db_tests::client::Client;
use rustix::process::Signal;
use serde_json::json;

use crate::program::{Program, tool};

/// Nothing that was there while it ran is there now, and the files are free.
fn has_gone(program: &Program) -> Result<()> {
    ensure!(
        program.run_folder()?.is_empty(),
        "{:?}",
        program.run_folder()?
    );
    for side in ["nb", "sb"] {
        let file = program.database(side)?;
        // Takes the lock, and checks every record.
        tool("ovsdb-tool", ["compact".as_ref(), file.as_os_str()])?;
        assert!(!file.with_extension("db.tmp").exists());
    }
    Ok(())
}

#[test]
fn signals_end_it_cleanly() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::new()?;
        program.start()?;
        // An idle client and a waiting one hold nothing up.
        let mut idle = program.client("nb")?;
        idle.call("list_dbs", json!([]))?;
        let mut waiting = program.client("sb")?;
        waiting.request(
            "transact",
            json!(["OVN_IC_Southbound", {"op": "wait", "table": "Availability_Zone", "where": [],
                "columns": ["name"], "until": "==", "rows": [{"name": "never"}]}]),
        )?;
        program.signal(signal)?;
        let status = program.end()?;
        assert!(status.success(), "{status}: {}", program.said());
        has_gone(&program)?;
    }
    Ok(())
}

#[test]
fn it_ends_while_it_loads() -> Result<()> {
    for signal in [true, false] {
        let mut program = Program::new()?;
        program.large_file(300_000)?;
        let before = fs::read(program.database("nb")?)?;
        program.launch()?;
        let mut control = program.wait("the control socket", |program| {
            Ok(Client::unix(&program.control_socket("nb")).ok())
        })?;
        let loaded = control.call("ovsdb-server/list-dbs", json!([]))?;
        assert_eq!(loaded, json!("_Server\n"));
        if signal {
            program.signal(Signal::TERM)?;
        } else {
            control.call("exit", json!([]))?;
        }
        let status = program.end()?;
        assert!(status.success(), "{status}: {}", program.said());
        assert!(program.run_folder()?.is_empty());
        assert!(
            fs::read(program.database("nb")?)? == before,
            "the file is touched"
        );
        assert!(!program.said().contains(" rows, on"), "it was loaded first");
    }
    Ok(())
}

#[test]
fn exit_on_either_control_socket_ends_it() -> Result<()> {
    for side in ["nb", "sb"] {
        let mut program = Program::new()?;
        program.start()?;
        assert_eq!(program.control(side, &["exit"])?, "", "the answer comes");
        let status = program.end()?;
        assert!(status.success(), "{status}: {}", program.said());
        has_gone(&program)?;
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_after_the_end() -> Result<()> {
    for durable in ["always", "asked"] {
        let mut program = Program::new()?.set("OVN_IC_DB_DURABLE", durable);
        program.start()?;
        let mut client = program.client("nb")?;
        for number in 0..50 {
            let insert = json!({"op": "insert", "table": "Transit_Switch",
                "row": {"name": format!("s{number}")}});
            client.transact("OVN_IC_Northbound", &[insert])?;
        }
        program.stop()?;
        program.start()?;
        let names = program.ctl(
            "nb",
            &["--bare", "--columns=name", "list", "Transit_Switch"],
        )?;
        assert_eq!(names.split_whitespace().count(), 50, "{durable}");
    }
    Ok(())
}

#[test]
fn hanging_up_opens_the_log_files_anew() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let log = program.path("log/ovsdb-server-ic-sb.log");
    fs::rename(&log, program.path("log/old"))?;
    program.signal(Signal::HUP)?;
    program.wait("the new log file", |_| {
        let text = fs::read_to_string(&log).unwrap_or_default();
        Ok(text.contains("opened log file").then_some(()))
    })?;
    program.stop()?;
    assert!(fs::read_to_string(&log)?.contains("|stopped"));
    assert!(!fs::read_to_string(program.path("log/old"))?.contains("|stopped"));
    Ok(())
}
