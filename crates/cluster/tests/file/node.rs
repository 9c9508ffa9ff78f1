//! Debian's `ovsdb-server` on a file, for as long as a value lives.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::support::{must, run, text, until};

/// A running server.
pub struct Node {
    child: Option<Child>,
    pub file: PathBuf,
    folder: PathBuf,
    name: String,
}

impl Node {
    /// Starts a server on `FOLDER/NAME.db` and waits until it answers.
    pub fn start(folder: &Path, name: &str) -> Node {
        let at = |end: &str| folder.join(format!("{name}.{end}"));
        let mut node = Node {
            child: None,
            file: at("db"),
            folder: folder.to_path_buf(),
            name: name.to_owned(),
        };
        node.restart();
        node
    }

    /// Starts it again after [`Node::stop`] or [`Node::kill`].
    pub fn restart(&mut self) {
        assert!(self.child.is_none());
        let child = Command::new("ovsdb-server")
            .args(["--no-chdir", "-vconsole:off", "-vsyslog:off", "-vfile:info"])
            .arg(format!("--log-file={}", self.at("log")))
            .arg(format!("--unixctl={}", self.at("ctl")))
            .arg(format!("--remote=punix:{}", self.at("sock")))
            .arg(&self.file)
            .env("OVS_RUNDIR", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("a server's answer", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "ovsdb-server ended: {}", self.log());
            self.appctl(&["version"])
        });
    }

    fn at(&self, end: &str) -> String {
        text(&self.folder.join(format!("{}.{end}", self.name))).to_owned()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// The answer of `ovs-appctl`, if it succeeds.
    pub fn appctl(&self, args: &[&str]) -> Option<String> {
        let target = self.at("ctl");
        let all = [&["-t", target.as_str()], args].concat();
        let (succeeded, text) = run("ovs-appctl", &all);
        succeeded.then_some(text)
    }

    /// Commits a transaction on database `d`.
    pub fn transact(&self, operations: &str) -> String {
        let remote = format!("unix:{}", self.at("sock"));
        let request = format!("[\"d\",{operations}]");
        let reply = must(
            "ovsdb-client",
            &["--timeout=30", "transact", &remote, &request],
        );
        assert!(!reply.contains("error"), "{reply}");
        reply
    }

    /// Inserts rows `from..to` of table `t`, a transaction each.
    pub fn insert(&self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            self.transact(&format!(
                r#"{{"op":"insert","table":"t","row":{{"n":{n},"s":"row {n}"}}}}"#
            ));
        }
    }

    fn status(&self, key: &str) -> Option<String> {
        let status = self.appctl(&["cluster/status", "d"])?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().to_owned())
    }

    pub fn leads(&self) -> bool {
        self.status("Role:").as_deref() == Some("leader")
    }

    pub fn wait_for_role(&self, role: &str) {
        until(role, || (self.status("Role:")? == role).then_some(()));
    }

    /// Waits until the server knows that `index` entries at least are committed.
    pub fn wait_for_entries(&self, servers: usize) {
        until("all servers' logs to be alike", || {
            let status = self.appctl(&["cluster/status", "d"])?;
            let behind = self.status("Entries not yet committed:")?;
            let names = status.lines().filter(|l| l.contains(" at tcp:")).count();
            (behind == "0" && self.status("Entries not yet applied:")? == "0" && names == servers)
                .then_some(())
        });
    }

    /// SIGTERM, and the end.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = self.appctl(&["exit"]);
            child.wait().unwrap();
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address on one of this machine's loopback addresses with a port that is free now.
pub fn free_address(host: u8) -> String {
    let listener = TcpListener::bind((format!("127.0.0.{host}"), 0)).unwrap();
    format!("tcp:{}", listener.local_addr().unwrap())
}
