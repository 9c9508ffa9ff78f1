//! A source that is not there yet, or not any more.

use serde_json::json;

use crate::SCHEMA;
use crate::client::{Client, dump, wait_for, wait_for_same};
use crate::ours::Ours;
use crate::reference::{Reference, create};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_not_come_is_not_available() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let nowhere = folder.join("main.sock");
    let theirs = Reference::relay(folder, "theirs", &nowhere);
    let ours = Ours::relay(folder, "ours", &nowhere);
    let mut clients = [&theirs.socket, &ours.socket].map(|socket| Client::connect(socket));
    let rows = clients.each_mut().map(Client::server_row);
    assert_eq!(rows[0], rows[1]);
    assert_eq!(rows[1]["connected"], false);
    let answers = clients.each_mut().map(|client| {
        let select = json!(["D", {"op": "select", "table": "T", "where": []}]);
        [
            client.call("list_dbs", json!([]))["result"].clone(),
            client.call("get_schema", json!(["D"]))["error"].clone(),
            client.call("transact", select)["error"].clone(),
            client.call("get_schema", json!(["E"]))["error"].clone(),
        ]
    });
    assert_eq!(answers[0], answers[1]);
    // Then it comes: who does not know of databases that change has to come back.
    let file = create(folder, "main", SCHEMA);
    let main = Reference::start(folder, "main", &[&file]);
    for client in &mut clients {
        assert_eq!(client.next(), None);
    }
    wait_for_same(&main.socket, &ours.socket);
    let row = Client::connect(&ours.socket).server_row();
    assert_eq!(row["connected"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_source_a_relay_reads_and_waits() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut main = Reference::standalone(folder, "main", SCHEMA);
    let theirs = Reference::relay(folder, "theirs", &main.socket);
    let ours = Ours::relay(folder, "ours", &main.socket);
    wait_for("contents", || dump(&theirs.socket).ok());
    wait_for("contents", || dump(&ours.socket).ok());
    let insert = |n: i64| json!([{"op": "insert", "table": "T", "row": {"n": n}}]);
    let mut clients = [&theirs.socket, &ours.socket].map(|socket| Client::connect(socket));
    let results = clients[1].transact(&insert(1));
    assert!(results[0]["uuid"].is_array(), "{results}");
    wait_for_same(&theirs.socket, &ours.socket);
    // What is on its way when it goes, nobody knows anything about.
    main.freeze();
    let on_their_way = clients.each_mut().map(|client| client.begin(&insert(2)));
    wait_for("passed on", || {
        let relay = ours.relay.as_ref().expect("a relay");
        (relay.status().passed_on == 1).then_some(())
    });
    // The reference sends it when it next looks.
    std::thread::sleep(std::time::Duration::from_millis(300));
    main.kill();
    for (client, id) in clients.iter_mut().zip(on_their_way) {
        let answer = client.answer(id);
        assert_eq!(answer["error"], "canceled", "{answer}");
    }
    let select = json!([{"op": "select", "table": "T", "where": [], "columns": ["n"]}]);
    let bad = json!([{"op": "insert", "table": "T", "row": {"n": "x"}}]);
    let held = json!([{"op": "wait", "table": "T", "where": [], "columns": ["n"],
        "until": "==", "rows": [{"n": 1}], "timeout": 0}]);
    for operations in [select, bad, held] {
        let [theirs, ours] = clients
            .each_mut()
            .map(|client| client.transact(&operations));
        assert_eq!(theirs, ours, "{operations}");
    }
    let rows = clients.each_mut().map(Client::server_row);
    assert_eq!(rows[1]["connected"], true);
    assert_eq!(rows[0]["connected"], true);
    // What comes meanwhile waits for it; reads behind it do not overtake it.
    let late = [5, 6];
    let ids: Vec<u64> = (clients.iter_mut().zip(late))
        .map(|(client, n)| client.begin(&insert(n)))
        .collect();
    main.restart();
    for (client, id) in clients.iter_mut().zip(ids) {
        let answer = client.answer(id);
        assert!(answer["result"][0]["uuid"].is_array(), "{answer}");
    }
    let rows = wait_for_same(&main.socket, &ours.socket);
    assert!(rows.contains('5') && rows.contains('6'), "{rows}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_hear_only_of_what_is_different_after_it() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut main = Reference::standalone(folder, "main", SCHEMA);
    let ours = Ours::relay(folder, "ours", &main.socket);
    wait_for("contents", || dump(&ours.socket).ok());
    let mut client = Client::connect(&ours.socket);
    for n in [1, 2] {
        client.transact(&json!([{"op": "insert", "table": "T", "row": {"n": n}}]));
    }
    let monitor = json!(["D", "m", {"T": [{"columns": ["n"]}]}]);
    client.call("monitor", monitor);
    main.kill();
    let file = folder.join("main.db").display().to_string();
    let change = r#"["D",{"op":"delete","table":"T","where":[["n","==",1]]}]"#;
    crate::client::run("ovsdb-tool", &["transact", &file, change]).expect("changed");
    main.restart();
    let update = client.next().expect("an update");
    let rows = update["params"][1]["T"].as_object().expect("rows");
    let rows: Vec<_> = rows.values().collect();
    assert_eq!(rows, [&json!({"old": {"n": 1}})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_left_behind_is_not_sent() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut main = Reference::standalone(folder, "main", SCHEMA);
    let ours = Ours::relay(folder, "ours", &main.socket);
    wait_for("contents", || dump(&ours.socket).ok());
    let relay = ours.relay.as_ref().expect("a relay");
    main.kill();
    wait_for("the loss", || (!relay.status().following).then_some(()));
    let mut client = Client::connect(&ours.socket);
    client.begin(&json!([{"op": "insert", "table": "T", "row": {"n": 1}}]));
    wait_for("passed on", || {
        (relay.status().passed_on == 1).then_some(())
    });
    drop(client);
    wait_for("forgotten", || {
        (relay.status().passed_on == 0).then_some(())
    });
    main.restart();
    wait_for("the source", || relay.status().following.then_some(()));
    let rows = wait_for_same(&main.socket, &ours.socket);
    assert!(!rows.contains('1'), "{rows}");
}
