//! Remotes and keys that clients set in the database: `set-connection`, `set-ssl`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::keys::Authority;
use ovn_ic_db_tests::process::free_port;

use crate::program::{Program, tool};

#[test]
fn connections_that_are_set_are_there() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let (port, secure) = (free_port()?, free_port()?);
    program.ctl("nb", &["init"])?;
    let (plain, tls) = (
        format!("ptcp:{port}:127.0.0.1"),
        format!("pssl:{secure}:127.0.0.1"),
    );
    program.ctl(
        "nb",
        &["--inactivity-probe=30000", "set-connection", &plain],
    )?;
    let local = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = program.wait("the port that was set", |_| {
        Ok(Client::tcp(local(port)).ok())
    })?;
    client.call("list_dbs", serde_json::json!([]))?;
    program.wait("its status", |program| {
        let rows = program.ctl(
            "nb",
            &["--columns=is_connected,status", "list", "Connection"],
        )?;
        let told = rows.contains("true") && rows.contains(&format!("bound_port=\"{port}\""));
        Ok(told.then_some(()))
    })?;

    let authority = Authority::new(&program.path("pki"))?;
    let (own, others) = (authority.issue("server")?, authority.issue("client")?);
    let file = |path: &std::path::Path| path.display().to_string();
    program.ctl("nb", &["set-connection", &plain, &tls])?;
    let (key, certificate, ca) = (file(&own.key), file(&own.certificate), file(&own.authority));
    program.ctl("nb", &["set-ssl", &key, &certificate, &ca])?;
    program.wait("an answer by TLS", |_| {
        let keys = [
            format!("--private-key={}", file(&others.key)),
            format!("--certificate={}", file(&others.certificate)),
            format!("--ca-cert={}", file(&others.authority)),
        ];
        let remote = format!("ssl:127.0.0.1:{secure}");
        let [key, certificate, ca] = &keys;
        let listed = tool(
            "ovsdb-client",
            ["--timeout=5", key, certificate, ca, "list-dbs", &remote],
        );
        Ok(listed.ok())
    })?;

    program.ctl("nb", &["del-connection"])?;
    program.wait("the port's end", |_| {
        Ok(Client::tcp(local(port)).is_err().then_some(()))
    })?;
    client.deadline = Duration::from_secs(10);
    let ended = client.call("list_dbs", serde_json::json!([]));
    ensure!(ended.is_err(), "its session goes on");
    program.stop().context("its end")?;
    Ok(())
}
