//! `ovn-ic-db ovsdb-server` on the files of clusters' members, with the real server as the others.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{require, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{DEADLINE, tool};

const OURS: &str = env!("CARGO_BIN_EXE_ovn-ic-db");
const SCHEMA: &str = r#"{"name":"Things","version":"1.0.0","tables":{"Thing":{"isRoot":true,
    "columns":{"name":{"type":"string"}},"indexes":[["name"]]}}}"#;

/// A folder of servers, each with files of its own number; relative names begin there.
struct Servers {
    folder: TempDir,
    running: Vec<(usize, Child)>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Servers {
    /// The files of a cluster of so many members: the first has founded it, the others are to join.
    fn of_cluster(count: usize) -> Result<Servers> {
        let servers = Servers {
            folder: tempfile::Builder::new().prefix("members-").tempdir()?,
            running: Vec::new(),
        };
        fs::write(servers.path("schema"), SCHEMA)?;
        let (file, schema) = (servers.text("1.db"), servers.text("schema"));
        tool(
            "ovsdb-tool",
            ["create-cluster", &*file, &*schema, "unix:1.raft"],
        )?;
        for number in 2..=count {
            servers.to_join(number)?;
        }
        Ok(servers)
    }

    /// Makes the file of a server that is to join.
    fn to_join(&self, number: usize) -> Result<()> {
        let file = self.text(&format!("{number}.db"));
        let own = format!("unix:{number}.raft");
        let others = (1..=5).filter(|other| *other != number);
        let others = others.map(|other| format!("unix:{other}.raft"));
        let arguments = ["join-cluster".to_owned(), file, "Things".to_owned(), own];
        tool("ovsdb-tool", arguments.into_iter().chain(others))?;
        Ok(())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn command(&self, ours: bool, number: usize, files: &[&str]) -> Result<Command> {
        let mut command = match ours {
            true => {
                let mut command = Command::new(OURS);
                command.arg("ovsdb-server");
                command
            }
            false => Command::new(require("ovsdb-server", "openvswitch-common")?),
        };
        command
            .arg("--no-chdir")
            .arg(format!("--remote=punix:{number}.sock"))
            .arg(format!("--unixctl={}", self.text(&format!("{number}.ctl"))))
            .arg(format!(
                "--log-file={}",
                self.text(&format!("{number}.log"))
            ))
            .args(files)
            .current_dir(self.folder.path())
            .env("OVS_RUNDIR", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }

    /// Starts a server, ours or the real one, on its own file.
    fn start(&mut self, ours: bool, number: usize) -> Result<()> {
        self.start_on(ours, number, &[&format!("{number}.db")])
    }

    fn start_on(&mut self, ours: bool, number: usize, files: &[&str]) -> Result<()> {
        let child = self.command(ours, number, files)?.spawn()?;
        self.running.push((number, child));
        Ok(())
    }

    fn end(&mut self, number: usize) -> Result<Child> {
        let place = self.running.iter().position(|(of, _)| *of == number);
        Ok(self.running.remove(place.context("it runs")?).1)
    }

    /// Ends one as a crash does.
    fn kill(&mut self, number: usize) -> Result<()> {
        let mut child = self.end(number)?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks one to end, and waits for that.
    fn stop(&mut self, number: usize) -> Result<()> {
        self.say(number, &["exit"])?;
        ensure!(self.end(number)?.wait()?.success(), "server {number}");
        Ok(())
    }

    fn say(&self, number: usize, words: &[&str]) -> Result<String> {
        let control = self.text(&format!("{number}.ctl"));
        tool("ovs-appctl", ["-t", &control].iter().chain(words))
    }

    fn client(&self, number: usize) -> Result<Client> {
        Ok(Client::unix(&self.path(&format!("{number}.sock")))?)
    }

    /// Waits, with the real client, until a server has a state.
    fn wait(&self, number: usize, state: &str) -> Result<()> {
        let socket = self.path(&format!("{number}.sock"));
        wait_for("a socket", DEADLINE, || {
            Ok(Client::unix(&socket).ok().map(drop))
        })?;
        let socket = format!("unix:{}", socket.display());
        let limit = format!("--timeout={}", DEADLINE.as_secs());
        tool("ovsdb-client", [&*limit, "wait", &socket, "Things", state])?;
        Ok(())
    }

    /// Waits until one of these leads, and says which.
    fn leader(&self, among: &[usize]) -> Result<usize> {
        wait_for("a leader", DEADLINE, || {
            let leads = |number: &&usize| {
                self.say(**number, &["cluster/status", "Things"])
                    .is_ok_and(|status| status.contains("Role: leader"))
            };
            Ok(among.iter().find(leads).copied())
        })
    }

    fn add(&self, number: usize, name: &str) -> Result<()> {
        let insert = json!({"op": "insert", "table": "Thing", "row": {"name": name}});
        let mut client = self.client(number)?;
        let results = client.transact("Things", &[insert])?;
        let [result] = &results[..] else {
            anyhow::bail!("{results:?}");
        };
        ensure!(result.get("uuid").is_some(), "{result}");
        Ok(())
    }

    /// Waits until a server has just these.
    fn has(&self, number: usize, names: &[&str]) -> Result<()> {
        wait_for("the rows", DEADLINE, || {
            let select =
                json!({"op": "select", "table": "Thing", "where": [], "columns": ["name"]});
            let results = self.client(number)?.transact("Things", &[select])?;
            let rows = results[0]["rows"].as_array().cloned().unwrap_or_default();
            let mut found: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
            found.sort_unstable();
            Ok((found == names).then_some(()))
        })
    }
}

#[test]
fn members_of_both_kinds_meet_at_unix_sockets() -> Result<()> {
    let mut servers = Servers::of_cluster(3)?;
    // The real server founds it; a socket that somebody has left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(
        servers.path("2.raft"),
    )?);
    for (number, ours) in [(1, false), (2, true), (3, true)] {
        servers.start(ours, number)?;
        servers.wait(number, "connected")?;
    }
    for number in 1..=3 {
        servers.add(number, &number.to_string())?;
    }
    for number in 1..=3 {
        servers.has(number, &["1", "2", "3"])?;
        let status = servers.say(number, &["cluster/status", "Things"])?;
        for of in 1..=3 {
            ensure!(status.contains(&format!(" at unix:{of}.raft)")), "{status}");
        }
        ensure!(
            status.contains(&format!("Address: unix:{number}.raft")),
            "{status}"
        );
    }
    servers.kill(1)?;
    let leader = servers.leader(&[2, 3])?;
    servers.add(5 - leader, "4")?;
    servers.start(true, 1)?;
    servers.wait(1, "connected")?;
    servers.has(1, &["1", "2", "3", "4"])?;
    for number in 1..=3 {
        servers.stop(number)?;
        ensure!(!servers.path(&format!("{number}.raft")).exists());
        let file = servers.text(&format!("{number}.db"));
        let address = tool("ovsdb-tool", ["db-local-address", &*file])?;
        ensure!(address == format!("unix:{number}.raft\n"), "{address}");
    }
    let files = [1, 2, 3].map(|number| servers.text(&format!("{number}.db")));
    let check = ["check-cluster".to_owned()].into_iter().chain(files);
    tool("ovsdb-tool", check)?;
    Ok(())
}

#[test]
fn five_members_lose_two_and_let_one_go() -> Result<()> {
    let mut servers = Servers::of_cluster(5)?;
    for number in 1..=5 {
        // The last one is of the other kind.
        servers.start(number < 5, number)?;
        servers.wait(number, "connected")?;
    }
    servers.add(3, "a")?;
    servers.kill(1)?;
    servers.kill(2)?;
    servers.leader(&[3, 4, 5])?;
    servers.add(4, "b")?;
    for number in [1, 2] {
        servers.start(true, number)?;
        servers.wait(number, "connected")?;
        servers.has(number, &["a", "b"])?;
    }
    let leader = servers.leader(&[1, 2, 3, 4, 5])?;
    let leaves = if leader < 5 { leader } else { 1 };
    servers.say(leaves, &["cluster/leave", "Things"])?;
    servers.wait(leaves, "removed")?;
    let names = servers.client(leaves)?.call("list_dbs", json!([]))?;
    ensure!(names == json!(["_Server"]), "{names}");
    servers.stop(leaves)?;
    let file = format!("{leaves}.db");
    let mut again = servers.command(true, leaves, &[&file])?;
    let refused = again.stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && said.contains("has left the cluster"),
        "{said}"
    );
    // A new server at its address.
    fs::remove_file(servers.path(&file))?;
    servers.to_join(leaves)?;
    servers.start(true, leaves)?;
    servers.wait(leaves, "connected")?;
    servers.has(leaves, &["a", "b"])?;
    Ok(())
}

#[test]
fn a_standalone_database_a_member_and_a_server_that_waits() -> Result<()> {
    let mut servers = Servers::of_cluster(1)?;
    let schema = |name: &str| SCHEMA.replace("Things", name);
    for name in ["Alone", "Waiting"] {
        fs::write(servers.path(name), schema(name))?;
    }
    let at = |name: &str| servers.text(name);
    tool("ovsdb-tool", ["create", &*at("alone.db"), &*at("Alone")])?;
    let waiting = at("waiting.db");
    tool(
        "ovsdb-tool",
        [
            "join-cluster",
            &*waiting,
            "Waiting",
            "unix:w.raft",
            "unix:none.raft",
        ],
    )?;
    servers.start_on(true, 1, &["alone.db", "1.db", "waiting.db"])?;
    servers.wait(1, "connected")?;
    servers.add(1, "a")?;
    let mut client = servers.client(1)?;
    let names = client.call("list_dbs", json!([]))?;
    ensure!(
        names == json!(["Alone", "Things", "Waiting", "_Server"]),
        "{names}"
    );
    let insert = json!({"op": "insert", "table": "Thing", "row": {"name": "b"}});
    let results = client.transact("Alone", &[insert])?;
    ensure!(results[0].get("uuid").is_some(), "{results:?}");
    let asked = client.call("get_schema", json!(["Waiting"]));
    let refused = asked.expect_err("it has no contents").to_string();
    ensure!(
        refused.contains("has not completed joining its cluster"),
        "{refused}"
    );
    let status = servers.say(1, &["cluster/status", "Waiting"])?;
    ensure!(status.contains("Status: joining cluster"), "{status}");
    let select = json!({"op": "select", "table": "Database", "where": [["name", "==", "Waiting"]],
        "columns": ["connected", "leader", "model", "schema"]});
    let rows = client.transact("_Server", &[select])?[0]["rows"].clone();
    let expected =
        json!([{"connected": false, "leader": false, "model": "clustered", "schema": ["set", []]}]);
    ensure!(rows == expected, "{rows}");
    // Its address is taken as long as it lives, its name in this process, too.
    fs::copy(servers.path("1.db"), servers.path("copy.db"))?;
    let mut other = servers.command(true, 2, &["copy.db"])?;
    let refused = other.stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && said.contains("in use by a live server"),
        "{said}"
    );
    servers.stop(1)?;
    ensure!(!servers.path("1.raft").exists() && !servers.path("w.raft").exists());
    Ok(())
}

#[test]
fn a_wait_for_a_server_to_be_connected_ends_when_it_is() -> Result<()> {
    let mut servers = Servers::of_cluster(2)?;
    servers.start(true, 2)?;
    let mut client = wait_for("an answer", DEADLINE, || Ok(servers.client(2).ok()))?;
    let until = |connected: bool| -> Value {
        json!(["_Server", {"op": "wait", "table": "Database", "where": [["name", "==", "Things"]],
            "columns": ["connected"], "until": "==", "rows": [{"connected": connected}]}])
    };
    // Others are sent away when a database connects.
    client.call("set_db_change_aware", json!([true]))?;
    client.call("transact", until(false))?;
    let waits = client.request("transact", until(true))?;
    servers.start(true, 1)?;
    client.reply(&waits)?;
    Ok(())
}
