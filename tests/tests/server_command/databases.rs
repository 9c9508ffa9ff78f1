//! Databases that come and go while clients are there.

use std::time::Duration;

use anyhow::{Context, Result};
use ovn_ic_db_tests::client::{Client, Received};
use ovn_ic_db_tests::process::{Program, Server};
use serde_json::{Value, json};

use crate::{answer, create, schema, start};

/// Everything that is said about a database that is added and removed, in order.
fn story(server: &Server) -> Result<Vec<String>> {
    let folder = server.folder();
    create(folder, "A")?;
    let mut told = Vec::new();
    let mut tell = |command: &str, arguments: &[&str]| {
        let text = answer(server, command, arguments);
        told.push(format!("{command} {arguments:?}: {text}"));
    };
    tell("ovsdb-server/list-dbs", &[]);
    tell("ovsdb-server/add-db", &["A.db"]);
    tell("ovsdb-server/list-dbs", &[]);
    tell("ovsdb-server/add-db", &["A.db"]);
    tell("ovsdb-server/add-db", &[]);
    tell("ovsdb-server/get-db-storage-status", &["A"]);
    tell("ovsdb-server/remove-db", &["A"]);
    tell("ovsdb-server/remove-db", &["A"]);
    tell("ovsdb-server/remove-db", &["_Server"]);
    tell("ovsdb-server/list-dbs", &[]);
    tell("ovsdb-server/add-db", &["A.db"]);
    tell("ovsdb-server/list-dbs", &[]);
    tell("ovsdb-server/list-remotes", &[]);
    tell("ovsdb-server/reload", &[]);
    tell("ovsdb-server/sync-status", &[]);
    tell("ovsdb-server/get-active-ovsdb-server", &[]);
    tell("ovsdb-server/set-active-ovsdb-server", &["tcp:127.0.0.1:9"]);
    tell("ovsdb-server/get-active-ovsdb-server", &[]);
    let place = folder.display().to_string();
    let mut told: Vec<_> = told
        .into_iter()
        .map(|t| t.replace(&place, "FOLDER"))
        .collect();
    // Newer than the reference of the tests.
    told.retain(|line| !line.starts_with("ovsdb-server/reload"));
    Ok(told)
}

#[test]
fn databases_come_and_go_with_the_references_words() -> Result<()> {
    let told = [Program::Reference, Program::Ours]
        .map(|program| story(&start(program, &schema("B"), &[])?));
    let [reference, ours] = told;
    assert_eq!(ours?, reference?);
    Ok(())
}

/// What two clients see of a database that comes and goes: one that knows of that, and one that does not.
fn seen(program: Program) -> Result<(Vec<Value>, bool)> {
    let server = start(program, &schema("B"), &[])?;
    let file = create(server.folder(), "A")?;
    let file = file.display().to_string();
    server.control("ovsdb-server/add-db", &[&file])?;
    let mut aware = server.client()?;
    aware.call("set_db_change_aware", json!([true]))?;
    aware.call("monitor_cond", json!(["A", "m", {"T": [{}]}]))?;
    // It waits for what never comes.
    let wait = json!({"op": "wait", "table": "T", "where": [], "columns": ["n"],
        "until": "==", "rows": [{"n": 7}]});
    aware.send(&json!({"id": "w", "method": "transact", "params": ["A", wait]}))?;
    aware.call("list_dbs", json!([]))?;
    let mut other = server.client()?;
    other.call("list_dbs", json!([]))?;
    server.control("ovsdb-server/remove-db", &["A"])?;
    let mut got = Vec::new();
    while got.len() < 2 {
        match aware.receive_within(Duration::from_secs(10))? {
            Received::Message(message) => got.push(message),
            other => anyhow::bail!("{other:?} after {got:?}"),
        }
    }
    got.sort_by_key(Value::to_string);
    // Newer versions have it, and ours.
    for message in got
        .iter_mut()
        .filter(|message| message["error"].is_string())
    {
        let message = message.as_object_mut().context("an object")?;
        message.remove("result");
    }
    aware.call("list_dbs", json!([]))?;
    let closed = is_closed(&mut other)?;
    Ok((got, closed))
}

fn is_closed(client: &mut Client) -> Result<bool> {
    let received = client.receive_within(Duration::from_secs(10))?;
    Ok(matches!(received, Received::Closed))
}

#[test]
fn clients_hear_of_a_database_that_is_gone() -> Result<()> {
    let reference = seen(Program::Reference).context("the reference")?;
    assert_eq!(reference.0.len(), 2);
    assert!(reference.1);
    assert_eq!(seen(Program::Ours).context("ours")?, reference);
    Ok(())
}
