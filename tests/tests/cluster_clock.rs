//! The nodes' wall clocks jump, each by itself, by Debian's `libfaketime`: nobody notices but the
//! dates in the log.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::cluster::{
    Kind, Node, Options, Plan, Site, Variables, Wiring, under_workload,
};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;

const SIDE: Side = Side::Southbound;
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that all writers together may wait; no election is as short.
const GAP: Duration = Duration::from_millis(500);
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The library, wherever this architecture has it.
fn library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let missing = "libfaketime is missing; install the Debian package `faketime`";
    files.find(|file| file.exists()).context(missing)
}

/// Which file says how far a node's clock is off.
fn clock(node: &Node) -> PathBuf {
    node.folder().join("clock")
}

/// Timers are not faked: their clock does not jump with the wall clock in a real machine, either.
fn faked(node: &Node, _: &Site) -> Vec<(String, String)> {
    let library = library().unwrap_or_default();
    let variables = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock(node).display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ];
    variables
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

/// How far the date of a node's last entry is off, in seconds.
fn offset(node: &Node) -> Result<i64> {
    let text = fs::read(node.file(SIDE))?;
    let text = String::from_utf8_lossy(&text);
    let (_, date) = text.rsplit_once("\"_date\":").context("no date")?;
    let digits = date.find(|c: char| !c.is_ascii_digit()).context("a cut")?;
    let date: i64 = date[..digits].parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok((date - i64::try_from(now)?) / 1000)
}

#[test]
fn clocks_jump_by_days_and_nobody_notices() -> Result<()> {
    library()?;
    let options = Options {
        variables: Variables::new(faked),
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    under_workload(&options, &Plan::default(), |cluster, workload| {
        for node in 0..cluster.size() {
            let pid = cluster.node(node).pids()[0];
            let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
            ensure!(maps.contains("libfaketime"), "node {node}'s clock is real");
        }
        let told = |node: usize| cluster.status(node, SIDE);
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        let term = told(leader)?.term;
        let since = workload.now();
        for (seconds, first) in [(DAY, leader), (-DAY, leader + 1), (HOUR, leader + 2)] {
            for node in (0..3).map(|node| (first + node) % 3) {
                let node = cluster.node(node);
                // In one step: it is read at any moment.
                let new = node.folder().join("new-clock");
                fs::write(&new, format!("{seconds:+}\n"))?;
                fs::rename(new, clock(node))?;
                workload.wait_for_progress(50)?;
            }
            wait_for("entries with the new date", PATIENCE, || {
                let off = offset(cluster.node(leader))?;
                Ok(((off - seconds).abs() < HOUR / 2).then_some(()))
            })?;
            workload.wait_until_all_write(cluster, &[])?;
        }
        let gap = workload.gap(since, workload.now(), |client| client.starts_with("raw"));
        println!("the longest gap is {gap:?}");
        ensure!(gap < GAP, "a gap of {gap:?}");
        for node in 0..cluster.size() {
            let status = told(node)?;
            ensure!(status.term == term, "an election: {status:?}");
        }
        Ok(())
    })
}
