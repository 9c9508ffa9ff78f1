//! Files that are damaged, or copied from another node, below a member of a cluster at work: the
//! member says so, nobody panics, and nothing that was committed is lost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::contents::converged;
use ovn_ic_db_tests::cluster::status::error_in;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

const SIDE: Side = Side::Southbound;
const PATIENCE: Duration = Duration::from_secs(30);

fn insert(cluster: &Cluster, names: std::ops::Range<usize>) -> Result<()> {
    let leader = cluster.wait_for_leader(SIDE, |_| true)?;
    let mut client = Client::unix(&cluster.node(leader).socket(SIDE))?;
    for number in names {
        let insert = json!({"op": "insert", "table": "Availability_Zone",
            "row": {"name": format!("zone-{number}")}});
        let results = client.transact(SIDE.database(), &[insert])?;
        ensure!(error_in(&results).is_none(), "{results:?}");
    }
    Ok(())
}

/// All that a node's programs have said.
fn said(cluster: &Cluster, number: usize) -> Result<String> {
    let mut text = String::new();
    for file in fs::read_dir(cluster.node(number).folder().join("log"))? {
        text += &String::from_utf8_lossy(&fs::read(file?.path())?);
    }
    Ok(text)
}

/// Where each record begins, and the file's end.
fn records(bytes: &[u8]) -> Vec<usize> {
    let begins = bytes.windows(14).enumerate();
    let begins = begins.filter(|(_, window)| *window == b"OVSDB CLUSTER ");
    begins.map(|(at, _)| at).chain([bytes.len()]).collect()
}

type Damage = fn(&mut Vec<u8>);

/// What the log says of a file that is set aside, and of an end that is dropped.
const DAMAGED: &str = "is damaged; it is kept as";
const TORN: &str = "bytes, from offset";

/// Middle of the header, of the log, and of its last record, which may have been cut short.
const DAMAGES: [(&str, Damage, &str); 8] = [
    ("nothing is left", |bytes| bytes.clear(), DAMAGED),
    ("cut in the header", |bytes| bytes.truncate(100), DAMAGED),
    (
        "cut in the last record",
        |bytes| bytes.truncate(bytes.len() - 7),
        TORN,
    ),
    (
        "cut in the last record's first line",
        |bytes| {
            let records = records(bytes);
            bytes.truncate(records[records.len() - 2] + 20);
        },
        TORN,
    ),
    ("a bit of the header", |bytes| bytes[80] ^= 1, DAMAGED),
    (
        "a bit in the middle",
        |bytes| {
            let records = records(bytes);
            bytes[records[records.len() / 2] + 70] ^= 0x10;
        },
        DAMAGED,
    ),
    (
        "a record is gone",
        |bytes| {
            let records = records(bytes);
            let middle = records.len() / 2;
            bytes.drain(records[middle] + 3..records[middle + 1]);
        },
        DAMAGED,
    ),
    (
        "zeros at the end",
        |bytes| {
            let from = bytes.len() - 40;
            bytes[from..].fill(0);
        },
        TORN,
    ),
];

/// What is kept beside a file, as `FILE.WHAT-...`.
fn kept(file: &Path, what: &str) -> Result<Vec<Vec<u8>>> {
    let folder = file.parent().context("a folder")?;
    let name = file.file_name().context("a name")?.to_string_lossy();
    let begin = format!("{name}.{what}-");
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            kept.push(fs::read(entry.path())?);
        }
    }
    Ok(kept)
}

#[test]
fn a_member_comes_back_whatever_its_file_has_become() -> Result<()> {
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        insert(cluster, 0..30)?;
        for (round, (what, damage, word)) in DAMAGES.into_iter().enumerate() {
            let victim = round % 3;
            let file = cluster.node(victim).file(SIDE);
            cluster.node_mut(victim).kill9()?;
            let from = 30 + 10 * round;
            insert(cluster, from..from + 10)?;
            let mut bytes = fs::read(&file)?;
            damage(&mut bytes);
            fs::write(&file, &bytes)?;
            cluster.start(victim)?;
            cluster.wait_until_whole().context(what)?;
            cluster.wait_for_servers(3).context(what)?;
            let rows = converged(cluster, SIDE)?;
            ensure!(rows.len() == from + 10, "{what}: {} rows", rows.len());
            let is_kept = if word == DAMAGED {
                kept(&file, "damaged")?.contains(&bytes)
            } else {
                let ends = kept(&file, "torn")?;
                ends.iter()
                    .any(|end| !end.is_empty() && bytes.ends_with(end))
            };
            ensure!(is_kept, "{what}: no copy is left");
            let said = said(cluster, victim)?;
            ensure!(
                said.contains(word) && !said.contains("panicked"),
                "{what}: {said}"
            );
        }
        Ok(())
    })
}

/// It would be a second member of the same id: its address says that it is not this node's.
#[test]
fn a_copied_file_is_refused_and_stays_as_it_is() -> Result<()> {
    run(&Options::three(Kind::Ours, Wiring::Loopback), |cluster| {
        insert(cluster, 0..10)?;
        let (original, copy) = (cluster.node(0).file(SIDE), cluster.node(1).file(SIDE));
        cluster.node_mut(1).kill9()?;
        let own = fs::read(&copy)?;
        fs::copy(original, &copy)?;
        let copied = fs::read(&copy)?;
        // It may end before it counts as started.
        let _ = cluster.start(1);
        let ended = wait_for("the end of the program", PATIENCE, || {
            Ok(cluster.node_mut(1).check_alive().err())
        })?;
        let said = format!("{ended:#}\n{}", said(cluster, 1)?);
        let address = cluster.network().address(0).to_string();
        ensure!(
            said.contains(&address) && !said.contains("panicked"),
            "{said}"
        );
        ensure!(fs::read(&copy)? == copied, "the file was changed");
        // The others have gone on, and so does this one with its own file.
        insert(cluster, 10..20)?;
        cluster.node_mut(1).kill9()?;
        fs::write(&copy, own)?;
        cluster.start(1)?;
        cluster.wait_until_whole()?;
        ensure!(converged(cluster, SIDE)?.len() == 20);
        Ok(())
    })
}
