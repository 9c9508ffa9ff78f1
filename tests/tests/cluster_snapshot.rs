//! A large snapshot goes to a node that has lost its disk, and a large transaction through a
//! follower, beside everything else: no change of leader, and clients hardly notice the one and are
//! served through the other. `CLUSTER_SNAPSHOT_MB` says how large the contents are.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::status::{announced, error_in};
use ovn_ic_db_tests::cluster::{Kind, Options, Wiring, run};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::{Value, json};

const SIDE: Side = Side::Southbound;
const USUAL_MB: usize = 100;
/// The text of a large transaction.
const LARGE_MB: usize = 60;
/// What a row has, and how many go in one transaction.
const ROW: usize = 4 << 10;
const ROWS: usize = 250;
/// The longest that a client may have to wait for an answer: the election timer.
const LONGEST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

fn transact(client: &mut Client, operations: &[Value]) -> Result<Vec<Value>> {
    let results = client.transact(SIDE.database(), operations)?;
    ensure!(error_in(&results).is_none(), "{:?}", results.last());
    Ok(results)
}

fn connect(socket: &Path) -> Result<Client> {
    let mut client = Client::unix(socket)?;
    client.deadline = PATIENCE;
    client.call("set_db_change_aware", json!([true]))?;
    Ok(client)
}

/// Rows of many values, as real ones are.
fn inserts(numbers: Range<usize>) -> Vec<Value> {
    let value = "0123456789abcdef".repeat(8);
    let values = (0..ROW / (value.len() + 16)).map(|n| json!([format!("key-{n:04}"), value]));
    let values = json!(["map", values.collect::<Vec<_>>()]);
    let insert = |number: usize| {
        json!({"op": "insert", "table": "Datapath_Binding", "row": {
            "transit_switch": format!("large-{number}"), "tunnel_key": number + 1,
            "external_ids": values}})
    };
    numbers.map(insert).collect()
}

fn fill(socket: &Path, megabytes: usize) -> Result<usize> {
    let mut client = connect(socket)?;
    let count = (megabytes << 20) / ROW;
    for first in (0..count).step_by(ROWS) {
        transact(&mut client, &inserts(first..count.min(first + ROWS)))?;
    }
    Ok(count)
}

fn rows(socket: &Path) -> Result<usize> {
    let select = json!({"op": "select", "table": "Datapath_Binding", "where": [],
        "columns": ["tunnel_key"]});
    let results = transact(&mut connect(socket)?, &[select])?;
    Ok(results[0]["rows"].as_array().context("rows")?.len())
}

/// A client that asks for the same again and again.
struct Asker {
    name: &'static str,
    thread: JoinHandle<Result<(usize, Duration)>>,
}

fn ask(
    name: &'static str,
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    operation: impl Fn(usize) -> Value + Send + 'static,
) -> Asker {
    let thread = std::thread::spawn(move || {
        let mut client = connect(&socket)?;
        let (mut count, mut longest) = (0, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            transact(&mut client, &[operation(count)])?;
            count += 1;
            longest = longest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((count, longest))
    });
    Asker { name, thread }
}

#[test]
fn a_large_snapshot_holds_nobody_up() -> Result<()> {
    let megabytes = match std::env::var("CLUSTER_SNAPSHOT_MB") {
        Ok(text) => text.parse().context("CLUSTER_SNAPSHOT_MB")?,
        Err(_) => USUAL_MB,
    };
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        let (follower, lost) = ((leader + 1) % 3, (leader + 2) % 3);
        cluster.node_mut(lost).kill9()?;
        cluster.node_mut(lost).lose_disk()?;
        let begun = Instant::now();
        let socket = |number: usize| cluster.node(number).socket(SIDE);
        let count = fill(&socket(leader), megabytes)?;
        println!("{count} rows of {ROW} bytes in {:?}", begun.elapsed());
        let term = cluster.status(leader, SIDE)?.term;

        let stop = Arc::new(AtomicBool::new(false));
        let write = |name: &'static str| {
            move |n: usize| {
                json!({"op": "insert", "table": "Availability_Zone",
                    "row": {"name": format!("{name}-{n}")}})
            }
        };
        let read = |_: usize| {
            json!({"op": "select", "table": "Datapath_Binding",
                "where": [["tunnel_key", "==", 1]], "columns": ["transit_switch"]})
        };
        let askers = [
            ask(
                "writer at the leader",
                socket(leader),
                stop.clone(),
                write("leader"),
            ),
            ask(
                "writer at the follower",
                socket(follower),
                stop.clone(),
                write("follower"),
            ),
            ask("reader at the leader", socket(leader), stop.clone(), read),
            ask(
                "reader at the follower",
                socket(follower),
                stop.clone(),
                read,
            ),
        ];
        let begun = Instant::now();
        cluster.start(lost)?;
        let index = |number: usize| {
            let told = announced(&cluster.node(number).socket(SIDE), SIDE);
            told.ok().filter(|told| told.connected)?.index
        };
        wait_for(
            "the contents at the node that has lost them",
            PATIENCE,
            || {
                let goal = index(leader);
                Ok((goal.is_some() && index(lost) >= goal.map(|goal| goal - 100)).then_some(()))
            },
        )?;
        println!("{megabytes} MB are there after {:?}", begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for asker in askers {
            let (count, longest) = asker.thread.join().expect("no panic")?;
            println!(
                "{}: {count} answers, the longest took {longest:?}",
                asker.name
            );
            if longest >= LONGEST {
                failures.push(format!("{} waited for {longest:?}", asker.name));
            }
        }
        ensure!(failures.is_empty(), "{failures:?}");
        for number in [leader, follower, lost] {
            let status = cluster.status(number, SIDE)?;
            ensure!(
                status.term == term,
                "node {number}: an election: {status:?}"
            );
            ensure!(rows(&cluster.node(number).socket(SIDE))? == count);
        }
        cluster.wait_until_whole()
    })
}

/// As large as a client's request may be, or nearly so.
#[test]
fn a_large_transaction_goes_through_a_follower() -> Result<()> {
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        let (follower, other) = ((leader + 1) % 3, (leader + 2) % 3);
        let socket = |number: usize| cluster.node(number).socket(SIDE);
        let term = cluster.status(leader, SIDE)?.term;
        let count = (LARGE_MB << 20) / ROW;
        let mut client = connect(&socket(follower))?;
        let params = |operations: Vec<Value>| {
            let mut params = vec![json!(SIDE.database())];
            params.extend(operations);
            Value::Array(params)
        };
        let begun = Instant::now();
        let large = client.request("transact", params(inserts(0..count)))?;
        // It comes behind the other one, and finds what that has inserted.
        let update = json!({"op": "update", "table": "Datapath_Binding",
            "where": [["tunnel_key", "==", count]], "row": {"transit_switch": "last"}});
        let behind = client.request("transact", params(vec![update]))?;
        let results = client.reply(&large)?;
        let results = results["result"].as_array().context("results")?;
        ensure!(error_in(results).is_none(), "{:?}", results.last());
        let reply = client.reply(&behind)?;
        ensure!(reply["result"][0]["count"] == 1, "{reply}");
        println!("{LARGE_MB} MB in {:?}", begun.elapsed());
        for number in [leader, follower, other] {
            wait_for("the rows", PATIENCE, || {
                Ok((rows(&socket(number))? == count).then_some(()))
            })?;
            let status = cluster.status(number, SIDE)?;
            ensure!(
                status.term == term,
                "node {number}: an election: {status:?}"
            );
        }
        cluster.wait_until_whole()
    })
}
