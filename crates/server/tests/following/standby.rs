//! Ours as the backup of the reference.

use serde_json::{Value, json};

use crate::client::{Client, dump, run, wait_for, wait_for_same};
use crate::ours::Ours;
use crate::reference::{Reference, create};
use crate::{SCHEMA, newer_schema};

fn insert(n: i64) -> Value {
    json!([{"op": "insert", "table": "T", "row": {"n": n}},
        {"op": "insert", "table": "U", "row": {"name": n.to_string()}}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_what_the_active_server_has() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut main = Reference::standalone(folder, "main", SCHEMA);
    let mut client = Client::connect(&main.socket);
    client.transact(&insert(1));
    // What it has of its own goes.
    let file = create(folder, "ours", SCHEMA);
    let own = r#"["D",{"op":"insert","table":"T","row":{"n":77}}]"#;
    run("ovsdb-tool", &["transact", &file, own]).expect("changed");
    let ours = Ours::backup(folder, "ours", &file, &main.socket, "");
    wait_for_same(&main.socket, &ours.socket);
    for n in 2..40 {
        client.transact(&insert(n));
    }
    client.transact(
        &json!([{"op": "delete", "table": "U", "where": [["name", "==", "3"]]},
        {"op": "update", "table": "T", "where": [["n", "==", 4]], "row": {"set": "x"}}]),
    );
    let rows = wait_for_same(&main.socket, &ours.socket);
    let status = ours.standby().sync_status();
    let source = main.socket.display();
    let wanted = format!("database: D\nstate: backup\nreplicating: unix:{source}\n\n");
    assert_eq!(status, wanted);
    // Clients only read it.
    let mut reader = Client::connect(&ours.socket);
    let refused = reader.transact(&insert(100));
    let why = "insert operation not allowed when database server is in read only mode";
    assert_eq!(
        refused,
        json!([{"error": "not allowed", "details": why}, null])
    );
    let schema: Value = serde_json::from_str(&newer_schema()).expect("JSON");
    let refused = reader.call("convert", json!(["D", schema]))["error"].clone();
    let why = "conversion is not allowed for read-only database D";
    assert_eq!(refused, json!({"error": "not allowed", "details": why}));
    // A server that was killed comes back with other contents.
    main.kill();
    let change = r#"["D",{"op":"delete","table":"U","where":[]}]"#;
    let main_file = folder.join("main.db").display().to_string();
    run("ovsdb-tool", &["transact", &main_file, change]).expect("changed");
    assert_eq!(dump(&ours.socket).as_deref(), Ok(&*rows));
    main.restart();
    let rows = wait_for_same(&main.socket, &ours.socket);
    // It is in its file.
    ours.close().await;
    let again = Reference::start(folder, "again", &[&file]);
    assert_eq!(dump(&again.socket).as_deref(), Ok(&*rows));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excluded_tables_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let main = Reference::standalone(folder, "main", SCHEMA);
    Client::connect(&main.socket).transact(&insert(1));
    let own = r#"["D",{"op":"insert","table":"U","row":{"name":"own"}}]"#;
    let their_file = create(folder, "theirs", SCHEMA);
    let our_file = create(folder, "ours", SCHEMA);
    for file in [&their_file, &our_file] {
        run("ovsdb-tool", &["transact", file, own]).expect("changed");
    }
    let source = format!("--sync-from=unix:{}", main.socket.display());
    let exclude = "--sync-exclude-tables=D:U,other:T";
    let theirs = Reference::start(folder, "theirs", &[&source, exclude, &their_file]);
    let ours = Ours::backup(folder, "ours", &our_file, &main.socket, "D:U,other:T");
    let sockets = [&theirs.socket, &ours.socket];
    let select = json!([{"op": "select", "table": "T", "where": [], "columns": ["n"]},
        {"op": "select", "table": "U", "where": [], "columns": ["name"]}]);
    let wanted = json!([{"rows": [{"n": 1}]}, {"rows": [{"name": "own"}]}]);
    for socket in sockets {
        wait_for("the contents", || {
            let rows = Client::connect(socket).transact(&select);
            (rows == wanted).then_some(())
        });
    }
    let status = ours.standby().sync_status();
    assert!(status.ends_with("\nexclude: D:U\n"), "{status}");
    // A reference to a row that is not replicated is dropped, as there.
    Client::connect(&main.socket).transact(&json!([
        {"op": "insert", "table": "U", "uuid-name": "u", "row": {"name": "x"}},
        {"op": "insert", "table": "T", "row": {"n": 2, "weak": ["named-uuid", "u"]}}]));
    let select =
        json!([{"op": "select", "table": "T", "where": [["n", "==", 2]], "columns": ["weak"]}]);
    for socket in sockets {
        wait_for("the row without it", || {
            let rows = Client::connect(socket).transact(&select);
            (rows == json!([{"rows": [{"weak": ["set", []]}]}])).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_schema_is_taken_and_a_larger_one_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let small = Reference::standalone(folder, "small", SCHEMA);
    let large = Reference::standalone(folder, "large", &newer_schema());
    for socket in [&small.socket, &large.socket] {
        Client::connect(socket).transact(&insert(1));
    }
    let file = create(folder, "ours", &newer_schema());
    let ours = Ours::backup(folder, "ours", &file, &small.socket, "");
    let select = json!([{"op": "select", "table": "U", "where": [], "columns": ["name", "more"]}]);
    wait_for("the contents", || {
        let rows = Client::connect(&ours.socket).transact(&select);
        (rows == json!([{"rows": [{"name": "1", "more": 0}]}])).then_some(())
    });
    // The other way there is no place for a column: it is active then, as the reference.
    let file = create(folder, "other", SCHEMA);
    let other = Ours::backup(folder, "other", &file, &large.socket, "");
    let active = "database: D\nstate: active\n\n";
    wait_for("the refusal", || {
        (other.standby().sync_status() == active).then_some(())
    });
    let results = Client::connect(&other.socket).transact(&insert(5));
    assert!(results[0]["uuid"].is_array(), "{results}");
}
