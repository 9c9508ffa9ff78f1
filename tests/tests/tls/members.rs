//! Members of a cluster, with each other and with strangers.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::keys::Authority;
use ovn_ic_db_tests::process::{Program, executable, free_port, require, wait_for};
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;

use crate::PATIENCE;

fn all_addresses_are_tls(cluster: &Cluster) -> Result<()> {
    for node in 0..cluster.size() {
        for side in Side::BOTH {
            let status = cluster.status(node, side)?;
            let tls = status.servers.iter().all(|(_, at)| at.starts_with("ssl:"));
            ensure!(tls && status.servers.len() == cluster.size(), "{status:?}");
        }
    }
    Ok(())
}

/// Writes at every node, and finds it at every node.
fn writes(cluster: &Cluster, round: &str) -> Result<()> {
    for node in 0..cluster.size() {
        let name = format!("{round}{node}");
        let mut client = Client::unix(&cluster.node(node).socket(Side::Northbound))?;
        client.deadline = PATIENCE;
        let insert = json!(["OVN_IC_Northbound", {
            "op": "insert", "table": "Transit_Switch", "row": {"name": name}
        }]);
        let answer = client.call("transact", insert)?;
        ensure!(answer[0]["uuid"].is_array(), "{answer}");
        for other in 0..cluster.size() {
            wait_for("the row", PATIENCE, || {
                let mut client = Client::unix(&cluster.node(other).socket(Side::Northbound))?;
                let select = json!(["OVN_IC_Northbound", {
                    "op": "select", "table": "Transit_Switch", "where": [["name", "==", name]]
                }]);
                let answer = client.call("transact", select)?;
                let rows = answer[0]["rows"].as_array().map_or(0, Vec::len);
                Ok((rows == 1).then_some(()))
            })?;
        }
    }
    Ok(())
}

fn logs(folder: &Path) -> String {
    let files = fs::read_dir(folder.join("log")).into_iter().flatten();
    let texts = files.flatten().map(|file| fs::read_to_string(file.path()));
    texts.flatten().collect()
}

#[test]
fn members_talk_by_tls_and_refuse_strangers() -> Result<()> {
    let options = Options {
        tls: true,
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        all_addresses_are_tls(cluster)?;
        writes(cluster, "a")?;
        let address = (
            cluster.network().address(1),
            cluster.raft_port(Side::Northbound),
        );
        // In plain text, and with a foreign certificate.
        let mut plain = TcpStream::connect(address)?;
        plain.write_all(br#"{"method":"hello_request","params":[{}],"id":null}"#)?;
        plain.set_read_timeout(Some(PATIENCE))?;
        let mut rest = Vec::new();
        let _ = plain.read_to_end(&mut rest);
        let folder = cluster.keys().context("keys")?.join("other");
        let stranger = Authority::new(&folder)?.issue("stranger")?;
        let mut child = Command::new(require("openssl", "openssl")?)
            .args(["s_client", "-quiet", "-connect"])
            .arg(format!("{}:{}", address.0, address.1))
            .arg("-key")
            .arg(&stranger.key)
            .arg("-cert")
            .arg(&stranger.certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let told = wait_for("the refusals", PATIENCE, || {
            let said = logs(cluster.node(1).folder());
            let both = said.contains("it does not speak TLS") && said.contains("CN=stranger");
            Ok(both.then_some(()))
        });
        child.kill()?;
        child.wait()?;
        told?;
        cluster.node_mut(1).kill9()?;
        cluster.start(1)?;
        cluster.wait_until_whole()?;
        writes(cluster, "b")
    })
}

#[test]
fn members_of_both_kinds_talk_by_tls() -> Result<()> {
    let options = Options {
        kinds: vec![Kind::Reference, Kind::Ours, Kind::Ours],
        tls: true,
        ..Options::three(Kind::Ours, Wiring::Loopback)
    };
    run(&options, |cluster| {
        all_addresses_are_tls(cluster)?;
        writes(cluster, "a")?;
        // The reference's own file, by ours; and ours by the reference.
        cluster.node_mut(0).stop()?;
        cluster.start_as(0, Kind::Ours)?;
        cluster.node_mut(1).stop()?;
        cluster.start_as(1, Kind::Reference)?;
        cluster.wait_until_whole()?;
        all_addresses_are_tls(cluster)?;
        writes(cluster, "b")
    })
}

/// A process of a test with more than one; killed at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two nodes that distrust each other found no two clusters; with the right keys they find each other, without
/// a restart.
#[test]
fn nodes_that_distrust_each_other_wait() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |number: u8, part: &str| folder.path().join(number.to_string()).join(part);
    let one = Authority::new(&folder.path().join("one"))?;
    let other = Authority::new(&folder.path().join("other"))?;
    one.issue("first")?.put(&at(1, "tls"))?;
    other.issue("second")?.put(&at(2, "tls"))?;
    let ports = [free_port()?.to_string(), free_port()?.to_string()];
    let start = |number: u8| -> Result<Process> {
        let output = fs::File::create(at(number, "output"))?;
        let child = Command::new(executable(Program::Ours)?)
            .args(["run", "--nb-port=0", "--sb-port=0"])
            .args(["--nb-raft-port", &ports[0], "--sb-raft-port", &ports[1]])
            .env("ENABLE_SSL", "true")
            .env("OVN_IC_DB_PRIVATE_KEY", at(number, "tls/key"))
            .env("OVN_IC_DB_CERTIFICATE", at(number, "tls/cert"))
            .env("OVN_IC_DB_CA_CERT", at(number, "tls/cacert"))
            .env("NODE_IPS", "127.0.0.1,127.0.0.2")
            .env("LOCAL_IP", format!("127.0.0.{number}"))
            .env("OVN_DBDIR", at(number, "db"))
            .env("OVN_RUNDIR", at(number, "run"))
            .env("OVN_LOGDIR", at(number, "log"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Process(child))
    };
    let _nodes = [start(1)?, start(2)?];
    let said = |number| fs::read_to_string(at(number, "output")).unwrap_or_default();
    let wait = |number: u8, words: &str| {
        let found = wait_for(words, PATIENCE, || {
            Ok(said(number).contains(words).then_some(()))
        });
        found.with_context(|| format!("{number}: {}", said(number)))
    };
    // The first one would found; it does not know what the second one has.
    wait(
        1,
        "cluster: joins the cluster of 127.0.0.2, and waits for an answer",
    )?;
    wait(2, "trusted here")?;
    for number in [1, 2] {
        ensure!(
            !said(number).contains("founds a cluster"),
            "{}",
            said(number)
        );
        ensure!(!at(number, "db/ovn_ic_nb_db.db").exists());
    }
    one.issue("second")?.put(&at(2, "tls"))?;
    let member = |number: u8| {
        wait_for("a member", PATIENCE, || {
            let mut client = Client::unix(&at(number, "run/ovn_ic_nb_db.ctl"))?;
            let status = client.call("cluster/status", json!(["OVN_IC_Northbound"]))?;
            let status = status.as_str().unwrap_or_default();
            let is =
                status.contains("Status: cluster member") && !status.contains("Leader: unknown");
            Ok(is.then_some(()))
        })
        .with_context(|| said(number))
    };
    member(1)?;
    member(2)
}
