//! A relay that is stopped and taken out of its server.

use serde_json::json;

use crate::SCHEMA;
use crate::client::{Client, dump, wait_for};
use crate::ours::Ours;
use crate::reference::Reference;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_taken_away_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let main = Reference::standalone(folder, "main", SCHEMA);
    let mut ours = Ours::relay(folder, "ours", &main.socket);
    wait_for("contents", || dump(&ours.socket).ok());
    let relay = ours.relay.take().expect("a relay");
    let mut client = Client::connect(&ours.socket);
    client.call("monitor_cond", json!(["D", "m", {"T": [{}]}]));
    // One whose answer is on its way.
    main.freeze();
    let id = client.begin(&json!([{"op": "insert", "table": "T", "row": {"n": 1}}]));
    wait_for("passed on", || {
        (relay.status().passed_on == 1).then_some(())
    });
    let database = std::sync::Arc::downgrade(&relay.database().expect("contents"));
    relay.stop().await;
    assert_eq!(client.answer(id)["error"], "canceled");
    ours.service.remove("D");
    assert_eq!(client.next(), None);
    drop(relay);
    wait_for("the contents are gone", || {
        database.upgrade().is_none().then_some(())
    });
    let mut client = Client::connect(&ours.socket);
    let names = client.call("list_dbs", json!([]))["result"].clone();
    assert_eq!(names, json!(["_Server"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_contents_waits_no_longer_than_there_is_hope() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let long = std::time::Duration::from_secs(60);
    let nobody = Ours::relay(folder, "nobody", &folder.join("nowhere"));
    let relay = nobody.relay.as_ref().expect("a relay");
    relay.settle(long).await;
    assert!(!relay.status().has_contents);
    // Behind one that has nothing there is none either; but it comes as soon as that one has it.
    let main = folder.join("main.sock");
    let first = Ours::relay(folder, "first", &main);
    let second = Ours::relay(folder, "second", &first.socket);
    let relay = second.relay.as_ref().expect("a relay");
    relay.settle(long).await;
    assert!(!relay.status().has_contents);
    let _main = Reference::standalone(folder, "main", SCHEMA);
    wait_for("contents", || dump(&second.socket).ok());
    let third = Ours::relay(folder, "third", &second.socket);
    let relay = third.relay.as_ref().expect("a relay");
    relay.settle(long).await;
    assert!(relay.status().has_contents);
}
