//! A node of a cluster whose disk does not take its file: it ends, and starts as if nothing had been.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{free_port, require, wait_for};
use serde_json::json;

use crate::program::{DEADLINE, Program};

/// A node that is its cluster alone.
fn node() -> Result<Program> {
    let ports = [free_port()?, free_port()?].map(|port| port.to_string());
    let [nb, sb] = &ports;
    let program = Program::new()?
        .set("LOCAL_IP", "127.0.0.1")
        .set("NODE_IPS", "127.0.0.1")
        .set("OVN_IC_DB_NB_RAFT_PORT", nb)
        .set("OVN_IC_DB_SB_RAFT_PORT", sb);
    Ok(program)
}

#[test]
fn a_file_that_cannot_be_made_ends_the_program() -> Result<()> {
    let mut program = node()?;
    let file = program.database("nb")?;
    let in_the_way = file.with_extension("db.tmp");
    fs::create_dir(&in_the_way)?;
    let (status, said) = program.fails()?;
    ensure!(status == 1, "{status}: {said}");
    for words in [
        "OVN_IC_Northbound: ",
        &in_the_way.display().to_string(),
        "; move that folder away, ",
    ] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    ensure!(!file.exists() && program.run_folder()?.is_empty());
    fs::remove_dir(in_the_way)?;
    program.start()?;
    program.wait("a leader", |program| {
        Ok(program.ctl("nb", &["ts-add", "one"]).ok())
    })?;
    Ok(())
}

/// Ends its processes with the test.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A disk of its own that is full, first; with room, when it is started again.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=64k none "$OVN_DBDIR" || exit 99
head -c 1M /dev/zero >"$OVN_DBDIR/other" 2>/dev/null
"$0" run >"$1/first" 2>&1
echo "$?" >"$1/status.tmp"
ls -A "$OVN_DBDIR" >"$1/left"
rm "$OVN_DBDIR/other"
mv "$1/status.tmp" "$1/status"
exec "$0" run >"$1/second" 2>&1
"#;

#[test]
fn a_full_disk_ends_the_program_and_harms_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    for name in ["db", "run", "log"] {
        fs::create_dir(path(name))?;
    }
    let mut command = Command::new(require("unshare", "util-linux")?);
    if !rustix::process::geteuid().is_root() {
        command.args(["--map-root-user"]);
    }
    command
        .args(["--mount", "--kill-child", "sh", "-c", SCRIPT])
        .arg(env!("CARGO_BIN_EXE_ovn-ic-db"))
        .arg(folder.path())
        .env("OVN_DBDIR", path("db"))
        .env("OVN_RUNDIR", path("run"))
        .env("OVN_LOGDIR", path("log"))
        .env("TS_NAME", "one")
        .env("LOCAL_IP", "127.0.0.1")
        .env("NODE_IPS", "127.0.0.1")
        .stdin(Stdio::null());
    for port in ["NB_PORT", "SB_PORT", "NB_RAFT_PORT", "SB_RAFT_PORT"] {
        command.env(format!("OVN_IC_DB_{port}"), free_port()?.to_string());
    }
    let mut shell = Shell(command.spawn()?);
    let status = wait_for("the program's end", DEADLINE, || {
        if let Some(status) = shell.0.try_wait()? {
            anyhow::bail!("no disk could be made, or the script failed: {status}");
        }
        Ok(fs::read_to_string(path("status")).ok())
    })?;
    let said = fs::read_to_string(path("first"))?;
    ensure!(status.trim() == "1", "{status}: {said}");
    let advice = format!("free space in {} and start again", path("db").display());
    ensure!(
        said.contains("No space left") && said.contains(&advice),
        "{said}"
    );
    let left = fs::read_to_string(path("left"))?;
    ensure!(
        left.lines()
            .all(|name| name == "other" || name.ends_with("~lock~")),
        "{left}"
    );
    let switches = || has_switch(&path("run/ovn_ic_nb_db.sock"));
    wait_for("the switch", DEADLINE, || {
        Ok(switches().ok().filter(|has| *has))
    })?;
    Ok(())
}

fn has_switch(socket: &Path) -> Result<bool> {
    let select = json!({"op": "select", "table": "Transit_Switch", "where": []});
    let results = Client::unix(socket)?.transact("OVN_IC_Northbound", &[select])?;
    let rows = results.first().and_then(|result| result["rows"].as_array());
    Ok(rows.is_some_and(|rows| rows.len() == 1))
}
