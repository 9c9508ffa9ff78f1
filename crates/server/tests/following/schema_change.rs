//! A source that gets another schema.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, dump, run, wait_for, wait_for_same};
use crate::ours::Ours;
use crate::reference::{Reference, create};
use crate::{SCHEMA, newer_schema};

fn converted(socket: &Path) -> bool {
    let version = run(
        "ovsdb-client",
        &[
            "get-schema-version",
            &format!("unix:{}", socket.display()),
            "D",
        ],
    );
    version.is_ok_and(|version| version.trim() == "2.0.0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_relay_hear_of_its_sources_schema() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let file = create(folder, "main", SCHEMA);
    let main = Ours::standalone(folder, "main", &file);
    let theirs = Reference::relay(folder, "theirs", &main.socket);
    let ours = Ours::relay(folder, "ours", &main.socket);
    convert(&main.socket, &[&theirs.socket, &ours.socket]);
}

/// The reference's relays do not get along with this: it still shows the old schema in `_Server`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_may_be_the_reference() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let main = Reference::standalone(folder, "main", SCHEMA);
    let ours = Ours::relay(folder, "ours", &main.socket);
    convert(&main.socket, &[&ours.socket]);
}

fn convert(main: &Path, relays: &[&Path]) {
    for socket in relays {
        wait_for("contents", || dump(socket).ok());
    }
    Client::connect(main).transact(&json!([{"op": "insert", "table": "T", "row": {"n": 1}}]));
    for socket in relays {
        wait_for_same(main, socket);
    }
    let mut unaware: Vec<_> = relays
        .iter()
        .map(|socket| Client::connect(socket))
        .collect();
    let mut aware: Vec<_> = relays
        .iter()
        .map(|socket| Client::connect(socket))
        .collect();
    for client in unaware.iter_mut().chain(&mut aware) {
        client.call("monitor_cond", json!(["D", "m", {"T": [{}]}]));
    }
    for client in &mut aware {
        client.call("set_db_change_aware", json!([true]));
    }
    let schema: Value = serde_json::from_str(&newer_schema()).expect("JSON");
    let answer = Client::connect(main).call("convert", json!(["D", schema]));
    assert_eq!(answer["error"], Value::Null, "{answer}");
    for client in &mut unaware {
        while client.next().is_some() {}
    }
    for client in &mut aware {
        let message = client.next().expect("a message");
        assert_eq!(message["method"], "monitor_canceled", "{message}");
        let again = client.call(
            "monitor_cond",
            json!(["D", "m", {"U": [{"columns": ["more"]}]}]),
        );
        assert!(again["result"].is_object(), "{again}");
    }
    for socket in relays {
        wait_for_same(main, socket);
        assert!(converted(socket));
        let row = Client::connect(socket).server_row();
        assert!(
            row["schema"]
                .as_str()
                .is_some_and(|schema| schema.contains("2.0.0"))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversion_is_passed_on() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let main = Reference::standalone(folder, "main", SCHEMA);
    let first = Ours::relay(folder, "first", &main.socket);
    let second = Ours::relay(folder, "second", &first.socket);
    wait_for("contents", || dump(&second.socket).ok());
    let mut client = Client::connect(&second.socket);
    client.call("set_db_change_aware", json!([true]));
    let schema: Value = serde_json::from_str(&newer_schema()).expect("JSON");
    let answer = client.call("convert", json!(["D", schema]));
    assert_eq!(answer["error"], Value::Null, "{answer}");
    assert!(converted(&main.socket) && converted(&second.socket));
    let results = client.transact(&json!([
        {"op": "insert", "table": "T", "row": {"n": 1}},
        {"op": "insert", "table": "U", "row": {"more": 7}}]));
    assert!(results[1]["uuid"].is_array(), "{results}");
    wait_for_same(&main.socket, &second.socket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversion_that_is_refused_is_told_so() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let file = create(folder, "main", SCHEMA);
    let main = Ours::standalone(folder, "main", &file);
    let ours = Ours::relay(folder, "ours", &main.socket);
    wait_for("contents", || dump(&ours.socket).ok());
    let mut client = Client::connect(&ours.socket);
    client.transact(&json!([{"op": "insert", "table": "T", "row": {"n": 1}}]));
    let narrow = r#""n":{"type":{"key":{"type":"integer","minInteger":5}}}"#;
    let narrow = SCHEMA.replace(r#""n":{"type":"integer"}"#, narrow);
    let narrow: Value = serde_json::from_str(&narrow).expect("JSON");
    let direct = Client::connect(&main.socket).call("convert", json!(["D", narrow]));
    let passed_on = client.call("convert", json!(["D", narrow]));
    assert_eq!(direct["error"], passed_on["error"]);
    assert_eq!(direct["error"]["error"], "constraint violation");
}
