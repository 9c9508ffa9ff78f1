//! Random faults, one upon the other, with a calm after some of them in which
//! the cluster has to become whole again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use serde_json::json;

use super::harness::Cluster;
use super::workload::Workload;
use crate::client::Client;
use crate::world::interconnect::Side;

/// Faults between two calms.
const FAULTS: usize = 6;

/// A fault lasts at most this long before the next one.
const PAUSE_MS: u64 = 1500;

/// One thing that is done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Kill(usize),
    KillAll,
    Stop(usize),
    Freeze(usize),
    Isolate(usize),
    Cut(usize, usize),
    Flap(usize, usize),
    Compact(usize),
    /// What was done to a node is undone.
    Revive(usize),
    Mend,
}

/// Hurts a cluster for some time. What was done is in the error if that goes
/// wrong, though another run with the same seed does it at other moments.
///
/// # Errors
/// If the cluster does not come back in a calm.
pub fn rage(
    cluster: &mut Cluster,
    workload: &Workload,
    seed: u64,
    span: Duration,
) -> Result<Vec<String>> {
    let mut random = Rng::with_seed(seed);
    let (begun, mut done) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..FAULTS {
            let step = choose(cluster, &mut random);
            steps.push(step);
            done.push(format!("{:?} {step:?}", workload.now()));
            take(cluster, step).with_context(|| format!("{done:#?}"))?;
            std::thread::sleep(Duration::from_millis(random.u64(0..PAUSE_MS)));
        }
        done.push(format!("{:?} calm", workload.now()));
        calm(cluster, workload).with_context(|| format!("seed {seed}: {done:#?}"))?;
    }
    Ok(done)
}

/// Undoes everything, and waits until all is well.
fn calm(cluster: &mut Cluster, workload: &Workload) -> Result<()> {
    take(cluster, Step::Mend)?;
    for node in 0..cluster.size() {
        take(cluster, Step::Revive(node))?;
    }
    cluster.wait_until_whole()?;
    workload.wait_until_all_write(cluster, &[])
}

fn choose(cluster: &Cluster, random: &mut Rng) -> Step {
    let size = cluster.size();
    let node = random.usize(0..size);
    let other = (node + random.usize(1..size)) % size;
    if !cluster.node(node).works() {
        return Step::Revive(node);
    }
    match random.usize(0..14) {
        0..3 => Step::Kill(node),
        3 => Step::KillAll,
        4 => Step::Stop(node),
        5..7 => Step::Freeze(node),
        7..9 => Step::Isolate(node),
        9..11 => Step::Cut(node, other),
        11 => Step::Flap(node, other),
        12 => Step::Compact(node),
        _ => Step::Mend,
    }
}

fn take(cluster: &mut Cluster, step: Step) -> Result<()> {
    match step {
        Step::Kill(node) => cluster.node_mut(node).kill9(),
        Step::KillAll => (0..cluster.size()).try_for_each(|node| cluster.node_mut(node).kill9()),
        Step::Stop(node) => cluster.node_mut(node).stop(),
        Step::Freeze(node) => cluster.node_mut(node).freeze(),
        Step::Isolate(node) => cluster.network().links()?.isolate(node),
        Step::Cut(from, to) => cluster.network().links()?.cut(from, to),
        Step::Flap(one, other) => {
            let links = cluster.network().links()?;
            for _ in 0..5 {
                links.cut(one, other)?;
                links.cut(other, one)?;
                std::thread::sleep(Duration::from_millis(60));
                links.mend(one, other)?;
                links.mend(other, one)?;
                std::thread::sleep(Duration::from_millis(60));
            }
            Ok(())
        }
        Step::Compact(node) => {
            for side in Side::BOTH {
                let socket = cluster.node(node).control_socket(side);
                // It may refuse (nothing to compact, no leader known), and be
                // killed meanwhile.
                if let Ok(mut client) = Client::unix(&socket) {
                    client.request("ovsdb-server/compact", json!([]))?;
                }
            }
            Ok(())
        }
        Step::Revive(node) => {
            let there = cluster.node(node);
            match (there.runs(), there.works()) {
                (false, _) => cluster.start(node),
                (true, false) => cluster.node_mut(node).thaw(),
                (true, true) => Ok(()),
            }
        }
        Step::Mend => cluster.network().links()?.mend_all(),
    }
}
