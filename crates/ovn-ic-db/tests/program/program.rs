//! One `ovn-ic-db run` in folders of its own, and the real programs around it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{require, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sha1::{Digest, Sha1};
use tempfile::TempDir;

/// How long anything may take that should be quick, on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Where Debian has OVN's schemas of the version that is replaced.
pub const OLD_SCHEMAS: &str = "/usr/share/ovn";

/// The program: not running, running, or ended.
pub struct Program {
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// What starts it, and its own name.
    words: Vec<String>,
    /// As whom it runs, if not as who tests.
    user: Option<u32>,
    child: Option<Child>,
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Program {
    /// In new folders that do not exist yet, on any free ports, without a transit switch.
    pub fn new() -> Result<Program> {
        let folder = tempfile::Builder::new().prefix("ovn-ic-db-").tempdir()?;
        let program = Program {
            folder,
            arguments: ["run", "--nb-port=0", "--sb-port=0"]
                .map(str::to_owned)
                .to_vec(),
            environment: Vec::new(),
            words: vec![env!("CARGO_BIN_EXE_ovn-ic-db").to_owned()],
            user: None,
            child: None,
        };
        let set = [
            ("OVN_DBDIR", "db"),
            ("OVN_RUNDIR", "run"),
            ("OVN_LOGDIR", "log"),
        ];
        let program = set.into_iter().fold(program, |program, (name, folder)| {
            let path = program.folder.path().join(folder).display().to_string();
            program.set(name, &path)
        });
        Ok(program.set("TS_NAME", ""))
    }

    /// With this variable, in place of an earlier one of the name.
    pub fn set(mut self, name: &str, value: &str) -> Program {
        self = self.unset(name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this variable.
    pub fn unset(mut self, name: &str) -> Program {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// With these arguments instead of `run` and free ports.
    pub fn arguments(mut self, arguments: &[&str]) -> Program {
        self.arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// Runs as another user, who may look into the folder. The tests must be root's.
    pub fn by_user(mut self, user: u32) -> Result<Program> {
        must_be_root()?;
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))?;
        // The one that was built may be where only root can go.
        let binary = self.path("ovn-ic-db");
        let built = env!("CARGO_BIN_EXE_ovn-ic-db");
        fs::hard_link(built, &binary).or_else(|_| fs::copy(built, &binary).map(drop))?;
        self.words = vec![binary.display().to_string()];
        self.user = Some(user);
        Ok(self)
    }

    /// Is started by a script as `"$0" "$@"`, which may mount what it likes: nobody else sees it.
    /// The tests must be root's.
    pub fn in_script(mut self, script: &str) -> Result<Program> {
        must_be_root()?;
        let unshare = require("unshare", "util-linux")?;
        let mut words = vec![unshare.display().to_string()];
        let others = ["--mount", "--kill-child", "--fork", "sh", "-c", script];
        words.extend(others.map(str::to_owned));
        words.append(&mut self.words);
        self.words = words;
        Ok(self)
    }

    /// `db/NAME`, `run/NAME` or `log/NAME`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A side's database file; its folder is there.
    pub fn database(&self, side: &str) -> Result<PathBuf> {
        fs::create_dir_all(self.path("db"))?;
        Ok(self.path(&format!("db/ovn_ic_{side}_db.db")))
    }

    /// Makes the northbound file, one of the newest northbound schema with many transit switches, in one record.
    pub fn large_file(&self, rows: usize) -> Result<()> {
        let schema = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../schemas/ovn-ic-nb.ovsschema"
        );
        let path = self.database("nb")?;
        tool(
            "ovsdb-tool",
            ["create", &path.display().to_string(), schema],
        )?;
        let mut record = String::from("{\"Transit_Switch\":{");
        for row in 0..rows {
            let comma = if row == 0 { "" } else { "," };
            write!(
                record,
                r#"{comma}"{row:08x}-0000-4000-8000-000000000000":{{"name":"s{row}"}}"#
            )?;
        }
        record.push_str("}}\n");
        let hash: String = Sha1::digest(&record)
            .iter()
            .fold(String::new(), |mut hash, byte| {
                let _ = write!(hash, "{byte:02x}");
                hash
            });
        let mut file = fs::File::options().append(true).open(path)?;
        write!(file, "OVSDB JSON {} {hash}\n{record}", record.len())?;
        Ok(())
    }

    /// A side's client socket.
    pub fn socket(&self, side: &str) -> PathBuf {
        self.path(&format!("run/ovn_ic_{side}_db.sock"))
    }

    /// A side's control socket.
    pub fn control_socket(&self, side: &str) -> PathBuf {
        self.path(&format!("run/ovn_ic_{side}_db.ctl"))
    }

    /// Starts the process, and waits for nothing.
    pub fn launch(&mut self) -> Result<()> {
        let output = fs::File::create(self.path("output"))?;
        self.launch_to(output.try_clone()?, output)
    }

    /// The same, with its output and what it says elsewhere.
    pub fn launch_to(&mut self, output: impl Into<Stdio>, console: impl Into<Stdio>) -> Result<()> {
        ensure!(self.child.is_none(), "it runs already");
        let (first, others) = self.words.split_first().context("its name")?;
        let mut command = Command::new(first);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let child = command
            .args(others)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(console)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts the process and waits until both databases are offered.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_for_databases()
    }

    /// Waits until both databases are offered.
    pub fn wait_for_databases(&mut self) -> Result<()> {
        self.wait("the databases", |program| {
            for side in ["nb", "sb"] {
                let Ok(mut client) = program.client(side) else {
                    return Ok(None);
                };
                client.deadline = DEADLINE;
                if client.call("list_dbs", json!([])).is_err() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    /// Waits for a condition while the process runs.
    pub fn wait<T>(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&Program) -> Result<Option<T>>,
    ) -> Result<T> {
        let waited = wait_for(what, DEADLINE, || {
            if let Some(status) = self.try_wait()? {
                bail!("the program ended with {status}");
            }
            condition(self)
        });
        waited.with_context(|| self.said())
    }

    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(match &mut self.child {
            Some(child) => child.try_wait()?,
            None => None,
        })
    }

    /// The process's end.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let status = wait_for("the program's end", DEADLINE, || self.try_wait());
        let status = status.with_context(|| self.said())?;
        self.child = None;
        Ok(status)
    }

    /// Starts a process that is to end by itself; its exit code and what it said.
    pub fn fails(&mut self) -> Result<(i32, String)> {
        self.launch()?;
        let status = self.end()?;
        Ok((status.code().context("a signal")?, self.said()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        kill_process(Pid::from_child(child), signal)?;
        Ok(())
    }

    /// SIGTERM, and a clean end.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.end()?;
        ensure!(status.success(), "{status}: {}", self.said());
        Ok(())
    }

    /// The process's id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What was printed.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }

    /// A connection to a side's socket.
    pub fn client(&self, side: &str) -> Result<Client> {
        Ok(Client::unix(&self.socket(side))?)
    }

    /// A side's TCP port.
    pub fn port(&self, side: &str) -> Result<u16> {
        let remotes = self.control(side, &["ovsdb-server/list-remotes"])?;
        let port = remotes.lines().find_map(|line| line.strip_prefix("ptcp:"));
        let port = port.and_then(|rest| rest.split(':').next());
        Ok(port.with_context(|| remotes.clone())?.parse()?)
    }

    /// What a command of a side's control socket answers.
    pub fn control(&self, side: &str, arguments: &[&str]) -> Result<String> {
        let socket = self.control_socket(side);
        let socket = socket.to_str().context("UTF-8")?;
        tool("ovs-appctl", [&["-t", socket][..], arguments].concat())
    }

    /// `ovn-ic-nbctl` or `ovn-ic-sbctl` on the socket.
    pub fn ctl(&self, side: &str, arguments: &[&str]) -> Result<String> {
        let database = format!("--db=unix:{}", self.socket(side).display());
        let all = [&["--timeout=30", database.as_str()][..], arguments].concat();
        tool(&format!("ovn-ic-{side}ctl"), all)
    }

    /// The names in the run folder.
    pub fn run_folder(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path("run"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

fn must_be_root() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "this test becomes other users and mounts file systems: run it as root"
    );
    Ok(())
}

/// Runs a real program to its end; its output, or an error with its message.
pub fn tool<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Result<String> {
    let package = if name.starts_with("ovn-ic") {
        "ovn-ic"
    } else {
        "openvswitch-common"
    };
    let output = Command::new(require(name, package)?)
        .args(arguments)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Makes a database of Debian's schema with `ovsdb-tool`, and executes operations on it.
pub fn old_database(file: &Path, side: &str, operations: &str) -> Result<()> {
    let schema = format!("{OLD_SCHEMAS}/ovn-ic-{side}.ovsschema");
    tool(
        "ovsdb-tool",
        [OsStr::new("create"), file.as_os_str(), OsStr::new(&schema)],
    )?;
    let name = match side {
        "nb" => "OVN_IC_Northbound",
        _ => "OVN_IC_Southbound",
    };
    let transaction = format!("[\"{name}\",{operations}]");
    let arguments = [
        OsStr::new("transact"),
        file.as_os_str(),
        OsStr::new(&transaction),
    ];
    let reply = tool("ovsdb-tool", arguments)?;
    ensure!(!reply.contains("\"error\""), "{reply}");
    Ok(())
}
