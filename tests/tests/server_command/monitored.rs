//! `--monitor`: a server that crashes is started again as it was.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Program, executable, wait_for};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;

use crate::create;

const PATIENCE: Duration = Duration::from_secs(60);

fn pid(folder: &Path) -> Option<Pid> {
    let text = fs::read_to_string(folder.join("m.pid")).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn control(folder: &Path, command: &str, arguments: &[&str]) -> Result<String> {
    let mut client = Client::unix(&folder.join("m.ctl"))?;
    let answer = client.call(command, json!(arguments))?;
    Ok(answer.as_str().unwrap_or_default().to_owned())
}

fn exercise(folder: &Path) -> Result<()> {
    control(
        folder,
        "ovsdb-server/add-db",
        &[&folder.join("B.db").display().to_string()],
    )?;
    control(folder, "ovsdb-server/remove-db", &["A"])?;
    control(folder, "ovsdb-server/add-remote", &["punix:more.sock"])?;
    for signal in [Signal::SEGV, Signal::ABORT] {
        let before = pid(folder).context("a pid file")?;
        kill_process(before, signal)?;
        let now = wait_for("another process", PATIENCE, || {
            let now = pid(folder).filter(|now| *now != before);
            let answers = now.is_some() && control(folder, "version", &[]).is_ok();
            Ok(now.filter(|_| answers))
        })?;
        ensure!(test_kill_process(before).is_err(), "the one before is left");
        ensure!(test_kill_process(now).is_ok());
        let databases = wait_for("its databases", PATIENCE, || {
            let names = control(folder, "ovsdb-server/list-dbs", &[])?;
            Ok(names.contains("B\n").then_some(names))
        })?;
        ensure!(databases == "B\n_Server\n", "{databases}");
        let mut client = wait_for("its remote", PATIENCE, || {
            Ok(Client::unix(&folder.join("more.sock")).ok())
        })?;
        client.call("list_dbs", json!([]))?;
    }
    Ok(())
}

#[test]
fn a_crashed_server_comes_back_as_commands_made_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    create(folder, "A")?;
    create(folder, "B")?;
    let status = Command::new(executable(Program::Ours)?)
        .args(["ovsdb-server", "--monitor", "--detach", "--no-chdir"])
        .args(["--pidfile=m.pid", "--unixctl=m.ctl", "--log-file=m.log"])
        .args(["-vconsole:off", "--remote=punix:m.sock", "A.db"])
        .env("OVS_RUNDIR", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    let outcome = exercise(folder);
    // The end of the one that serves is the end of the other.
    let last = pid(folder);
    control(folder, "exit", &[]).context("exit")?;
    wait_for("its end", PATIENCE, || {
        Ok((!folder.join("m.pid").exists()).then_some(()))
    })?;
    let log = fs::read_to_string(folder.join("m.log"))?;
    outcome.with_context(|| log.clone())?;
    ensure!(log.contains("2 crashes: "), "{log}");
    ensure!(last.is_some());
    Ok(())
}
