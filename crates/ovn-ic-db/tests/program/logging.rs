//! The log and the figures of `ovn-ic-db ovsdb-server`, with the replaced program's beside them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{
    Options, Program as Which, START_DEADLINE, Server, Source, wait_for,
};
use serde_json::{Value, json};

use crate::control::ask;

/// Two tables, one of which refers to the other.
const SCHEMA: &str = r#"{"name":"mydb","version":"1.0.0","tables":{
    "things":{"isRoot":true,"columns":{
        "name":{"type":"string"},
        "number":{"type":"integer"},
        "options":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
        "other":{"type":{"key":{"type":"uuid","refTable":"things","refType":"weak"},
            "min":0,"max":"unlimited"}}}},
    "quiet":{"isRoot":true,"columns":{"name":{"type":"string"}}}}}"#;

fn start(program: Which, arguments: &[&str]) -> Result<Server> {
    let options = Options {
        arguments: arguments.iter().map(Into::into).collect(),
        ..Options::default()
    };
    Server::start(program, &Source::SchemaText(SCHEMA.to_owned()), &options)
}

/// Waits until the log has a line with all these words.
fn wait_for_line(server: &Server, words: &[&str]) -> Result<String> {
    wait_for(&format!("{words:?} in the log"), START_DEADLINE, || {
        let log = fs::read_to_string(server.log())?;
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        Ok(log.lines().find(has).map(str::to_owned))
    })
}

fn control(server: &Server, command: &str, arguments: &[&str]) -> Result<String> {
    let [result, error] = ask(&server.control_socket(), command, arguments)?;
    ensure!(error.is_null(), "{command} {arguments:?}: {error}");
    Ok(result.as_str().unwrap_or_default().to_owned())
}

fn insert(client: &mut Client, name: &str) -> Result<Value> {
    let row = json!({"name": name, "number": 7, "options": ["map", [["b", "x y"], ["a", "1"]]],
        "other": ["set", [["named-uuid", "itself"]]]});
    let insert = json!({"op": "insert", "table": "things", "row": row, "uuid-name": "itself"});
    let quiet = json!({"op": "insert", "table": "quiet", "row": {"name": name}});
    client.call("transact", json!(["mydb", insert, quiet]))
}

#[test]
fn commands_say_what_the_replaced_server_says() -> Result<()> {
    let ours = start(Which::Ours, &[])?;
    let reference = start(Which::Reference, &[])?;
    let pattern = "PATTERN:file:%D{%H}|%-5N|%05p|%m";
    for (command, arguments) in [
        ("vlog/list-pattern", &[][..]),
        ("vlog/set", &[pattern]),
        (
            "vlog/set",
            &["PATTERN:console:%p|%m", "pattern:SYSLOG:%A,%m"],
        ),
        ("vlog/list-pattern", &[]),
        ("vlog/set", &["PATTERN:any:::"]),
        ("vlog/list-pattern", &[]),
        ("vlog/set", &["PATTERN"]),
        ("vlog/set", &["PATTERN:nowhere:%m"]),
        ("vlog/set", &["FACILITY:local3"]),
        ("vlog/set", &["FACILITY:none"]),
        ("vlog/set", &["FACILITY"]),
        (
            "vlog/set",
            &[
                "jsonrpc:file:dbg",
                "ANY:socket_util:WARN",
                "dbg console raft",
            ],
        ),
        ("vlog/set", &["jsonrpc:raft"]),
        ("vlog/set", &["info,warn"]),
        ("vlog/set", &["file:console"]),
        ("vlog/set", &["nothing"]),
        ("vlog/set", &[""]),
        ("vlog/enable-rate-limit", &[]),
        ("vlog/disable-rate-limit", &["jsonrpc", "ANY"]),
        ("vlog/disable-rate-limit", &["nothing"]),
        ("vlog/close", &[]),
        ("vlog/reopen", &[]),
        ("vlog/list", &["a"]),
        ("coverage/read-counter", &["nothing"]),
        ("coverage/read-counter", &[]),
        ("ovsdb-server/perf-counters-clear", &[]),
        ("ovsdb-server/memory-trim-on-compaction", &["on"]),
        ("ovsdb-server/memory-trim-on-compaction", &["maybe"]),
        ("ovsdb-server/memory-trim-on-compaction", &[]),
        ("ovsdb-server/tlog-list", &[]),
        ("ovsdb-server/tlog-set", &["mydb:things", "ON"]),
        ("ovsdb-server/tlog-set", &[":mydb:quiet:", "on"]),
        ("ovsdb-server/tlog-list", &[]),
        ("ovsdb-server/tlog-set", &["mydb:quiet", "off"]),
        ("ovsdb-server/tlog-list", &[]),
        ("ovsdb-server/tlog-set", &["mydb", "on"]),
        ("ovsdb-server/tlog-set", &["mydb:a:b", "on"]),
        ("ovsdb-server/tlog-set", &["none:things", "on"]),
        ("ovsdb-server/tlog-set", &["mydb:none", "on"]),
        ("ovsdb-server/tlog-set", &["mydb:things", "perhaps"]),
        ("ovsdb-server/disable-monitor-cond", &[]),
        ("ovsdb/file/column-diff-enable", &[]),
    ] {
        let answers = [&ours, &reference].map(|s| ask(&s.control_socket(), command, arguments));
        let [ours, theirs] = answers;
        assert_eq!(ours?, theirs?, "{command} {arguments:?}");
    }
    // Every module that is there can be ruled here, too, and the levels are the same.
    let [own, theirs] = [&ours, &reference].map(|server| control(server, "vlog/list", &[]));
    let (own, theirs) = (own?, theirs?);
    for line in theirs.lines() {
        ensure!(own.lines().any(|own| own == line), "{line}\n{own}");
    }
    // Nobody knows conditions any more.
    for server in [&ours, &reference] {
        let mut client = server.client()?;
        client.send(&json!({"id": 1, "method": "monitor_cond", "params": ["mydb", 1, {}]}))?;
        assert_eq!(client.receive()?["error"], "unknown method");
    }
    Ok(())
}

#[test]
fn messages_are_logged_while_somebody_wants_to_see_them() -> Result<()> {
    let server = start(Which::Ours, &["-vjsonrpc:file:dbg"])?;
    let mut client = server.client()?;
    client.call("echo", json!(["first"]))?;
    let shown = wait_for_line(
        &server,
        &["|jsonrpc|DBG|unix#", "received request", "first"],
    )?;
    ensure!(
        shown.contains(": received request, method=\"echo\", params=[\"first\"], id="),
        "{shown}"
    );
    let shown = wait_for_line(&server, &["|jsonrpc|DBG|unix#", "send reply", "first"])?;
    ensure!(
        shown.contains(": send reply, result=[\"first\"], id="),
        "{shown}"
    );
    control(&server, "vlog/set", &["jsonrpc:info"])?;
    client.call("echo", json!(["second"]))?;
    control(&server, "vlog/message", &["third"])?;
    wait_for_line(&server, &["|vlog|INFO|user-message: third"])?;
    ensure!(!fs::read_to_string(server.log())?.contains("second"));
    Ok(())
}

#[test]
fn old_servers_read_what_is_written_for_them() -> Result<()> {
    let mut written = Vec::new();
    for program in [Which::Ours, Which::Reference] {
        let server = start(program, &["--disable-file-column-diff"])?;
        let mut client = server.client()?;
        insert(&mut client, "one")?;
        let update = json!({"op": "mutate", "table": "things", "where": [],
            "mutations": [["options", "insert", ["map", [["c", "d"]]]]]});
        client.call("transact", json!(["mydb", update]))?;
        // The file may have it a moment after the answer.
        let file = |words: &str| {
            wait_for(words, START_DEADLINE, || {
                let text = fs::read_to_string(server.database())?;
                Ok(text.contains(words).then_some(text))
            })
        };
        let text = file(r#"["map",[["a","1"],["b","x y"],["c","d"]]]"#)?;
        ensure!(!text.contains("_is_diff"), "{text}");
        control(&server, "ovsdb/file/column-diff-enable", &[])?;
        let update = json!({"op": "mutate", "table": "things", "where": [],
            "mutations": [["options", "insert", ["map", [["e", "f"]]]]]});
        client.call("transact", json!(["mydb", update]))?;
        let text = file(r#"["map",[["e","f"]]]"#)?;
        let last = text.lines().last().context("a record")?;
        written.push(serde_json::from_str::<Value>(last)?["_is_diff"].clone());
    }
    assert_eq!(written, [json!(true), json!(true)]);
    Ok(())
}

/// What a line says of a row, without what differs from server to server.
fn row(line: &str) -> Result<BTreeMap<String, String>> {
    let (_, row) = line.split_once("|transaction|INFO|").context("a row")?;
    let mut words = BTreeMap::new();
    for word in row.replace(", ", "; ").split(',') {
        let (name, value) = word.split_once(':').context("a column")?;
        if !name.starts_with('_') && name != "other" {
            words.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(words)
}

#[test]
fn changed_rows_are_logged_as_the_replaced_server_does() -> Result<()> {
    let mut told = Vec::new();
    for program in [Which::Ours, Which::Reference] {
        let server = start(program, &[])?;
        control(&server, "ovsdb-server/tlog-set", &["mydb:things", "on"])?;
        let mut client = server.client()?;
        insert(&mut client, "one")?;
        let update =
            json!({"op": "update", "table": "things", "where": [], "row": {"name": "a b"}});
        client.call("transact", json!(["mydb", update]))?;
        let delete = json!({"op": "delete", "table": "things", "where": []});
        client.call("transact", json!(["mydb", delete]))?;
        let mut rows = Vec::new();
        for operation in ["inserted", "updated", "deleted"] {
            let words = ["table:things,", &format!("op:{operation},")];
            rows.push(row(&wait_for_line(&server, &words)?)?);
        }
        ensure!(!fs::read_to_string(server.log())?.contains("table:quiet"));
        told.push(rows);
    }
    assert_eq!(told[0], told[1]);
    Ok(())
}

#[test]
fn memory_is_told_in_the_replaced_servers_figures() -> Result<()> {
    let mut told = Vec::new();
    for program in [Which::Ours, Which::Reference] {
        let server = start(program, &[])?;
        let mut client = server.client()?;
        for name in ["a", "b", "c"] {
            insert(&mut client, name)?;
        }
        client.call("monitor", json!(["mydb", 1, {"things": {}}]))?;
        let keys = ["atoms", "cells", "monitors", "n-weak-refs", "sessions"];
        let figures = wait_for("one session", START_DEADLINE, || {
            let shown = control(&server, "memory/show", &[])?;
            let pairs = shown
                .split_whitespace()
                .filter_map(|pair| pair.split_once(':'));
            let pairs: BTreeMap<_, _> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            let of = keys.map(|key| (key, pairs.get(key).cloned().unwrap_or_default()));
            // Who has looked whether it runs may still be leaving.
            Ok((pairs.get("sessions").is_some_and(|n| n == "1")).then_some(of))
        })?;
        told.push(figures);
    }
    assert_eq!(told[0], told[1]);
    Ok(())
}

#[test]
fn figures_are_true() -> Result<()> {
    let server = start(Which::Ours, &[])?;
    let mut client = server.client()?;
    let read = |name: &str| -> Result<u64> {
        Ok(control(&server, "coverage/read-counter", &[name])?
            .trim()
            .parse()?)
    };
    let before = read("transaction_committed")?;
    for name in ["a", "b", "c"] {
        insert(&mut client, name)?;
    }
    assert_eq!(read("transaction_committed")?, before + 3);
    let shown = control(&server, "coverage/show", &[])?;
    ensure!(
        shown.starts_with("Event coverage, avg rate over last: 5 seconds, "),
        "{shown}"
    );
    let line = shown
        .lines()
        .find(|line| line.starts_with("transaction_committed "));
    ensure!(
        line.is_some_and(|line| line.ends_with(&format!("total: {}", before + 3))),
        "{shown}"
    );
    let count = || -> Result<Option<u64>> {
        let shown = control(&server, "ovsdb-server/perf-counters-show", &[])?;
        let line = shown
            .lines()
            .find_map(|line| line.strip_prefix("mydb: transaction "));
        let count = line.and_then(|line| line.split_whitespace().next());
        Ok(count.map(str::parse).transpose()?)
    };
    assert_eq!(count()?, Some(before + 3));
    control(&server, "ovsdb-server/perf-counters-clear", &[])?;
    assert_eq!(count()?, Some(0));
    Ok(())
}

#[test]
fn lines_on_the_console_look_as_their_pattern_says() -> Result<()> {
    let pattern = "-vPATTERN:console:<%A|%p|%m>";
    let server = start(Which::Ours, &["-vconsole:info", "-vvlog:off", pattern])?;
    let said = server.said();
    ensure!(said.contains("<ovsdb-server|INFO|"), "{said}");
    let wrong = Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"))
        .args(["ovsdb-server", "-vPATTERN:x:y"])
        .output()?;
    let said = String::from_utf8_lossy(&wrong.stderr);
    ensure!(
        said.contains("processing \"PATTERN:x:y\": unknown destination \"x\""),
        "{said}"
    );
    Ok(())
}
