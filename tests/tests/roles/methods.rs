//! Requests other than transactions, and operations that write nothing.

use anyhow::Result;
use ovn_ic_db_tests::process::Program;
use serde_json::{Value, json};

use crate::limited::{Limited, Limits, People};

const SCHEMA: &str = r#"{"name":"T","version":"1.0.0","tables":{
    "RBAC_Role":{"isRoot":true,"columns":{"name":{"type":"string"}}},
    "A":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}"#;

fn requests() -> Vec<(&'static str, Value)> {
    let transact = |operations: Value| {
        let mut params = vec![json!("T")];
        params.extend(operations.as_array().into_iter().flatten().cloned());
        ("transact", json!(params))
    };
    let wait = json!({"op": "wait", "table": "A", "where": [], "columns": ["n"], "until": "==",
        "rows": [], "timeout": 0});
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    vec![
        ("echo", json!(["x"])),
        ("list_dbs", json!([])),
        ("lock", json!(["l"])),
        ("lock", json!([1])),
        ("lock", json!([])),
        ("steal", json!(["l"])),
        ("unlock", json!(["l"])),
        ("unlock", json!(["never"])),
        ("unlock", json!([])),
        ("set_db_change_aware", json!([true])),
        transact(json!([])),
        transact(
            json!([{"op": "select", "table": "A", "where": []}, {"op": "comment", "comment": "c"}]),
        ),
        transact(json!([wait, {"op": "assert", "lock": "l"}])),
        transact(json!([wait])),
        transact(json!([{"op": "abort"}])),
        transact(json!([{"op": "commit", "durable": false}])),
        transact(
            json!([{"op": "insert", "table": "A", "row": {}}, {"op": "select", "table": "A", "where": []}]),
        ),
        transact(json!([{"op": "insert", "table": "A", "row": {"x": 1}}])),
        transact(json!([{"op": "insert", "table": "X", "row": {}}])),
        transact(json!([{"op": "update", "table": "A", "where": [], "row": {"n": 1}}])),
        transact(
            json!([{"op": "mutate", "table": "A", "where": [], "mutations": [["n", "+=", 1]]}]),
        ),
        transact(json!([{"op": "delete", "table": "A", "where": []}])),
        (
            "transact",
            json!(["X", {"op": "insert", "table": "A", "row": {}}]),
        ),
        ("monitor", json!(["T", null, {"A": {}}])),
        (
            "monitor_cond_since",
            json!(["T", "m", {"A": [{}]}, "00000000-0000-0000-0000-000000000000"]),
        ),
        ("monitor_cancel", json!([null])),
        ("convert", json!(["T", schema])),
        ("convert", json!(["T", {"name": "X", "tables": {}}])),
        ("convert", json!(["T"])),
        ("convert", json!(["X", schema])),
        ("convert", json!([])),
    ]
}

/// What a server answers, without what the reference leaves out.
fn answers(program: Program, limits: &Limits) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let people = People::new(folder.path(), [])?;
    let server = Limited::start(program, SCHEMA, &people, [limits.clone()])?;
    let mut client = server.plain(limits)?;
    let mut answers = Vec::new();
    // Debian's reference converts for who may only read; newer ones do not.
    let converts = |method, params: &Value| method == "convert" && params[0] == "T";
    for (method, params) in requests() {
        if limits.role.is_empty() && converts(method, &params) {
            continue;
        }
        let id = client.request(method, params.clone())?;
        let mut answer = client.reply(&id)?;
        if let Some(members) = answer.as_object_mut()
            && members.get("result") == Some(&Value::Null)
        {
            members.remove("result");
        }
        answers.push(json!([method, params, answer]));
    }
    Ok(answers)
}

fn compare(role: &str, read_only: bool) -> Result<()> {
    let limits = Limits {
        role: role.to_owned(),
        read_only,
    };
    let theirs = answers(Program::Reference, &limits)?;
    let ours = answers(Program::Ours, &limits)?;
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours);
    }
    Ok(())
}

#[test]
fn a_remote_for_reading_refuses_what_the_reference_refuses() -> Result<()> {
    compare("", true)
}

#[test]
fn a_role_refuses_what_the_reference_refuses() -> Result<()> {
    compare("r", false)
}

#[test]
fn a_role_for_reading_refuses_what_the_reference_refuses() -> Result<()> {
    compare("r", true)
}
