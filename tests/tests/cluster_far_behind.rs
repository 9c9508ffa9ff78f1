//! A follower comes back when the others have written so much, and made their logs so short, that
//! it needs a snapshot: beside running writers, and with clients that go on where they were.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::{Client, Received};
use ovn_ic_db_tests::cluster::contents::contents;
use ovn_ic_db_tests::cluster::history::Rows;
use ovn_ic_db_tests::cluster::rows::Tables;
use ovn_ic_db_tests::cluster::status::error_in;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Plan, Wiring, Workload, under_workload};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::{Value, json};

const SIDE: Side = Side::Southbound;
const PATIENCE: Duration = Duration::from_secs(60);
const TABLE: &str = "Datapath_Binding";
/// What only this test's rows have in their column `transit_switch`.
const MARK: &str = "far";
/// Other rows have smaller tunnel keys.
const FIRST_KEY: usize = 5_000_000;
/// More entries than a leader keeps behind a snapshot for those who are a little late.
const ENTRIES: usize = 6000;
const LETTING_GO: Duration = Duration::from_millis(1500);
const ROW: usize = 3 << 10;
/// So many are under way at once.
const AT_ONCE: usize = 250;
const NOTHING: &str = "00000000-0000-0000-0000-000000000000";

fn connect(cluster: &Cluster, node: usize) -> Result<Client> {
    let mut client = Client::unix(&cluster.node(node).socket(SIDE))?;
    client.deadline = PATIENCE;
    client.call("set_db_change_aware", json!([true]))?;
    Ok(client)
}

/// Inserts rows of so many bytes, each in a transaction of its own.
fn fill(cluster: &Cluster, leader: usize, bytes: usize) -> Result<()> {
    let mut client = connect(cluster, leader)?;
    let value = "0123456789abcdef".repeat(8);
    let values = (0..bytes / value.len()).map(|n| json!([format!("key-{n}"), value]));
    let values = json!(["map", values.collect::<Vec<_>>()]);
    for first in (0..ENTRIES).step_by(AT_ONCE) {
        let sent = (first..first + AT_ONCE).map(|n| {
            let insert = json!({"op": "insert", "table": TABLE, "row": {"transit_switch": MARK,
                "tunnel_key": FIRST_KEY + n, "external_ids": values}});
            client.request("transact", json!([SIDE.database(), insert]))
        });
        let sent: Vec<Value> = sent.collect::<Result<_, _>>()?;
        for id in sent {
            let reply = client.reply(&id)?;
            let results = reply["result"].as_array().context("results")?;
            ensure!(error_in(results).is_none(), "{reply}");
        }
    }
    Ok(())
}

/// A client that watches this test's rows at one node.
struct Watcher {
    client: Client,
    tables: Tables,
    rows: Rows,
    last_id: String,
    /// It went on where it had been, as the server told it.
    found: bool,
}

impl Watcher {
    fn start(cluster: &Cluster, node: usize, last_id: &str, rows: Rows) -> Result<Self> {
        let mut client = connect(cluster, node)?;
        let tables = Tables::ask(&mut client, SIDE.database())?;
        let monitor = json!({TABLE: [{"where": [["transit_switch", "==", MARK]]}]});
        let request = json!([SIDE.database(), "far", monitor, last_id]);
        let mut answer = client.call("monitor_cond_since", request)?;
        let found = answer[0] == true;
        let mut watcher = Self {
            client,
            tables,
            rows: if found { rows } else { Rows::new() },
            last_id: String::new(),
            found,
        };
        let id = answer[1].take();
        watcher.take(&id, &answer[2])?;
        Ok(watcher)
    }

    fn take(&mut self, id: &Value, update: &Value) -> Result<()> {
        self.last_id = id.as_str().context("a transaction id")?.to_owned();
        self.tables.apply(&mut self.rows, update)
    }

    /// Follows until it has all rows that there are. False if the server has ended the session.
    fn follow_to(&mut self, rows: &Rows) -> Result<bool> {
        while self.rows != *rows {
            match self.client.receive_within(PATIENCE)? {
                Received::Message(message) => {
                    ensure!(message["method"] == "update3", "{message}");
                    let params = &message["params"];
                    self.take(&params[1], &params[2])?;
                }
                Received::Closed => return Ok(false),
                Received::Nothing => {
                    let (seen, all) = (self.rows.len(), rows.len());
                    anyhow::bail!("it stays at {seen} of {all} rows");
                }
            }
        }
        Ok(true)
    }
}

/// This test's rows, as a node has them.
fn rows(cluster: &Cluster, node: usize) -> Result<Rows> {
    let mut rows = contents(cluster, node, SIDE)?;
    rows.retain(|(table, _), row| table == TABLE && row["transit_switch"] == MARK);
    Ok(rows)
}

/// How many snapshots a node has been sent, and how large the last one was.
fn snapshots(cluster: &Cluster, node: usize) -> Result<(usize, usize)> {
    let log = cluster
        .node(node)
        .folder()
        .join("log/ovsdb-server-ic-sb.log");
    let text = fs::read_to_string(&log).with_context(|| format!("{}", log.display()))?;
    let lines = text
        .lines()
        .filter(|line| line.contains("sends a snapshot up to entry"));
    let lines: Vec<&str> = lines.collect();
    let size = lines
        .last()
        .and_then(|line| line.rsplit_once('(')?.1.split_once(' '));
    let size = size.map_or(Ok(0), |(size, _)| size.parse())?;
    Ok((lines.len(), size))
}

/// The others write and compact while a follower is away.
fn write_without(
    cluster: &mut Cluster,
    workload: &Workload,
    follower: usize,
    bytes: usize,
) -> Result<()> {
    workload.wait_until_all_write(cluster, &[follower])?;
    let leader = cluster.wait_for_leader(SIDE, |node| node != follower)?;
    fill(cluster, leader, bytes)?;
    for node in (0..cluster.size()).filter(|node| *node != follower) {
        cluster
            .node(node)
            .control(SIDE, "ovsdb-server/compact", &[])?;
    }
    // Nothing shows when a leader lets go of what it was about to send: it does so when it has
    // failed to send it.
    std::thread::sleep(LETTING_GO);
    Ok(())
}

/// Starts a follower that has to get a snapshot, and crashes before it says that it has it.
fn crash_at_the_snapshot(cluster: &mut Cluster, follower: usize) -> Result<()> {
    let others: Vec<usize> = cluster.working();
    // So that it can be told before anything is sent.
    for other in &others {
        cluster.node_mut(*other).freeze()?;
    }
    cluster.start(follower)?;
    let how = ["crash-before-sending-install-snapshot-reply"];
    wait_for("the failure test", PATIENCE, || {
        let control = cluster.node(follower);
        // It may be on its way to being a member.
        let told = control.control(SIDE, "cluster/failure-test", &how);
        Ok(told
            .is_ok_and(|said| said.trim_end() == "test engaged")
            .then_some(()))
    })?;
    for other in &others {
        cluster.node_mut(*other).thaw()?;
    }
    let ended = wait_for("the process's end", PATIENCE, || {
        Ok(cluster.node_mut(follower).check_alive().err())
    })?;
    ensure!(format!("{ended}").contains("exit status: 1"), "{ended}");
    cluster.node_mut(follower).kill9()
}

/// It has got all rows, by a snapshot of at least so many bytes.
fn is_back(cluster: &mut Cluster, follower: usize, bytes: usize) -> Result<Rows> {
    cluster.wait_until_whole()?;
    let leader = cluster.wait_for_leader(SIDE, |_| true)?;
    let expected = rows(cluster, leader)?;
    ensure!(expected.len() == ENTRIES, "{} rows", expected.len());
    wait_for("the rows at the follower", PATIENCE, || {
        Ok((rows(cluster, follower)? == expected).then_some(()))
    })?;
    let (count, size) = snapshots(cluster, follower)?;
    ensure!(count > 0, "it has got no snapshot");
    ensure!(size > bytes, "a snapshot of {size} bytes");
    Ok(expected)
}

fn under(
    wiring: Wiring,
    test: impl FnOnce(&mut Cluster, &Workload, usize) -> Result<()>,
) -> Result<()> {
    let options = Options::three(Kind::Ours, wiring);
    under_workload(&options, &Plan::default(), |cluster, workload| {
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        test(cluster, workload, (leader + 1) % 3)
    })
}

/// Its process has ended, and ends again when it has the snapshot: its clients come back with what they
/// knew before.
#[test]
fn a_killed_follower_gets_a_snapshot() -> Result<()> {
    under(Wiring::Loopback, |cluster, workload, follower| {
        let before = Watcher::start(cluster, follower, NOTHING, Rows::new())?;
        let known = before.last_id;
        cluster.node_mut(follower).kill9()?;
        write_without(cluster, workload, follower, 0)?;
        crash_at_the_snapshot(cluster, follower)?;
        cluster.start(follower)?;
        let expected = is_back(cluster, follower, 0)?;
        let mut again = Watcher::start(cluster, follower, &known, before.rows)?;
        // The history has a hole there.
        ensure!(!again.found, "it cannot know what was between");
        ensure!(again.rows == expected, "{} rows", again.rows.len());
        // What came with the snapshot can be gone on from.
        let known = again.last_id.clone();
        ensure!(again.follow_to(&expected)?);
        let again = Watcher::start(cluster, follower, &known, expected.clone())?;
        ensure!(again.found && again.rows == expected, "it begins anew");
        Ok(())
    })
}

/// Its process goes on, and so do its clients' sessions. (One that is stopped by a signal finds
/// much in its sockets afterwards, and needs no snapshot.)
#[test]
fn a_follower_that_was_cut_off_gets_a_large_snapshot() -> Result<()> {
    under(Wiring::Namespaces, |cluster, workload, follower| {
        let mut session = Watcher::start(cluster, follower, NOTHING, Rows::new())?;
        cluster.network().links()?.isolate(follower)?;
        write_without(cluster, workload, follower, ROW)?;
        cluster.network().links()?.mend_all()?;
        let expected = is_back(cluster, follower, ROW * ENTRIES)?;
        let known = session.last_id.clone();
        ensure!(session.follow_to(&expected)?, "its session was ended");
        let again = Watcher::start(cluster, follower, &known, Rows::new())?;
        ensure!(!again.found, "it cannot know what was between");
        ensure!(again.rows == expected, "{} rows", again.rows.len());
        Ok(())
    })
}
