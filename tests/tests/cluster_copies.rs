//! `ovn-ic-db backup` and `restore` with a cluster of several nodes: through any of them, and with connections
//! and leaders that are lost in the middle.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::contents::converged;
use ovn_ic_db_tests::cluster::history::Rows;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::process::{Program, executable};
use ovn_ic_db_tests::relay::{Afterwards, Moment, Relay};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

const SIDE: Side = Side::Northbound;
/// In every transaction of `restore`, near its end.
const MARK: &str = "ovn-ic-db restore";
const LOST: &str = "everything or nothing of it is restored; \"--dry-run\" shows which";

fn command(words: &[&str], folder: &Path) -> Result<Command> {
    let mut command = Command::new(executable(Program::Ours)?);
    command.args(words).arg(folder);
    Ok(command)
}

/// What a command says that succeeds.
fn says(words: &[&str], folder: &Path) -> Result<String> {
    let output = command(words, folder)?.output()?;
    said(words, &output)
}

fn said(words: &[&str], output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{words:?}: {output:?}");
    Ok(String::from_utf8(output.stdout.clone())?)
}

/// What one says that fails.
fn fails(words: &[&str], folder: &Path) -> Result<String> {
    let output = command(words, folder)?.output()?;
    ensure!(output.status.code() == Some(1), "{words:?}: {output:?}");
    Ok(String::from_utf8(output.stderr)?)
}

/// A member's TCP address for clients.
fn address(cluster: &Cluster, node: usize, side: Side) -> Result<SocketAddr> {
    let all = cluster.remotes(side);
    let one = all.split(',').nth(node).context("a remote")?;
    Ok(one.trim_start_matches("tcp:").parse()?)
}

fn leader(cluster: &Cluster) -> Result<usize> {
    cluster.wait_for_leader(SIDE, |_| true)
}

/// Makes switches with the leader.
fn add(cluster: &Cluster, names: &[&str]) -> Result<()> {
    let mut client = Client::unix(&cluster.node(leader(cluster)?).socket(SIDE))?;
    for name in names {
        let insert = json!({"op": "insert", "table": "Transit_Switch", "row": {"name": name}});
        let results = client.transact(SIDE.database(), &[insert])?;
        ensure!(results[0].get("uuid").is_some(), "{results:?}");
    }
    Ok(())
}

/// The contents without the versions of rows, which are another server's own.
fn contents(cluster: &Cluster) -> Result<Rows> {
    cluster.wait_until_even()?;
    converged(cluster, SIDE)
}

/// Adds `wrong` to what `copies` holds, and gives what a restore has to lead to.
fn spoil(cluster: &Cluster, before: &Rows) -> Result<()> {
    add(cluster, &["wrong"])?;
    ensure!(contents(cluster)? != *before);
    Ok(())
}

fn with_cluster(test: impl FnOnce(&mut Cluster, &Path, &Rows) -> Result<()>) -> Result<()> {
    let options = Options::three(Kind::Ours, Wiring::Loopback);
    run(&options, |cluster| {
        add(cluster, &["one", "two"])?;
        let before = contents(cluster)?;
        let temporary = tempfile::tempdir()?;
        let copies = temporary.path().join("copies");
        let (nb, sb) = (cluster.remotes(SIDE), cluster.remotes(Side::Southbound));
        says(&["backup", "--nb", &nb, "--sb", &sb], &copies)?;
        test(cluster, &copies, &before)
    })
}

#[test]
fn any_member_finds_the_one_that_leads() -> Result<()> {
    with_cluster(|cluster, copies, before| {
        let leads = leader(cluster)?;
        let sb = cluster.remotes(Side::Southbound);
        let remote = |node| Ok(format!("tcp:{}", address(cluster, node, SIDE)?));
        let all: Vec<String> = (0..3).map(remote).collect::<Result<_>>()?;
        for first in 0..3 {
            // Every order of the list does, with one that is not there, too.
            let rotated = (0..3).map(|step| all[(first + step) % 3].as_str());
            let list: Vec<&str> = ["tcp:127.0.0.1:1"].into_iter().chain(rotated).collect();
            let nb = list.join(",");
            let servers = ["--only=nb", "--nb", &nb, "--sb", &sb];
            let folder = copies.with_file_name(format!("list-{first}"));
            let text = says(&[&["backup"], &servers[..]].concat(), &folder)?;
            ensure!(text.contains(&format!("from {}", all[leads])), "{text}");
            spoil(cluster, before)?;
            let text = says(&[&["restore"], &servers[..]].concat(), &folder)?;
            ensure!(
                text.contains("0 rows inserted, 1 deleted, 0 changed"),
                "{text}"
            );
            ensure!(contents(cluster)? == *before);

            // One alone that does not lead says so, or gives what it has.
            let servers = ["--only=nb", "--timeout=2", "--nb", &all[first], "--sb", &sb];
            let folder = copies.with_file_name(format!("alone-{first}"));
            if first == leads {
                says(&[&["restore"], &servers[..]].concat(), copies)?;
                says(&[&["backup"], &servers[..]].concat(), &folder)?;
            } else {
                let words = "is not the leader";
                let text = fails(&[&["backup"], &servers[..]].concat(), &folder)?;
                ensure!(text.contains(words), "{text}");
                let text = fails(&[&["restore"], &servers[..]].concat(), copies)?;
                ensure!(text.contains(words), "{text}");
                says(
                    &[&["backup", "--without-leader"], &servers[..]].concat(),
                    &folder,
                )?;
            }
            let nb = cluster.remotes(SIDE);
            let dry = [
                "restore",
                "--dry-run",
                "--only=nb",
                "--nb",
                &nb,
                "--sb",
                &sb,
            ];
            let text = says(&dry, &folder)?;
            ensure!(text.contains("holds what the copy holds already"), "{text}");
        }
        Ok(())
    })
}

#[test]
fn a_connection_that_is_lost_leaves_all_or_nothing() -> Result<()> {
    with_cluster(|cluster, copies, before| {
        let sb = cluster.remotes(Side::Southbound);
        for (moment, afterwards) in [
            (Moment::InRequest, Afterwards::Relayed),
            (Moment::BeforeAnswer, Afterwards::Relayed),
            (Moment::InRequest, Afterwards::Closed),
            (Moment::BeforeAnswer, Afterwards::Closed),
        ] {
            spoil(cluster, before)?;
            let spoilt = contents(cluster)?;
            let server = address(cluster, leader(cluster)?, SIDE)?;
            let relay = Relay::start(server, MARK, moment, afterwards)?;
            let nb = relay.remote();
            let line = [
                "restore",
                "--only=nb",
                "--timeout=2",
                "--nb",
                &nb,
                "--sb",
                &sb,
            ];
            match afterwards {
                Afterwards::Relayed => {
                    let text = says(&line, copies)?;
                    ensure!(text.contains("1 deleted"), "{moment:?}: {text}");
                }
                Afterwards::Closed | Afterwards::CutAgain => {
                    let text = fails(&line, copies)?;
                    ensure!(text.contains(LOST), "{moment:?}: {text}");
                }
            }
            relay.wait_until_cut()?;
            let nothing = (moment, afterwards) == (Moment::InRequest, Afterwards::Closed);
            let expected = if nothing { &spoilt } else { before };
            ensure!(contents(cluster)? == *expected, "{moment:?} {afterwards:?}");
            let nb = cluster.remotes(SIDE);
            says(&["restore", "--only=nb", "--nb", &nb, "--sb", &sb], copies)?;
            ensure!(contents(cluster)? == *before);
        }
        Ok(())
    })
}

#[test]
fn a_leader_that_dies_in_the_middle_is_followed_by_the_next() -> Result<()> {
    with_cluster(|cluster, copies, before| {
        let sb = cluster.remotes(Side::Southbound);
        for moment in [Moment::InRequest, Moment::BeforeAnswer] {
            spoil(cluster, before)?;
            let leads = leader(cluster)?;
            let server = address(cluster, leads, SIDE)?;
            let relay = Relay::start(server, MARK, moment, Afterwards::Closed)?;
            let mut list = vec![relay.remote()];
            for node in (0..3).filter(|node| *node != leads) {
                list.push(format!("tcp:{}", address(cluster, node, SIDE)?));
            }
            let nb = list.join(",");
            let line = ["restore", "--only=nb", "--nb", &nb, "--sb", &sb];
            let restoring = command(&line, copies)?
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let cut = relay.wait_until_cut();
            cluster.node_mut(leads).kill9()?;
            let output = restoring.wait_with_output()?;
            cut?;
            let text = said(&line, &output)?;
            ensure!(text.contains("1 deleted"), "{moment:?}: {text}");
            cluster.start(leads)?;
            cluster.wait_until_whole()?;
            ensure!(contents(cluster)? == *before, "{moment:?}");
        }
        Ok(())
    })
}
