//! Relays behind each other, ours and the reference's mixed.

use serde_json::{Value, json};

use crate::SCHEMA;
use crate::client::{Client, dump, run, wait_for, wait_for_same, without_uuids};
use crate::ours::Ours;
use crate::reference::Reference;

/// Transactions, good and bad.
fn transactions() -> Vec<Value> {
    let insert = |n: i64| json!({"op": "insert", "table": "T", "row": {"n": n}});
    vec![
        json!([insert(1), {"op": "insert", "table": "U", "uuid-name": "u", "row": {"name": "x"}},
            {"op": "mutate", "table": "T", "where": [],
             "mutations": [["weak", "insert", ["named-uuid", "u"]]]}]),
        json!([insert(1)]),
        json!([{"op": "select", "table": "T", "where": [], "columns": ["n", "weak"]}]),
        json!([{"op": "update", "table": "T", "where": [["n", "==", 1]],
            "row": {"set": ["set", ["a", "b"]], "map": ["map", [["pi", 3.25], ["e", -1e300]]]}}]),
        json!([{"op": "mutate", "table": "T", "where": [],
            "mutations": [["set", "insert", "c"], ["map", "delete", ["set", ["e"]]]]}]),
        json!([insert(2), {"op": "abort"}]),
        json!([{"op": "insert", "table": "T", "row": {"n": "two"}}]),
        json!([{"op": "wait", "table": "T", "where": [], "columns": ["n"], "until": "==",
            "rows": [{"n": 1}], "timeout": 0}, insert(3)]),
        json!([{"op": "wait", "table": "T", "where": [], "columns": ["n"], "until": "!=",
            "rows": [{"n": 1}, {"n": 3}], "timeout": 0}, insert(4)]),
        json!([{"op": "assert", "lock": "l"}, insert(5)]),
        json!([{"op": "comment", "comment": "hello"}]),
        json!([{"op": "commit", "durable": true}]),
        json!([{"op": "delete", "table": "U", "where": []}]),
        json!([{"op": "delete", "table": "T", "where": [["n", "==", 77]]}]),
        json!([{"op": "what"}]),
        json!([{"op": "select", "table": "T", "where": [["n", "==", 1]]}]),
    ]
}

/// All answers and updates that a client gets who watches while it writes.
fn play(client: &mut Client) -> String {
    let monitor = json!(["D", "m", {"T": [{"columns": ["n", "set", "map", "weak"]}], "U": [{"columns": ["name"]}]},
        "00000000-0000-0000-0000-000000000000"]);
    let first = client.call("monitor_cond_since", monitor);
    let mut came = format!("{}\n", first["result"][2]);
    for transaction in transactions() {
        let id = client.begin(&transaction);
        loop {
            let mut message = client.next().expect("an answer");
            if let Some(results) = message["result"].as_array_mut() {
                let violations = results.iter_mut();
                // Which of two rows comes first in the words is chance.
                for error in violations.filter(|result| result["error"] == "constraint violation") {
                    error["details"] = Value::Null;
                }
            }
            if message["method"] == "update3" {
                // Ids are compared elsewhere: a standalone server has none.
                message["params"][1] = Value::Null;
            }
            let done = message["id"] == id;
            came.push_str(&format!("{message}\n"));
            if done {
                break;
            }
        }
    }
    without_uuids(&came)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_our_relay_see_what_those_of_the_references_see() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let first = Reference::standalone(folder, "first", SCHEMA);
    let second = Reference::standalone(folder, "second", SCHEMA);
    let theirs = Reference::relay(folder, "theirs", &first.socket);
    let ours = Ours::relay(folder, "ours", &second.socket);
    wait_for_same(&first.socket, &theirs.socket);
    wait_for_same(&second.socket, &ours.socket);
    let wanted = play(&mut Client::connect(&theirs.socket));
    let came = play(&mut Client::connect(&ours.socket));
    pretty_equal(&wanted, &came);
    wait_for_same(&second.socket, &ours.socket);
    let row = |socket| Client::connect(socket).server_row();
    let (wanted, came) = (row(&theirs.socket), row(&ours.socket));
    assert_eq!(wanted["model"], "relay");
    let members = ["model", "connected", "leader", "cid", "sid", "index"];
    for member in members {
        assert_eq!(wanted[member], came[member], "{member}");
    }
}

fn pretty_equal(wanted: &str, came: &str) {
    let different = wanted.lines().zip(came.lines()).find(|(a, b)| a != b);
    if let Some((wanted, came)) = different {
        panic!("wanted:\n{wanted}\ncame:\n{came}");
    }
    assert_eq!(wanted.lines().count(), came.lines().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_of_both_kinds_stand_behind_each_other() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let file = folder.join("main.db").display().to_string();
    let schema = folder.join("schema");
    std::fs::write(&schema, SCHEMA).expect("written");
    let raft = format!("unix:{}", folder.join("main.raft").display());
    let schema = schema.display().to_string();
    run("ovsdb-tool", &["create-cluster", &file, &schema, &raft]).expect("a cluster");
    let main = Reference::start(folder, "main", &[&file]);
    let first = Ours::relay(folder, "first", &main.socket);
    let second = Reference::relay(folder, "second", &first.socket);
    let third = Ours::relay(folder, "third", &second.socket);
    let fourth = Ours::relay(folder, "fourth", &third.socket);
    wait_for("contents", || dump(&fourth.socket).ok());
    let came = play(&mut Client::connect(&fourth.socket));
    assert!(came.contains("constraint violation"), "{came}");
    let rows = wait_for_same(&main.socket, &fourth.socket);
    assert!(rows.contains("3.25"), "{rows}");
    // A client goes on with the next server where it was with the first one.
    let monitor = |id: &Value| json!(["D", "m", {"T": [{}]}, id]);
    let nil = json!("00000000-0000-0000-0000-000000000000");
    let mut client = Client::connect(&main.socket);
    let known = client.call("monitor_cond_since", monitor(&nil))["result"][1].clone();
    assert_ne!(known, nil);
    client.transact(&json!([{"op": "insert", "table": "T", "row": {"n": 99}}]));
    wait_for_same(&main.socket, &fourth.socket);
    let resumed = Client::connect(&fourth.socket).call("monitor_cond_since", monitor(&known));
    assert_eq!(resumed["result"][0], true, "{resumed}");
    let rows = resumed["result"][2]["T"].as_object().map(|rows| rows.len());
    assert_eq!(rows, Some(1), "{resumed}");
}
