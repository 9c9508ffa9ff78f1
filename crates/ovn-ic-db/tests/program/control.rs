//! The control sockets, with the reference's beside them.

use std::path::Path;

use anyhow::Result;
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Options, Program as Which, Server, Source};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{OLD_SCHEMAS, Program};

/// The answer to a command: result and error, of which one is null.
pub fn ask(socket: &Path, command: &str, arguments: &[&str]) -> Result<[Value; 2]> {
    let mut client = Client::unix(socket)?;
    client.send(&json!({"id": 0, "method": command, "params": arguments}))?;
    let answer = client.receive()?;
    // The replaced server leaves a result out that is null.
    Ok(["result", "error"].map(|member| answer[member].clone()))
}

#[test]
fn commands_say_what_the_replaced_server_says() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let schema = Source::Schema(format!("{OLD_SCHEMAS}/ovn-ic-nb.ovsschema").into());
    let reference = Server::start(Which::Reference, &schema, &Options::default())?;
    for (command, arguments) in [
        ("ovsdb-server/list-dbs", &[][..]),
        ("ovsdb-server/compact", &[]),
        ("ovsdb-server/compact", &["OVN_IC_Northbound"]),
        ("ovsdb-server/compact", &["none"]),
        ("ovsdb-server/compact", &["_Server"]),
        ("ovsdb-server/compact", &["a", "b"]),
        ("ovsdb-server/get-db-storage-status", &["OVN_IC_Northbound"]),
        ("ovsdb-server/get-db-storage-status", &["_Server"]),
        ("ovsdb-server/get-db-storage-status", &["none"]),
        ("ovsdb-server/get-db-storage-status", &[]),
        ("ovsdb-server/reconnect", &[]),
        ("vlog/set", &["console:off"]),
        ("vlog/set", &["nothing"]),
        ("vlog/set", &["file:console"]),
        ("vlog/reopen", &[]),
        ("vlog/close", &[]),
        ("cluster/status", &["OVN_IC_Northbound"]),
        ("cluster/failure-test", &["clear"]),
        ("exit", &["now"]),
        ("bogus", &[]),
    ] {
        let ours = ask(&program.control_socket("nb"), command, arguments)?;
        let theirs = ask(&reference.control_socket(), command, arguments)?;
        assert_eq!(ours, theirs, "{command} {arguments:?}");
    }
    Ok(())
}

#[test]
fn each_socket_speaks_of_its_side() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    for (side, name, other) in [
        ("nb", "OVN_IC_Northbound", "OVN_IC_Southbound"),
        ("sb", "OVN_IC_Southbound", "OVN_IC_Northbound"),
    ] {
        let control = |arguments: &[&str]| program.control(side, arguments);
        assert!(control(&["version"])?.starts_with("ovn-ic-db "));
        assert_eq!(
            control(&["ovsdb-server/list-dbs"])?,
            format!("{name}\n_Server\n")
        );
        let remotes = control(&["ovsdb-server/list-remotes"])?;
        let socket = format!("punix:{}\n", program.socket(side).display());
        assert!(
            remotes.contains("\nptcp:") && remotes.ends_with(&socket),
            "{remotes}"
        );
        assert!(control(&["ovsdb-server/compact", other]).is_err());
        let listed = control(&["list-commands"])?;
        for command in ["exit", "memory/show", "ovsdb-server/compact", "vlog/set"] {
            assert!(listed.contains(&format!("  {command} ")), "{listed}");
        }
        let mut client = program.client(side)?;
        client.call("list_dbs", json!([]))?;
        let memory = control(&["memory/show"])?;
        assert!(memory.contains("sessions:1"), "{memory}");
        // The client is sent away; it would come back by itself.
        control(&["ovsdb-server/reconnect"])?;
        assert!(client.call("list_dbs", json!([])).is_err());
        // Levels of one side's file are no matter of the other's.
        control(&["vlog/set", "ovsdb_server:file:dbg"])?;
        let levels = control(&["vlog/list"])?;
        let line = levels.lines().find(|line| line.starts_with("ovsdb_server"));
        assert_eq!(
            line.map(|line| line.split_whitespace().collect()),
            Some(vec!["ovsdb_server", "INFO", "OFF", "DBG"])
        );
    }
    Ok(())
}

#[test]
fn compaction_keeps_the_rows() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "kept"])?;
    for number in 0..50 {
        program.client("nb")?.call(
            "transact",
            json!(["OVN_IC_Northbound", {"op": "update", "table": "Transit_Switch", "where": [],
                "row": {"other_config": ["map", [["n", number.to_string()]]]}}]),
        )?;
    }
    let file = program.database("nb")?;
    let before = std::fs::metadata(&file)?.len();
    program.control("nb", &["ovsdb-server/compact"])?;
    let after = std::fs::metadata(&file)?.len();
    assert!(after < before, "{before} {after}");
    program.ctl("nb", &["ts-add", "later"])?;
    program.signal(Signal::KILL)?;
    program.end()?;
    program.start()?;
    let shown = program.ctl("nb", &["show"])?;
    assert!(shown.contains("kept") && shown.contains("later"), "{shown}");
    Ok(())
}
