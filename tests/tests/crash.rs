//! Killed at any moment: every transaction that was answered is there
//! afterwards, for our server and for Debian's tools.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Options, Program, Server, Source, require, wait_for};
use ovn_ic_db_tests::witness::SCHEMA;
use serde_json::{Value, json};

const ROUNDS: u64 = 12;
const WRITERS: i64 = 4;

/// What the writers did, in all rounds.
#[derive(Debug, Default)]
struct Diary {
    /// Numbers of rows whose insert was sent.
    sent: Mutex<BTreeSet<i64>>,
    /// Those whose insert was answered.
    answered: Mutex<BTreeSet<i64>>,
    /// How often each writer's own row was counted up, sent and answered.
    counts: Mutex<[(i64, i64); WRITERS as usize]>,
    next: AtomicI64,
}

impl Diary {
    /// Writes until the server is gone.
    fn write(&self, mut client: Client, writer: i64) -> Result<()> {
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            lock(&self.sent).insert(i);
            lock(&self.counts)[writer as usize].0 += 1;
            let own = -1 - writer;
            let operations = [
                json!({"op": "insert", "table": "t", "row": {"i": i, "s": "y".repeat(i as usize % 3000)}}),
                json!({"op": "mutate", "table": "c", "where": [["w", "==", own]], "mutations": [["n", "+=", 1]]}),
            ];
            let Ok(results) = client.transact("d", &operations) else {
                return Ok(());
            };
            ensure!(
                results[0]["uuid"].is_array() && results[1]["count"] == 1,
                "{results:?}"
            );
            lock(&self.answered).insert(i);
            lock(&self.counts)[writer as usize].1 += 1;
        }
    }

    /// Holds the contents against what was sent and answered.
    fn check(&self, results: &[Value]) -> Result<usize> {
        let rows = results[0]["rows"].as_array().context("rows of t")?;
        let found: BTreeSet<i64> = rows.iter().filter_map(|row| row["i"].as_i64()).collect();
        ensure!(found.len() == rows.len(), "a row is there twice");
        let lost: Vec<_> = lock(&self.answered).difference(&found).copied().collect();
        ensure!(lost.is_empty(), "answered and lost: {lost:?}");
        let invented: Vec<_> = found.difference(&lock(&self.sent)).copied().collect();
        ensure!(invented.is_empty(), "never sent: {invented:?}");
        let mut total = 0;
        for row in results[1]["rows"].as_array().context("rows of c")? {
            let writer = -1 - row["w"].as_i64().context("w")?;
            let count = row["n"].as_i64().context("n")?;
            let (sent, answered) = lock(&self.counts)[writer as usize];
            ensure!(
                (answered..=sent).contains(&count),
                "counted {count}, sent {sent}, answered {answered}"
            );
            total += count;
        }
        // Both operations of each transaction, or neither.
        ensure!(
            total == found.len() as i64,
            "{total} counted, {} inserted",
            found.len()
        );
        // Whatever was not answered and is there stays from now on.
        let mut counts = lock(&self.counts);
        for row in results[1]["rows"].as_array().context("rows of c")? {
            let writer = (-1 - row["w"].as_i64().context("w")?) as usize;
            let count = row["n"].as_i64().context("n")?;
            counts[writer] = (count, count);
        }
        *lock(&self.sent) = found.clone();
        *lock(&self.answered) = found.clone();
        Ok(found.len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn selects() -> [Value; 2] {
    ["t", "c"].map(|table| json!({"op": "select", "table": table, "where": []}))
}

/// The contents as `ovsdb-tool query` reads them from the file.
fn query(file: &Path) -> Result<Vec<Value>> {
    let [t, c] = selects();
    let output = Command::new(require("ovsdb-tool", "openvswitch-common")?)
        .arg("query")
        .arg(file)
        .arg(json!(["d", t, c]).to_string())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ovsdb-tool query: {said}");
    serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())
}

/// How many records `ovsdb-tool show-log` lists.
fn records(file: &Path) -> Result<usize> {
    let output = Command::new(require("ovsdb-tool", "openvswitch-common")?)
        .arg("show-log")
        .arg(file)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ovsdb-tool show-log: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter(|line| line.starts_with("record "))
        .count())
}

#[test]
fn no_answered_transaction_is_lost_by_kill_9() -> Result<()> {
    let mut schema: Value = serde_json::from_str(SCHEMA)?;
    schema["tables"]["c"] = json!({"isRoot": true, "indexes": [["w"]],
        "columns": {"w": {"type": "integer"}, "n": {"type": "integer"}}});
    let options = Options {
        arguments: vec!["--durable=always".into()],
        ..Options::default()
    };
    let mut server = Server::start(
        Program::Ours,
        &Source::SchemaText(schema.to_string()),
        &options,
    )?;
    let counters: Vec<Value> = (0..WRITERS)
        .map(|writer| json!({"op": "insert", "table": "c", "row": {"w": -1 - writer}}))
        .collect();
    server.client()?.transact("d", &counters)?;
    let diary = Diary::default();
    let mut random = fastrand::Rng::new();
    println!("seed {}", random.get_seed());
    for round in 1..=ROUNDS {
        let answered = lock(&diary.answered).len();
        std::thread::scope(|scope| -> Result<()> {
            let mut writers = Vec::new();
            for writer in 0..WRITERS {
                let client = server.client()?;
                writers.push(scope.spawn({
                    let diary = &diary;
                    move || diary.write(client, writer)
                }));
            }
            wait_for("some answers", Duration::from_secs(20), || {
                Ok((lock(&diary.answered).len() > answered + 20).then_some(()))
            })?;
            if round % 4 == 0 {
                // Into the middle of a compaction.
                let control = server.control_socket();
                scope.spawn(move || {
                    let mut client = Client::unix(&control)?;
                    client.call("ovsdb-server/compact", json!([]))
                });
            }
            std::thread::sleep(Duration::from_micros(random.u64(0..120_000)));
            server.kill9()?;
            for writer in writers {
                writer
                    .join()
                    .map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            Ok(())
        })?;
        let mut tool = query(server.database());
        if matches!(&tool, Err(error) if error.to_string().contains("End of file")) {
            // Killed in the middle of a write. A server cuts that off at its start, the tool does not
            // read on.
            server.start_again()?;
            server.kill9()?;
            tool = query(server.database());
        }
        let tool = tool.with_context(|| format!("round {round}"))?;
        let read = diary
            .check(&tool)
            .with_context(|| format!("round {round}, ovsdb-tool"))?;
        let listed = records(server.database())?;
        server.start_again()?;
        let results = server.client()?.transact("d", &selects())?;
        let found = diary
            .check(&results)
            .with_context(|| format!("round {round}"))?;
        ensure!(found == read, "ours reads {found} rows, ovsdb-tool {read}");
        println!("round {round}: {found} rows, {listed} records");
    }
    Ok(())
}
