//! Members of a cluster with `ssl:` addresses.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::keys::Keys;
use ovn_ic_db_tests::process::{Program, Server, Source, free_port, require, wait_for};
use serde_json::json;

use super::{
    PATIENCE, Pki, keys_in, start, start_with, wait_for_line, wait_for_numbers, wait_until_shown,
    write,
};

/// The files of a cluster of so many, of which the first has founded it, and the ports of its members.
fn files(folder: &Path, count: usize) -> Result<Vec<(Source, u16)>> {
    let schema = folder.join("D.ovsschema");
    std::fs::write(&schema, crate::schema("D"))?;
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect::<Result<_>>()?;
    let address = |port: u16| format!("ssl:127.0.0.1:{port}");
    let mut files = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let file = folder.join(format!("{number}.db"));
        let mut tool = Command::new(require("ovsdb-tool", "openvswitch-common")?);
        match number {
            0 => tool.arg("create-cluster").args([&file, &schema]),
            _ => tool.arg("join-cluster").arg(&file).arg("D"),
        };
        tool.arg(address(*port));
        if number > 0 {
            tool.arg(address(ports[0]));
        }
        let output = tool.output()?;
        ensure!(output.status.success(), "{output:?}");
        files.push((Source::File(file), *port));
    }
    Ok(files)
}

/// Waits until a server is a member of a cluster of so many that has a leader.
fn wait_for_members(server: &Server, count: usize) -> Result<()> {
    let whole = wait_for("a whole cluster", PATIENCE, || {
        let Ok(status) = server.control("cluster/status", &["D"]) else {
            return Ok(None);
        };
        let servers = status.lines().filter(|line| line.contains(" at ssl:"));
        let is = status.contains("Status: cluster member")
            && !status.contains("Leader: unknown")
            && servers.count() == count;
        Ok(is.then_some(()))
    });
    whole.with_context(|| server.said())
}

/// Somebody with a foreign certificate, or without any, at a member's port.
fn knock(port: u16, keys: Option<&Keys>) -> Result<()> {
    let mut command = Command::new(require("openssl", "openssl")?);
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    if let Some(keys) = keys {
        command.arg("-key").arg(&keys.key);
        command.arg("-cert").arg(&keys.certificate);
    }
    command.stdin(Stdio::null()).output()?;
    Ok(())
}

#[test]
fn members_of_both_kinds_talk_by_tls_and_with_newer_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let own = Pki::new(&at("own"), &["0", "1", "2", "newer"])?;
    let foreign = Pki::new(&at("foreign"), &["stranger"])?;
    let files = files(folder.path(), 3)?;
    let programs = [Program::Ours, Program::Reference, Program::Ours];
    let mut servers = Vec::new();
    for (number, (program, (file, _))) in programs.into_iter().zip(&files).enumerate() {
        let place = at(&format!("{number}-tls"));
        own.keys(&number.to_string()).put(&place)?;
        let mut keys = keys_in(&place).options();
        if number == 2 {
            // It takes the authority from whom it asks to join.
            keys[2] = format!("--bootstrap-ca-cert={}", at("2.pem").display());
        }
        let shown = format!("--peer-ca-cert={}", own.authority().display());
        servers.push(start_with(program, file, &keys, &[shown])?);
    }
    for server in &servers {
        wait_for_members(server, 3)?;
    }
    wait_for_line(
        &servers[2],
        &["successfully bootstrapped CA cert to", "2.pem"],
    )?;
    let all = |servers: &[Server], numbers: &[i64]| -> Result<()> {
        for server in servers {
            wait_for_numbers(server, numbers)?;
        }
        Ok(())
    };
    for (number, server) in servers.iter().enumerate() {
        write(server, number as i64)?;
    }
    all(&servers, &[0, 1, 2])?;
    // The first one refuses strangers.
    let port = files[0].1;
    knock(port, Some(&foreign.keys("stranger")))?;
    knock(port, None)?;
    let refused = [
        "raft: ssl:127.0.0.1:",
        "refused: ",
        "CN=stranger",
        "trusted here",
    ];
    wait_for_line(&servers[0], &refused)?;
    wait_for_line(
        &servers[0],
        &["raft: ssl:127.0.0.1:", "shows no certificate"],
    )?;
    // Other keys come into use, for connections from then on.
    own.keys("newer").put(&at("0-tls"))?;
    wait_for_line(&servers[0], &["TLS: new files are in use", "CN=newer"])?;
    wait_until_shown(port, "newer")?;
    write(&servers[0], 3)?;
    for again in [1, 2] {
        servers[again].restart()?;
        wait_for_members(&servers[again], 3)?;
    }
    write(&servers[0], 4)?;
    write(&servers[1], 5)?;
    all(&servers, &[0, 1, 2, 3, 4, 5])
}

/// The keys are named in another database of the same server, and come when it has been a member for a
/// while.
#[test]
fn a_members_keys_come_from_a_database() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::new(&folder.path().join("pki"), &["0", "1", "newer"])?;
    let files = files(folder.path(), 2)?;
    let schema = r#"{"name":"Keys","version":"1.0.0","tables":{"SSL":{"isRoot":true,"columns":{
        "private_key":{"type":"string"},"certificate":{"type":"string"},"ca_cert":{"type":"string"}}}}}"#;
    let (schema_file, keys_file) = (folder.path().join("schema"), folder.path().join("keys.db"));
    std::fs::write(&schema_file, schema)?;
    ovn_ic_db_tests::process::create_database(&keys_file, &schema_file)?;
    let named = ["private-key", "certificate", "ca-cert"]
        .map(|option| format!("--{option}=db:Keys,SSL,{}", option.replace('-', "_")));
    let keys_file = keys_file.display().to_string();
    let first = start_with(Program::Ours, &files[0].0, &named, &[keys_file])?;
    let port = files[0].1;
    // It leads, alone, and takes no calls.
    write(&first, 1)?;
    let second = start(Program::Reference, &files[1].0, &pki.keys("1"), &[])?;
    let refused = [
        "raft: ssl:127.0.0.1:",
        "refused: no keys for TLS are set here",
    ];
    wait_for_line(&first, &refused)?;
    let row = |name: &str| {
        let keys = pki.keys(name);
        let text = |path: &Path| path.display().to_string();
        json!({"private_key": text(&keys.key), "certificate": text(&keys.certificate),
            "ca_cert": text(&keys.authority)})
    };
    let insert = json!({"op": "insert", "table": "SSL", "row": row("0")});
    first.client()?.transact("Keys", &[insert])?;
    for server in [&first, &second] {
        wait_for_members(server, 2)?;
    }
    write(&second, 2)?;
    wait_for_numbers(&first, &[1, 2])?;
    let update = json!({"op": "update", "table": "SSL", "where": [], "row": row("newer")});
    first.client()?.transact("Keys", &[update])?;
    wait_until_shown(port, "newer")?;
    write(&first, 3)?;
    wait_for_numbers(&second, &[1, 2, 3])
}
