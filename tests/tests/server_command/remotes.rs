//! Remotes that are named by commands and by the database itself.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::{Client, Received};
use ovn_ic_db_tests::process::{Program, Server, free_port, wait_for};
use serde_json::{Value, json};

use crate::{answer, schema, start};

const PATIENCE: Duration = Duration::from_secs(20);
const BOTH: [Program; 2] = [Program::Reference, Program::Ours];

/// A database that says which remotes its server has.
const MANAGED: &str = r#"{"name":"D","version":"1.0.0","tables":{
"Root":{"isRoot":true,"maxRows":1,"columns":{
"names":{"type":{"key":"string","min":0,"max":"unlimited"}},
"connections":{"type":{"key":{"type":"uuid","refTable":"Connection"},"min":0,"max":"unlimited"}}}},
"Connection":{"columns":{"target":{"type":"string"},
"max_backoff":{"type":{"key":"integer","min":0,"max":1}},
"inactivity_probe":{"type":{"key":"integer","min":0,"max":1}},
"read_only":{"type":"boolean"},
"is_connected":{"type":"boolean","ephemeral":true},
"status":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"},"ephemeral":true}}},
"T":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}"#;

const MANAGED_REMOTES: [&str; 2] = ["--remote=db:D,Root,names", "--remote=db:D,Root,connections"];

fn commands(server: &Server) -> Vec<String> {
    let steps: [(&str, &[&str]); 12] = [
        ("ovsdb-server/list-remotes", &[]),
        ("ovsdb-server/add-remote", &["punix:more.sock"]),
        ("ovsdb-server/add-remote", &["punix:more.sock"]),
        ("ovsdb-server/list-remotes", &[]),
        ("ovsdb-server/add-remote", &["db:B,T,n"]),
        ("ovsdb-server/add-remote", &["db:B,T,none"]),
        ("ovsdb-server/add-remote", &["db:B,None,n"]),
        ("ovsdb-server/add-remote", &["db:None,T,n"]),
        ("ovsdb-server/add-remote", &["db:B"]),
        ("ovsdb-server/remove-remote", &["punix:none"]),
        ("ovsdb-server/remove-remote", &["db:B,T,n"]),
        ("ovsdb-server/list-remotes", &[]),
    ];
    let place = server.folder().display().to_string();
    let told = steps.map(|(command, arguments)| {
        let text = answer(server, command, arguments);
        format!("{command} {arguments:?}: {text}").replace(&place, "FOLDER")
    });
    told.to_vec()
}

#[test]
fn remotes_come_and_go_by_commands() -> Result<()> {
    let told = BOTH.map(|program| -> Result<_> {
        let folder = tempfile::tempdir()?;
        // Relative sockets are there.
        let mut options = ovn_ic_db_tests::process::Options::default();
        options
            .environment
            .push(("OVS_RUNDIR".into(), folder.path().into()));
        let source = ovn_ic_db_tests::process::Source::SchemaText(schema("B"));
        let server = Server::start(program, &source, &options)?;
        let told = commands(&server);
        let socket = folder.path().join("more.sock");
        wait_for("the new socket", PATIENCE, || {
            Ok(Client::unix(&socket).ok().map(|_| ()))
        })?;
        server.control("ovsdb-server/remove-remote", &["punix:more.sock"])?;
        wait_for("its end", PATIENCE, || Ok((!socket.exists()).then_some(())))?;
        Ok(told)
    });
    let [reference, ours] = told;
    assert_eq!(ours?, reference?);
    Ok(())
}

fn insert(server: &Server, rows: &[Value]) -> Result<()> {
    let results = server.client()?.transact("D", rows)?;
    ensure!(results.len() == rows.len(), "{results:?}");
    Ok(())
}

/// The columns that servers write: whether somebody is connected, and the keys of `status`.
fn told(server: &Server) -> Result<(Value, Vec<String>)> {
    let select = json!({"op": "select", "table": "Connection", "where": [],
        "columns": ["is_connected", "status"]});
    let results = server.client()?.transact("D", &[select])?;
    let row = results[0]["rows"][0].clone();
    let pairs = row["status"][1].as_array().cloned().unwrap_or_default();
    let keys = pairs.iter().filter_map(|pair| pair[0].as_str());
    let mut keys: Vec<String> = keys.map(str::to_owned).collect();
    keys.sort();
    Ok((row["is_connected"].clone(), keys))
}

/// A port that a row names is listened at, for reading alone, and the row says how it goes.
fn managed(program: Program) -> Result<Vec<(Value, Vec<String>)>> {
    let server = start(program, MANAGED, &MANAGED_REMOTES)?;
    let (port, named) = (free_port()?, free_port()?);
    insert(
        &server,
        &[
            json!({"op": "insert", "table": "Root", "row": {"names": format!("ptcp:{named}:127.0.0.1"),
                "connections": ["set", [["named-uuid", "c"]]]}}),
            json!({"op": "insert", "table": "Connection", "uuid-name": "c",
                "row": {"target": format!("ptcp:{port}:127.0.0.1"), "read_only": true,
                    "inactivity_probe": 30000}}),
        ],
    )?;
    let connect = |port: u16| {
        wait_for("the port that is named", PATIENCE, || {
            Ok(Client::tcp((Ipv4Addr::LOCALHOST, port).into()).ok())
        })
    };
    let change = [json!({"op": "insert", "table": "T", "row": {"n": 1}})];
    connect(named)?.transact("D", &change)?;
    let mut first = connect(port)?;
    let refused = first.transact("D", &change)?;
    ensure!(refused[0]["error"] == "not allowed", "{refused:?}");
    first.call("list_dbs", json!([]))?;
    let mut seen = vec![wait_for("a client in the row", PATIENCE, || {
        let told = told(&server)?;
        Ok((told.0 == json!(true)).then_some(told))
    })?];
    let mut second = connect(port)?;
    second.call("list_dbs", json!([]))?;
    seen.push(wait_for("two clients in the row", PATIENCE, || {
        let told = told(&server)?;
        Ok(told.1.contains(&"n_connections".to_owned()).then_some(told))
    })?);
    // Without the row nobody listens there any more, and who came that way has to go.
    let none =
        json!({"op": "update", "table": "Root", "where": [], "row": {"connections": ["set", []]}});
    insert(&server, &[none])?;
    wait_for("the end of the sessions", PATIENCE, || {
        Ok(match first.receive_within(Duration::from_millis(100))? {
            Received::Closed => Some(()),
            _ => None,
        })
    })?;
    wait_for("the end of listening", PATIENCE, || {
        let refused = Client::tcp((Ipv4Addr::LOCALHOST, port).into());
        Ok(refused.is_err().then_some(()))
    })?;
    Ok(seen)
}

#[test]
fn a_database_names_remotes_and_hears_how_they_do() -> Result<()> {
    let reference = managed(Program::Reference).context("the reference")?;
    assert_eq!(managed(Program::Ours).context("ours")?, reference);
    Ok(())
}

/// A server that calls a client: it serves whoever listens.
fn called(program: Program) -> Result<Vec<String>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = start(program, MANAGED, &[MANAGED_REMOTES[1]])?;
    let target = format!("tcp:127.0.0.1:{}", listener.local_addr()?.port());
    insert(
        &server,
        &[
            json!({"op": "insert", "table": "Root", "row": {"connections": ["set", [["named-uuid", "c"]]]}}),
            json!({"op": "insert", "table": "Connection", "uuid-name": "c", "row": {"target": target}}),
        ],
    )?;
    let (stream, _) = listener.accept()?;
    let mut client = Client::accepted(stream)?;
    let names = client.call("list_dbs", json!([]))?;
    ensure!(names.to_string().contains("\"D\""), "{names}");
    client.call("lock", json!(["l"]))?;
    let (_, keys) = wait_for("the connection in the row", PATIENCE, || {
        let told = told(&server)?;
        let held = told.1.contains(&"locks_held".to_owned());
        Ok((held && told.0 == json!(true)).then_some(told))
    })?;
    // It calls again.
    drop(client);
    let (stream, _) = listener.accept()?;
    Client::accepted(stream)?.call("list_dbs", json!([]))?;
    Ok(keys)
}

#[test]
fn a_server_calls_who_is_named() -> Result<()> {
    let reference = called(Program::Reference).context("the reference")?;
    assert_eq!(called(Program::Ours).context("ours")?, reference);
    Ok(())
}
