//! Active and backup change places, with the reference on either side.

use serde_json::{Value, json};

use crate::SCHEMA;
use crate::client::{Client, dump, wait_for, wait_for_same};
use crate::ours::Ours;
use crate::reference::{Reference, create};

fn insert(n: i64) -> Value {
    json!([{"op": "insert", "table": "T", "row": {"n": n}}])
}

fn write(socket: &std::path::Path, n: i64) {
    let results = Client::connect(socket).transact(&insert(n));
    assert!(results[0]["uuid"].is_array(), "{results}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_promoted_and_the_other_one_follows_it() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let ours = Ours::standalone(folder, "ours", &create(folder, "ours", SCHEMA));
    let their_file = create(folder, "theirs", SCHEMA);
    let source = format!("--sync-from=unix:{}", ours.socket.display());
    let theirs = Reference::start(folder, "theirs", &[&source, &their_file]);
    let standby = ours.standby();
    assert_eq!(standby.sync_status(), "state: active\n");
    // The reference follows ours.
    write(&ours.socket, 1);
    wait_for_same(&ours.socket, &theirs.socket);
    wait_for("replication", || {
        let status = theirs.command(&["ovsdb-server/sync-status"]).ok()?;
        status.contains("replicating").then_some(())
    });
    // It is promoted, and ours follows it.
    let command = "ovsdb-server/disconnect-active-ovsdb-server";
    theirs.command(&[command]).expect("active");
    assert_eq!(
        standby.connect(),
        "Unable to connect: active server is not specified.\n"
    );
    standby.set_active_server(&format!("unix:{}", theirs.socket.display()));
    assert_eq!(standby.connect(), "");
    write(&theirs.socket, 2);
    let rows = wait_for_same(&ours.socket, &theirs.socket);
    assert!(rows.contains('2'), "{rows}");
    wait_for("replication", || {
        standby.sync_status().contains("replicating").then_some(())
    });
    // And back.
    standby.disconnect();
    assert_eq!(standby.sync_status(), "database: D\nstate: active\n\n");
    let command = "ovsdb-server/connect-active-ovsdb-server";
    theirs.command(&[command]).expect("backup");
    write(&ours.socket, 3);
    let rows = wait_for_same(&ours.socket, &theirs.socket);
    assert!(rows.contains('3'), "{rows}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_backup_takes_nothing_more() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let main = Ours::standalone(folder, "main", &create(folder, "main", SCHEMA));
    let file = create(folder, "ours", SCHEMA);
    let ours = Ours::backup(folder, "ours", &file, &main.socket, "");
    write(&main.socket, 1);
    wait_for_same(&main.socket, &ours.socket);
    ours.standby().disconnect();
    write(&main.socket, 2);
    write(&ours.socket, 3);
    let rows = dump(&ours.socket).expect("rows");
    assert!(rows.contains('3') && !rows.contains(" 2 "), "{rows}");
    // With other tables left out it begins anew.
    ours.standby()
        .set_active_server(&format!("unix:{}", main.socket.display()));
    ours.standby().connect();
    wait_for_same(&main.socket, &ours.socket);
    ours.standby().set_excluded_tables("D:T");
    assert_eq!(ours.standby().excluded_tables().as_deref(), Some("D:T"));
    wait_for("another beginning", || {
        let status = ours.standby().sync_status();
        status.ends_with("exclude: D:T\n").then_some(())
    });
    write(&main.socket, 4);
    let results = Client::connect(&main.socket)
        .transact(&json!([{"op": "insert", "table": "U", "row": {"name": "x"}}]));
    assert!(results[0]["uuid"].is_array(), "{results}");
    let select = json!([{"op": "select", "table": "U", "where": [], "columns": ["name"]},
        {"op": "select", "table": "T", "where": [["n", "==", 4]], "columns": ["n"]}]);
    wait_for("what is not left out", || {
        let rows = Client::connect(&ours.socket).transact(&select);
        (rows == json!([{"rows": [{"name": "x"}]}, {"rows": []}])).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_follows_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let ours = Ours::standalone(folder, "ours", &create(folder, "ours", SCHEMA));
    write(&ours.socket, 1);
    let before = dump(&ours.socket).expect("rows");
    let standby = ours.standby();
    standby.set_active_server(&format!("unix:{}", ours.socket.display()));
    standby.connect();
    wait_for("it is active again", || {
        (standby.sync_status() == "database: D\nstate: active\n\n").then_some(())
    });
    assert_eq!(dump(&ours.socket).expect("rows"), before);
    write(&ours.socket, 2);
}
