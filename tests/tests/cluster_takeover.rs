//! Members of the old deployment are replaced by ours one at a time, and ours
//! by them again, while clients write and watch.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Plan, Wiring, Workload, run};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::{Value, json};

/// How often the leader is stopped until the node that is wanted leads.
const ATTEMPTS: usize = 30;

/// Makes a node lead the southbound: whoever else does hands over by a stop, while nobody else can
/// take over.
fn lead(cluster: &mut Cluster, node: usize) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        if leader == node {
            return Ok(());
        }
        let mut others = (0..cluster.size()).filter(|other| ![node, leader].contains(other));
        let third = others.next().context("a third node")?;
        cluster.node_mut(third).stop()?;
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        if leader != node {
            cluster.node_mut(leader).stop()?;
            cluster.start(leader)?;
        }
        cluster.start(third)?;
        cluster.wait_until_whole()?;
    }
    bail!("node {node} does not become the leader")
}

/// Replaces every node, each by its own files, and lets each lead in turn.
fn replace(cluster: &mut Cluster, workload: &Workload, by: Kind) -> Result<()> {
    for node in 0..cluster.size() {
        // A leader is replaced as well as a follower.
        if node == 1 {
            lead(cluster, node)?;
        }
        cluster.node_mut(node).stop()?;
        workload.wait_until_all_write(cluster, &[])?;
        cluster.start_as(node, by)?;
        cluster.wait_until_whole()?;
        lead(cluster, node)?;
        workload.wait_until_all_write(cluster, &[])?;
        // The others lead and follow beside the new one, too.
        let other = (node + 1) % cluster.size();
        lead(cluster, other)?;
        workload.wait_until_all_write(cluster, &[])?;
    }
    Ok(())
}

#[test]
fn three_nodes_are_taken_over_one_at_a_time_and_given_back() -> Result<()> {
    let ours = Kind::under_test()?;
    let options = Options::three(Kind::Reference, Wiring::Loopback);
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &Plan::default())?;
        let ids = |cluster: &Cluster| -> Result<Vec<String>> {
            let all = (0..cluster.size()).map(|node| cluster.status(node, Side::Southbound));
            all.map(|status| Ok(status?.server_id)).collect()
        };
        let before = ids(cluster)?;
        replace(cluster, &workload, ours)?;
        assert_eq!(ids(cluster)?, before);
        replace(cluster, &workload, Kind::Reference)?;
        assert_eq!(ids(cluster)?, before);
        let report = workload.finish(cluster)?;
        println!("{report}");
        Ok(())
    })
}

/// Killed in a mixed cluster: whatever one kind has acknowledged, the other
/// keeps.
#[test]
fn a_mixed_cluster_survives_kill_9() -> Result<()> {
    let ours = Kind::under_test()?;
    let options = Options {
        kinds: vec![Kind::Reference, ours, ours],
        ..Options::three(ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        let workload = Workload::start(cluster, &Plan::default())?;
        workload.wait_until_all_write(cluster, &[])?;
        for leader in 0..cluster.size() {
            lead(cluster, leader)?;
            cluster.node_mut(leader).kill9()?;
            workload.wait_until_all_write(cluster, &[])?;
            cluster.start(leader)?;
            cluster.wait_until_whole()?;
        }
        let report = workload.finish(cluster)?;
        println!("{report}");
        Ok(())
    })
}

/// So many requests of one client are on their way at once.
const WINDOW: u64 = 20;
/// How long until a new leader has answered so many.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that writes number after number into one row, and looks each time at what is there.
struct Counting {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Counting {
    fn start(socket: &Path, row: &str) -> Result<Counting> {
        let mut client = Client::unix(socket)?;
        client.deadline = PATIENCE;
        client.call("set_db_change_aware", json!([true]))?;
        let insert = json!({"op": "insert", "table": "Availability_Zone", "row": {"name": row}});
        let results = client.transact("OVN_IC_Southbound", &[insert])?;
        let uuid = results[0]["uuid"].clone();
        let (answered, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (told, stopped, row) = (answered.clone(), stop.clone(), row.to_owned());
        let thread = std::thread::spawn(move || {
            let name = |number: u64| match number {
                0 => row.clone(),
                number => format!("{row}-{number}"),
            };
            let mut ids: Vec<Value> = Vec::new();
            loop {
                let done = told.load(Ordering::Relaxed);
                let sent = ids.len() as u64;
                if sent - done < WINDOW && !stopped.load(Ordering::Relaxed) {
                    let here = json!([["_uuid", "==", uuid]]);
                    let select = json!({"op": "select", "table": "Availability_Zone", "where": here,
                        "columns": ["name"]});
                    let update = json!({"op": "update", "table": "Availability_Zone", "where": here,
                        "row": {"name": name(sent + 1)}});
                    let params = json!(["OVN_IC_Southbound", select, update]);
                    ids.push(client.request("transact", params)?);
                } else if done < sent {
                    let place = usize::try_from(done)?;
                    let reply = client.reply(&ids[place])?;
                    let found = &reply["result"][0]["rows"][0]["name"];
                    ensure!(*found == json!(name(done)), "request {done}: {reply}");
                    told.fetch_add(1, Ordering::Relaxed);
                } else {
                    return Ok(());
                }
            }
        });
        Ok(Counting {
            answered,
            stop,
            thread,
        })
    }

    /// Waits until so many more are answered, or something was wrong.
    fn wait_for(&self, more: u64) -> Result<()> {
        let (enough, end) = (
            self.answered.load(Ordering::Relaxed) + more,
            Instant::now() + PATIENCE,
        );
        while self.answered.load(Ordering::Relaxed) < enough && !self.thread.is_finished() {
            ensure!(Instant::now() < end, "no more answers");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let Ok(result) = self.thread.join() else {
            bail!("the client has panicked");
        };
        result.map(|()| self.answered.load(Ordering::Relaxed))
    }
}

/// What a client has asked for one behind the other is executed in that order, once each, also where
/// a leader of the reference goes while it has some of it, and one of ours comes.
#[test]
fn requests_keep_their_order_when_an_old_leader_goes() -> Result<()> {
    let ours = Kind::under_test()?;
    let options = Options {
        kinds: vec![Kind::Reference, ours, ours],
        ..Options::three(ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        for round in 0..3 {
            lead(cluster, 0)?;
            let sockets = cluster.sockets(Side::Southbound);
            let clients = [1, 2].map(|node| {
                let row = format!("round {round} node {node}");
                Counting::start(&sockets[node], &row)
            });
            for client in &clients {
                let client = client
                    .as_ref()
                    .map_err(|error| anyhow::anyhow!("{error:#}"))?;
                client.wait_for(50)?;
            }
            cluster.node_mut(0).kill9()?;
            for client in clients {
                let client = client?;
                client.wait_for(100)?;
                let count = client.finish()?;
                println!("round {round}: {count} answered, each in its turn");
            }
            cluster.start(0)?;
            cluster.wait_until_whole()?;
        }
        Ok(())
    })
}
