//! Strangers at the Raft ports of a cluster at work: garbage, messages without end, forged ids,
//! other clusters. Each loses its connection and leaves a line in the log; the leader stays, clients
//! are served, nothing is lost, and memory stays bounded.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::cluster::stranger::{Stranger, Target, memory};
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Plan, Wiring, Workload, under_workload};
use ovn_ic_db_tests::process::wait_for;
use ovn_ic_db_tests::world::interconnect::Side;
use serde_json::json;
use uuid::Uuid;

const SIDE: Side = Side::Southbound;
const MIB: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs an attack on a working cluster, which must not change who leads.
fn under(attack: impl FnOnce(&Cluster, &Workload, &[Target]) -> Result<()>) -> Result<()> {
    let options = Options::three(Kind::Ours, Wiring::Loopback);
    under_workload(&options, &Plan::default(), |cluster, workload| {
        let leader = cluster.wait_for_leader(SIDE, |_| true)?;
        let targets = (0..3).map(|number| Target::of(cluster, number, SIDE));
        let targets: Vec<Target> = targets.collect::<Result<_>>()?;
        let from = workload.now();
        attack(cluster, workload, &targets)?;
        workload.wait_until_all_write(cluster, &[])?;
        let gap = workload.gap(from, workload.now(), |_| true);
        ensure!(gap < Duration::from_secs(1), "no write for {gap:?}");
        for (number, target) in targets.iter().enumerate() {
            let now = Target::of(cluster, number, SIDE)?;
            ensure!(
                now.term == target.term,
                "node {number}: an election: {now:?}"
            );
        }
        ensure!(cluster.leader(SIDE) == Some(leader), "another leader");
        cluster.wait_for_servers(3)
    })
}

fn log(cluster: &Cluster, number: usize) -> Result<String> {
    let file = cluster
        .node(number)
        .folder()
        .join("log/ovsdb-server-ic-sb.log");
    std::fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// Waits for a line with this in a node's log.
fn said(cluster: &Cluster, number: usize, words: &str) -> Result<()> {
    wait_for(words, PATIENCE, || {
        Ok(log(cluster, number)?.contains(words).then_some(()))
    })
}

fn id() -> String {
    Uuid::new_v4().to_string()
}

/// It is hung up on, whatever of the bytes was taken.
fn refused(target: &Target, bytes: &[u8]) -> Result<()> {
    let mut stranger = target.call()?;
    // It may be hung up on in the middle.
    let _ = stranger.send(bytes);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    stranger.wait_for_end().context(text)
}

#[test]
fn what_is_no_message_costs_its_connection_and_leaves_a_line() -> Result<()> {
    under(|cluster, _, targets| {
        for (number, target) in targets.iter().enumerate() {
            let hello = target.hello(&id(), "tcp:127.0.0.1:1");
            let stranger = format!("{{\"id\":null,\"method\":\"{}", "x".repeat(70_000));
            let other = Target {
                cluster: id(),
                ..target.clone()
            };
            let unknown = target.message("steal_leader", &id(), &json!({"term": 7}));
            for (bytes, line) in [
                (
                    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
                    "sends no JSON",
                ),
                (stranger.into_bytes(), "of more than 65536 bytes"),
                (unknown, "sends a wrong message: steal_leader"),
                (other.hello(&id(), "tcp:127.0.0.1:1"), "is of cluster"),
                (
                    target.hello(&target.server, "tcp:127.0.0.1:1"),
                    "has this server's own id",
                ),
                (
                    [hello.clone(), target.hello(&id(), "tcp:127.0.0.1:1")].concat(),
                    "says that it is server",
                ),
                (
                    target.hello(&targets[(number + 1) % 3].server, "tcp:127.0.0.1:1"),
                    "one of them uses a copied file",
                ),
                (
                    target.message(
                        "append_request",
                        &id(),
                        &json!({"term": u64::MAX >> 1, "prev_log_index": 0, "prev_log_term": 0,
                            "leader_commit": 0, "log": []}),
                    ),
                    "is beyond all terms",
                ),
            ] {
                // Lines are limited: it may take some time until there is one about this.
                wait_for(line, PATIENCE, || {
                    refused(target, &bytes)?;
                    Ok(log(cluster, number)?.contains(line).then_some(()))
                })?;
            }
            // Cut anywhere.
            for at in (0..hello.len()).step_by(7) {
                let mut stranger = target.call()?;
                stranger.send(&hello[..at])?;
                stranger.finish_sending()?;
                stranger.wait_for_end()?;
            }
        }
        Ok(())
    })
}

/// Callers that are no members share an account, whatever they call themselves.
#[test]
fn messages_without_end_are_cut_off() -> Result<()> {
    under(|cluster, _, targets| {
        let leader = cluster.leader(SIDE).context("a leader")?;
        let pid = cluster.node(leader).pids()[0];
        let (_, before) = memory(pid)?;
        let target = &targets[leader];
        let endless = |unit: &'static [u8]| {
            let target = target.clone();
            std::thread::spawn(move || -> Result<u64> {
                let mut stranger = target.call()?;
                stranger.send(&target.hello(&id(), "tcp:127.0.0.1:1"))?;
                stranger.send(b"[1,")?;
                let some = unit.repeat(32 << 10);
                let mut sent = 0;
                while stranger.send(&some).is_ok() {
                    sent += some.len() as u64;
                }
                stranger.wait_for_end()?;
                Ok(sent)
            })
        };
        // An index of short values takes much more than they do. What the system keeps counts, too.
        let strangers: Vec<_> = (0..8).map(|_| endless(b"1,")).collect();
        for stranger in strangers {
            let sent = stranger.join().expect("no panic")?;
            ensure!(sent < 60 * MIB, "{sent} bytes were taken");
        }
        said(cluster, leader, "sends more than there is room for")?;
        let (peak, _) = memory(pid)?;
        let grown = peak.saturating_sub(before) / MIB;
        println!("peak memory grew by {grown} MiB");
        ensure!(grown < 600, "{grown} MiB more");
        wait_for("the memory's return", PATIENCE, || {
            let (_, now) = memory(pid)?;
            Ok((now.saturating_sub(before) < 100 * MIB).then_some(()))
        })
    })
}

/// What a stranger asks for that would make it a leader, a candidate or a member.
fn demands(target: &Target, from: &str, number: u64) -> Vec<u8> {
    let term = target.term + 1 + number;
    let rows = "x".repeat(64 << 10);
    let servers = json!({from: "tcp:127.0.0.1:1"});
    [
        target.hello(from, "tcp:127.0.0.1:1"),
        target.message(
            "append_request",
            from,
            &json!({"term": term, "prev_log_index": 1, "prev_log_term": 1, "leader_commit": 1,
                "log": []}),
        ),
        target.message(
            "vote_request",
            from,
            &json!({"term": term, "last_log_index": 1_u64 << 40, "last_log_term": term,
                "leadership_transfer": true}),
        ),
        target.message(
            "vote_request",
            from,
            &json!({"term": term, "last_log_index": 1_u64 << 40, "last_log_term": term,
                "is_prevote": true}),
        ),
        target.message(
            "install_snapshot_request",
            from,
            &json!({"term": term, "last_index": number + (1_u64 << 40), "last_term": term,
                "last_servers": servers, "last_eid": id(), "election_timer": 1000,
                "data": [{"name": "OVN_IC_Southbound", "tables": {}}, {"_comment": rows}]}),
        ),
        target.message("become_leader", from, &json!({"term": target.term})),
        target.message(
            "execute_command_request",
            from,
            &json!({"data": [null, {}], "prereq": id(), "result": id()}),
        ),
        target.message(
            "ovn_ic_db",
            from,
            &json!({"kind": "transactions", "data": [id(), target.term, 1,
                [[1, id(), 0, ["OVN_IC_Southbound"]]]]}),
        ),
        target.message(
            "add_server_request",
            from,
            &json!({"address": "tcp:127.0.0.1:1"}),
        ),
    ]
    .concat()
}

#[test]
fn thousands_of_forged_ids_change_nothing() -> Result<()> {
    under(|cluster, workload, targets| {
        let pids: Vec<u32> = (0..3)
            .map(|number| cluster.node(number).pids()[0])
            .collect();
        let before: Vec<u64> = pids
            .iter()
            .map(|pid| Ok(memory(*pid)?.1))
            .collect::<Result<_>>()?;
        let lines = log(cluster, 0)?.lines().count();
        let begun = Instant::now();
        let mut kept: Vec<Stranger> = Vec::new();
        for number in 0..3000 {
            let target = &targets[number as usize % 3];
            let mut stranger = target.call()?;
            // It may be hung up on at once.
            let _ = stranger.send(&demands(target, &id(), number));
            kept.push(stranger);
            if kept.len() > 300 {
                kept.remove(0);
            }
        }
        let took = begun.elapsed();
        workload.wait_for_progress(200)?;
        for (number, (pid, before)) in pids.iter().zip(before).enumerate() {
            let grown = memory(*pid)?.0.saturating_sub(before) / MIB;
            println!("node {number}: peak memory grew by {grown} MiB in {took:?}");
            ensure!(grown < 150, "node {number}: {grown} MiB more");
        }
        let more = log(cluster, 0)?.lines().count() - lines;
        println!("{more} more lines in the log");
        ensure!(more as u64 <= 60 + 2 * took.as_secs(), "{more} lines more");
        Ok(())
    })
}

/// Ids of real members, from a place that is not theirs.
#[test]
fn forged_members_disturb_nobody() -> Result<()> {
    under(|_, workload, targets| {
        for number in 0..300 {
            let target = &targets[number % 3];
            let member = &targets[(number + 1) % 3];
            let address = format!("tcp:{}", member.address);
            let mut stranger = target.call()?;
            // It may be hung up on at once.
            let _ = stranger.send(&target.hello(&member.server, &address));
            let _ = stranger.send(b"garbage");
            stranger.wait_for_end()?;
        }
        workload.wait_for_progress(200)
    })
}
