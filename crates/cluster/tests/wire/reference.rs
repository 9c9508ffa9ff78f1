//! A cluster of Debian's `ovsdb-server`.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ovsdb::Uuid;
use tempfile::TempDir;

use crate::support::{PATIENCE, free};

const SCHEMA: &str = r#"{"name":"Parts","version":"1.0.0","tables":{"Part":{"isRoot":true,
    "columns":{"name":{"type":"string"},"number":{"type":"integer"}}}}}"#;

/// Members, killed when it is dropped.
pub struct Reference {
    folder: TempDir,
    pub addresses: Vec<SocketAddr>,
    members: Vec<Option<Child>>,
}

/// Finds a program on `PATH` or among the system's daemons.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: apt-get install openvswitch-common"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("it runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(said(&output.stderr)),
    }
}

pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Reference {
    /// Starts a cluster with a member at each of these IP addresses.
    pub fn start(ips: &[&str]) -> Reference {
        let folder = tempfile::tempdir().expect("folder");
        let addresses: Vec<_> = ips.iter().map(|ip| free(ip)).collect();
        let schema = folder.path().join("schema");
        fs::write(&schema, SCHEMA).expect("schema");
        let mut reference = Reference {
            folder,
            members: addresses.iter().map(|_| None).collect(),
            addresses,
        };
        for member in 0..ips.len() {
            let address = format!("tcp:{}", reference.addresses[member]);
            let mut tool = Command::new(program("ovsdb-tool"));
            match member {
                0 => tool
                    .arg("create-cluster")
                    .args([&reference.file(0, "db"), &schema])
                    .arg(address),
                _ => tool
                    .arg("join-cluster")
                    .arg(reference.file(member, "db"))
                    .args(["Parts", &address])
                    .arg(format!("tcp:{}", reference.addresses[0])),
            };
            run(&mut tool).expect("a file");
            reference.start_member(member);
        }
        for member in 0..ips.len() {
            wait_for("a cluster", || {
                let status = reference
                    .control(member, &["cluster/status", "Parts"])
                    .ok()?;
                status.contains("Status: cluster member").then_some(())
            });
        }
        reference
    }

    fn file(&self, member: usize, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{member}.{kind}"))
    }

    /// Makes a file of another member that joins at these addresses; its number.
    pub fn join(&mut self, address: SocketAddr, remotes: &[SocketAddr]) -> usize {
        let member = self.members.len();
        let mut tool = Command::new(program("ovsdb-tool"));
        tool.arg("join-cluster")
            .arg(self.file(member, "db"))
            .args(["Parts".to_owned(), format!("tcp:{address}")])
            .args(remotes.iter().map(|remote| format!("tcp:{remote}")));
        run(&mut tool).expect("a file");
        self.addresses.push(address);
        self.members.push(None);
        member
    }

    /// Sends a member's process a signal.
    pub fn signal(&self, member: usize, signal: &str) {
        let child = self.members[member].as_ref().expect("it runs");
        let mut kill = Command::new("kill");
        kill.arg(format!("-{signal}")).arg(child.id().to_string());
        run(&mut kill).expect("sent");
    }

    /// What `cluster/status` prints, to the last byte.
    pub fn status(&self, member: usize) -> String {
        let output = Command::new(program("ovs-appctl"))
            .args(["-T", "20", "-t"])
            .arg(self.file(member, "ctl"))
            .args(["cluster/status", "Parts"])
            .output()
            .expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn start_member(&mut self, member: usize) {
        let option = |name: &str, file: &Path| format!("{name}{}", file.display());
        let child = Command::new(program("ovsdb-server"))
            .args(["--no-chdir", "-vconsole:off", "-vfile:info"])
            .args(["-vjsonrpc:file:dbg", "-vraft:file:dbg"])
            .arg(option("--log-file=", &self.file(member, "log")))
            .arg(option("--unixctl=", &self.file(member, "ctl")))
            .arg(option("--remote=punix:", &self.file(member, "sock")))
            .arg(self.file(member, "db"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        self.members[member] = Some(child);
        wait_for("the control socket", || {
            self.control(member, &["version"]).ok()
        });
    }

    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A command of the control socket.
    pub fn control(&self, member: usize, command: &[&str]) -> Result<String, String> {
        run(Command::new(program("ovs-appctl"))
            .args(["-T", "20", "-t"])
            .arg(self.file(member, "ctl"))
            .args(command))
    }

    pub fn insert(&self, member: usize, name: &str) {
        let transaction = format!(
            r#"["Parts",{{"op":"insert","table":"Part","row":{{"name":"{name}","number":1}}}}]"#
        );
        run(Command::new(program("ovsdb-client"))
            .args(["--timeout=10", "transact"])
            .arg(format!("unix:{}", self.file(member, "sock").display()))
            .arg(transaction))
        .expect("inserted");
    }

    pub fn role(&self, member: usize) -> String {
        let status = self.control(member, &["cluster/status", "Parts"]);
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("Role: "));
        line.unwrap_or_default().to_owned()
    }

    pub fn leader(&self) -> usize {
        wait_for("a leader", || {
            (0..self.members.len()).find(|member| self.role(*member) == "leader")
        })
    }

    pub fn id(&self, member: usize, what: &str) -> Uuid {
        let text = self.control(member, &[what, "Parts"]).expect("an id");
        text.parse().expect("UUID")
    }

    pub fn log(&self, member: usize) -> String {
        fs::read_to_string(self.file(member, "log")).expect("log")
    }

    /// The Raft messages that the members' logs have, word for word.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        for member in 0..self.members.len() {
            for line in self
                .log(member)
                .lines()
                .filter(|l| l.contains("|jsonrpc|DBG|tcp:"))
            {
                if let Some((_, rest)) = line.split_once(" notification, method=\"")
                    && let Some((method, params)) = rest.split_once("\", params=")
                {
                    messages.push(format!(
                        "{{\"id\":null,\"method\":\"{method}\",\"params\":{params}}}"
                    ));
                }
            }
        }
        messages
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            self.kill(member);
        }
    }
}
