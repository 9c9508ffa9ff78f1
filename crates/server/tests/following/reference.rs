//! The reference's server as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{run, wait_for};

/// A running server, killed with the test.
pub struct Reference {
    child: Option<Child>,
    args: Vec<String>,
    folder: PathBuf,
    pub socket: PathBuf,
    pub control: PathBuf,
}

impl Reference {
    /// Starts one in a folder under a name, with these arguments.
    pub fn start(folder: &Path, name: &str, args: &[&str]) -> Reference {
        let mut reference = Reference {
            child: None,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            folder: folder.to_owned(),
            socket: folder.join(format!("{name}.sock")),
            control: folder.join(format!("{name}.ctl")),
        };
        reference.restart();
        reference
    }

    /// With a new, empty database of a schema.
    pub fn standalone(folder: &Path, name: &str, schema: &str) -> Reference {
        let file = create(folder, name, schema);
        Reference::start(folder, name, &[&file])
    }

    /// A relay of the server at a socket.
    pub fn relay(folder: &Path, name: &str, source: &Path) -> Reference {
        let relay = format!("relay:D:unix:{}", source.display());
        Reference::start(folder, name, &[&relay])
    }

    /// Starts it again after it was killed.
    pub fn restart(&mut self) {
        let program = std::env::var_os("OVSDB_SERVER_BIN").unwrap_or("ovsdb-server".into());
        let child = Command::new(program)
            .arg(format!("--remote=punix:{}", self.socket.display()))
            .arg(format!("--unixctl={}", self.control.display()))
            .args(&self.args)
            .env("OVS_RUNDIR", &self.folder)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("ovsdb-server (openvswitch-common): {error}"));
        self.child = Some(child);
        wait_for("the reference listens", || {
            std::os::unix::net::UnixStream::connect(&self.socket).ok()
        });
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().map(Child::id).expect("running");
        let pid = Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("signalled");
    }

    /// It does nothing until it is killed or goes on.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Has it execute a command.
    pub fn command(&self, command: &[&str]) -> Result<String, String> {
        let control = self.control.display().to_string();
        let args = [&["--timeout=10", "-t", &control][..], command].concat();
        run("ovs-appctl", &args)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes an empty database file.
pub fn create(folder: &Path, name: &str, schema: &str) -> String {
    let schema_file = folder.join(format!("{name}.ovsschema"));
    std::fs::write(&schema_file, schema).expect("written");
    let file = folder.join(format!("{name}.db")).display().to_string();
    let schema_file = schema_file.display().to_string();
    run("ovsdb-tool", &["create", &file, &schema_file]).expect("created");
    file
}
