//! Clients that take much: that never read, and that open thousands of
//! connections. Everybody else goes on, and memory stays bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::{Client, Received};
use ovn_ic_db_tests::process::{Options, Program, Server, Source, wait_for};
use ovn_ic_db_tests::witness::{SCHEMA, Witness};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
const ROWS: i64 = 20;

fn start(options: &Options) -> Result<Server> {
    Server::start(Program::Ours, &Source::SchemaText(SCHEMA.into()), options)
}

fn insert_rows(client: &mut Client) -> Result<()> {
    let inserts: Vec<Value> = (0..ROWS)
        .map(|i| json!({"op": "insert", "table": "t", "row": {"i": i}}))
        .collect();
    client.transact("d", &inserts)?;
    Ok(())
}

/// Changes the rows one after the other this many times, with 20 kB each time.
fn update(client: &mut Client, count: usize, word: &str) -> Result<Duration> {
    let start = Instant::now();
    for index in 0..count {
        let text = format!("{word} {index} {}", "x".repeat(20_000));
        let i = index as i64 % ROWS;
        let update =
            json!({"op": "update", "table": "t", "where": [["i", "==", i]], "row": {"s": text}});
        let results = client.transact("d", &[update])?;
        ensure!(results[0]["count"] == 1, "{results:?}");
    }
    Ok(start.elapsed())
}

/// The rows (number to text) of each monitor after the notifications.
fn follow(rows: &mut BTreeMap<(String, String), Value>, notice: &Value) {
    let params = notice["params"].as_array().map_or(&[][..], Vec::as_slice);
    let (Some(id), Some(tables)) = (params.first(), params.last()) else {
        return;
    };
    for (uuid, change) in tables["t"].as_object().into_iter().flatten() {
        let key = (id.to_string(), uuid.clone());
        if change.get("delete").is_some() {
            rows.remove(&key);
            continue;
        }
        for kind in ["new", "insert", "modify"] {
            for (column, value) in change[kind].as_object().into_iter().flatten() {
                rows.entry(key.clone())
                    .or_insert_with(|| json!({"i": 0, "s": ""}))[column] = value.clone();
            }
        }
    }
}

#[test]
fn a_client_that_never_reads_slows_nobody_and_catches_up() -> Result<()> {
    const UPDATES: usize = 1500;
    let server = start(&Options::default())?;
    let mut writer = server.client()?;
    insert_rows(&mut writer)?;
    let alone = update(&mut writer, UPDATES, "alone")?;
    let mut reader = server.client()?;
    let mut rows = BTreeMap::new();
    let columns = json!({"t": [{"columns": ["i", "s"]}]});
    for (method, params) in [
        ("monitor", json!(["d", "one", columns])),
        ("monitor_cond", json!(["d", "two", columns])),
        (
            "monitor_cond_since",
            json!([
                "d",
                "three",
                columns,
                "00000000-0000-0000-0000-000000000000"
            ]),
        ),
    ] {
        let first = reader.call(method, params.clone())?;
        let tables = if method == "monitor_cond_since" {
            &first[2]
        } else {
            &first
        };
        let mut text = tables.to_string();
        text = text.replace("\"initial\":", "\"insert\":");
        let tables: Value = serde_json::from_str(&text)?;
        follow(&mut rows, &json!({"params": [params[1], tables]}));
    }
    let mut witness = Witness::start(&server)?;
    let before = server.resident_bytes()?;
    let mut most = before;
    let mut beside = Duration::ZERO;
    for part in 0..10 {
        beside += update(&mut writer, UPDATES / 10, &format!("beside {part}"))?;
        witness.check()?;
        most = most.max(server.resident_bytes()?);
    }
    let grown = most - before;
    println!(
        "{UPDATES} updates: {alone:?} alone, {beside:?} beside it; {} MiB more",
        grown / MIB
    );
    // 1500 times 20 kB for 3 monitors are 90 MB.
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);
    assert!(
        beside < alone * 3 + Duration::from_millis(500),
        "{beside:?}, {alone:?} alone"
    );

    let select = json!({"op": "select", "table": "t", "where": [["i", ">=", 0]], "columns": ["_uuid", "i", "s"]});
    let results = writer.transact("d", &[select])?;
    let mut wanted = BTreeMap::new();
    for row in results[0]["rows"].as_array().context("rows")? {
        let uuid = row["_uuid"][1].as_str().unwrap_or_default().to_owned();
        for id in ["\"one\"", "\"two\"", "\"three\""] {
            wanted.insert(
                (id.to_owned(), uuid.clone()),
                json!({"i": row["i"], "s": row["s"]}),
            );
        }
    }
    let mut count = 0;
    while !wanted.iter().all(|(key, row)| rows.get(key) == Some(row)) {
        match reader.receive_within(Duration::from_secs(20))? {
            Received::Message(notice) => follow(&mut rows, &notice),
            other => anyhow::bail!("{other:?} after {count} notifications, before it has all"),
        }
        count += 1;
    }
    println!("it caught up with {count} notifications");
    assert!(count < UPDATES, "{count} notifications: nothing was merged");
    witness.check()?;
    Ok(())
}

#[test]
fn answers_that_nobody_reads_stay_few() -> Result<()> {
    let server = start(&Options::default())?;
    let mut writer = server.client()?;
    insert_rows(&mut writer)?;
    update(&mut writer, ROWS as usize, "large")?;
    let mut witness = Witness::start(&server)?;
    let before = server.resident_bytes()?;
    // Each answer has 400 kB: 400 MB in all.
    let select = json!({"method": "transact", "id": 1,
        "params": ["d", {"op": "select", "table": "t", "where": []}]});
    let text = select.to_string().repeat(1000);
    let mut reader = server.client()?;
    reader.send_bytes(text.as_bytes())?;
    let mut most = before;
    for _ in 0..20 {
        witness.check()?;
        most = most.max(server.resident_bytes()?);
        std::thread::sleep(Duration::from_millis(10));
    }
    let grown = most - before;
    println!("{} MiB more", grown / MIB);
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
    // It gets them all when it reads.
    for _ in 0..1000 {
        let reply = reader.receive()?;
        assert!(
            reply["result"][0]["rows"]
                .as_array()
                .is_some_and(|rows| rows.len() >= ROWS as usize)
        );
    }
    witness.check()?;
    Ok(())
}

/// This process and its children may have so many files open.
fn allow_files(count: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        ensure!(
            limit.maximum.is_none_or(|maximum| maximum >= count),
            "{count} open files are not allowed here: {limit:?}"
        );
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(count),
                maximum: limit.maximum,
            },
        )?;
    }
    Ok(())
}

#[test]
fn two_thousand_connections_are_served() -> Result<()> {
    const COUNT: usize = 2000;
    allow_files(8192)?;
    let server = start(&Options {
        tcp: true,
        ..Options::default()
    })?;
    let mut witness = Witness::start(&server)?;
    // Its connections have been accepted when it has heard something.
    witness.check()?;
    let before = (server.open_files()?, server.resident_bytes()?);
    let mut clients = Vec::new();
    for index in 0..COUNT {
        let opened = if index % 2 == 0 {
            server.client()
        } else {
            server.tcp_client()
        };
        clients.push(opened.with_context(|| format!("connection {index}"))?);
    }
    let mut ids = Vec::new();
    for client in &mut clients {
        ids.push(client.request("echo", json!(["here"]))?);
    }
    for (client, id) in clients.iter_mut().zip(&ids) {
        assert_eq!(client.reply(id)?["result"], json!(["here"]));
    }
    witness.check()?;
    let grown = server.resident_bytes()?.saturating_sub(before.1);
    println!("{} KiB a connection", grown / 1024 / COUNT as u64);
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
    drop(clients);
    wait_for(
        "the end of the connections",
        Duration::from_secs(20),
        || Ok((server.open_files()? <= before.0).then_some(())),
    )?;
    witness.check()?;
    Ok(())
}

#[test]
fn connections_that_find_no_room_wait_until_there_is_some() -> Result<()> {
    allow_files(8192)?;
    let server = start(&Options {
        file_limit: Some(80),
        ..Options::default()
    })?;
    let mut witness = Witness::start(&server)?;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.client()?);
    }
    for _ in 0..10 {
        witness.check()?;
    }
    // Waiting for room takes no processor.
    let start = (server.processor_time()?, Instant::now());
    std::thread::sleep(Duration::from_millis(600));
    let used = server.processor_time()? - start.0;
    assert!(
        used < start.1.elapsed() / 3,
        "{used:?} of {:?}",
        start.1.elapsed()
    );
    witness.check()?;
    // Those that wait get their turn when others leave.
    let mut last = clients.split_off(190);
    drop(clients);
    for client in &mut last {
        client.call("echo", json!([]))?;
    }
    witness.check()?;
    Ok(())
}
