//! `--config-file`, which the reference of the tests does not have yet: as its documents say.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Program, executable, wait_for};
use serde_json::json;
use tempfile::TempDir;

use crate::create;
use crate::tls::{self, Pki, listening};

const PATIENCE: Duration = Duration::from_secs(30);

struct Server(TempDir);

impl Server {
    fn new() -> Result<Server> {
        let folder = tempfile::tempdir()?;
        create(folder.path(), "A")?;
        create(folder.path(), "B")?;
        Ok(Server(folder))
    }

    fn configure(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.0.path().join("c.json"), text)?)
    }

    /// Starts in the background, or says why not.
    fn start(&self) -> Result<Output> {
        self.start_with(&[])
    }

    /// The same with more options.
    fn start_with(&self, options: &[String]) -> Result<Output> {
        let folder = self.0.path();
        let mut command = Command::new(executable(Program::Ours)?);
        command
            .args(["ovsdb-server", "--detach", "--no-chdir", "--pidfile=s.pid"])
            .args([
                "--unixctl=s.ctl",
                "--log-file=s.log",
                "--config-file=c.json",
            ])
            .args(options)
            .env("OVS_RUNDIR", folder)
            .env("OVS_DBDIR", folder)
            .current_dir(folder)
            .stdin(Stdio::null());
        Ok(command.output()?)
    }

    fn control(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut client = Client::unix(&self.0.path().join("s.ctl"))?;
        let answer = client.call(command, json!(arguments))?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.control("exit", &[]).is_ok() {
            // Nothing depends on it but the next test's quiet.
            let pid = self.0.path().join("s.pid");
            let _ = wait_for("its end", PATIENCE, || Ok((!pid.exists()).then_some(())));
        }
    }
}

#[test]
fn a_file_says_what_is_served_and_is_read_again() -> Result<()> {
    let server = Server::new()?;
    server.configure(r#"{"remotes":{"punix:a.sock":null},"databases":{"A.db":null}}"#)?;
    let output = server.start()?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(server.control("ovsdb-server/list-dbs", &[])? == "A\n_Server\n");
    let mut client = Client::unix(&server.0.path().join("a.sock"))?;
    client.call("set_db_change_aware", json!([true]))?;

    server.configure(
        r#"{"remotes":{"punix:a.sock":{},"punix:b.sock":{"read-only":true}},
            "databases":{"A.db":{"service-model":"standalone"},"B.db":{},
                "R":{"service-model":"relay","source":{"unix:none.sock":{"inactivity-probe":9000}}}}}"#,
    )?;
    server.control("ovsdb-server/reload", &[])?;
    ensure!(server.control("ovsdb-server/list-dbs", &[])? == "A\nB\nR\n_Server\n");
    let insert = [json!({"op": "insert", "table": "T", "row": {"n": 1}})];
    client.transact("B", &insert)?;
    let mut reader = wait_for("the new remote", PATIENCE, || {
        Ok(Client::unix(&server.0.path().join("b.sock")).ok())
    })?;
    let refused = reader.transact("B", &insert)?;
    ensure!(refused[0]["error"] == "not allowed", "{refused:?}");

    // What cannot be understood changes nothing.
    server.configure("{")?;
    let error = server.control("ovsdb-server/reload", &[]).err();
    let error = error.context("it was understood")?.to_string();
    ensure!(error.contains("See the log file for details"), "{error}");
    ensure!(server.control("ovsdb-server/list-dbs", &[])? == "A\nB\nR\n_Server\n");
    let error = server.control("ovsdb-server/add-db", &["x"]).err();
    let error = error.context("added")?.to_string();
    ensure!(error.contains("use ovsdb-server/reload instead"), "{error}");

    server.configure(r#"{"remotes":{"punix:a.sock":{}},"databases":{"B.db":{}}}"#)?;
    server.control("ovsdb-server/reload", &[])?;
    ensure!(server.control("ovsdb-server/list-dbs", &[])? == "B\n_Server\n");
    ensure!(!server.0.path().join("b.sock").exists());
    Ok(())
}

#[test]
fn a_relay_in_it_may_reach_its_source_by_tls() -> Result<()> {
    let server = Server::new()?;
    let pki = Pki::new(&server.0.path().join("pki"), &["source", "relay"])?;
    let (port, listen) = listening()?;
    let source = tls::start(
        Program::Reference,
        &tls::new_database("D"),
        &pki.keys("source"),
        &[listen],
    )?;
    tls::write(&source, 1)?;
    server.configure(&format!(
        r#"{{"remotes":{{"punix:a.sock":null}},"databases":{{"D":{{"service-model":"relay",
            "source":{{"ssl:127.0.0.1:{port}":{{"max-backoff":1000}}}}}}}}}}"#
    ))?;
    let output = server.start_with(&pki.keys("relay").options())?;
    ensure!(output.status.success(), "{output:?}");
    let socket = server.0.path().join("a.sock");
    wait_for("the source's contents", PATIENCE, || {
        let results = Client::unix(&socket)?.transact("D", &[tls::select()])?;
        Ok((results[0]["rows"] == json!([{"n": 1}])).then_some(()))
    })?;
    let insert = [json!({"op": "insert", "table": "T", "row": {"n": 2}})];
    Client::unix(&socket)?.transact("D", &insert)?;
    tls::wait_for_numbers(&source, &[1, 2])
}

#[test]
fn what_is_wrong_in_it_ends_the_start() -> Result<()> {
    for (text, words) in [
        (
            "{",
            "config: reading JSON failed (line 0, column 1, byte 1: ",
        ),
        (
            r#"{"databases":{"A.db":{"service-model":"clustered"}}}"#,
            "failed to open database 'A.db': ovsdb error: A.db: database is standalone and not clustered",
        ),
        (
            r#"{"databases":{"A.db":{"x":1}}}"#,
            "Parsing database A.db failed: Member 'x' is present but not allowed here.",
        ),
        (
            r#"{"databases":{"none.db":{}}}"#,
            "failed to open database 'none.db': I/O error: none.db: open failed (No such file or directory)",
        ),
    ] {
        let server = Server::new()?;
        server.configure(text)?;
        let output = server.start()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "{text}: {output:?}");
        ensure!(said.contains(words), "{text}: {said}");
        let last = "ovsdb-server: server configuration failed";
        ensure!(said.lines().last() == Some(last), "{text}: {said}");
    }
    Ok(())
}
