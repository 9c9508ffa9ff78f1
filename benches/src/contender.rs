//! The two servers that are compared, and one running process of either.

use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::dataset;

/// How long a server may take until it listens.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Debian's `ovsdb-server`.
    Reference,
    /// Ours with the reference's durability: only a transaction that asks is synced before its answer.
    Ours,
    /// Ours with every transaction synced before its answer.
    OursAlways,
}

impl Role {
    /// As the progress lines call it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Reference => "reference",
            Role::Ours => "ours",
            Role::OursAlways => "ours --durable=always",
        }
    }
}

/// The programs behind the roles.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Ours; `None`: the reference plays both roles.
    ours: Option<PathBuf>,
}

impl Programs {
    /// Finds both programs. `same`: the reference in both roles.
    pub fn find(same: bool) -> Result<Self> {
        let version = Command::new("ovsdb-server").arg("--version").output();
        version
            .context("ovsdb-server does not run: install Debian's package openvswitch-switch")?;
        if same {
            return Ok(Self { ours: None });
        }
        let ours = match std::env::var_os("OVN_IC_DB_BIN") {
            Some(path) => PathBuf::from(path),
            None => std::env::current_exe()?.with_file_name("ovn-ic-db"),
        };
        if !ours.is_file() {
            bail!(
                "{} does not exist: run `cargo build --release -p ovn-ic-db` or set OVN_IC_DB_BIN",
                ours.display()
            );
        }
        Ok(Self { ours: Some(ours) })
    }

    /// Whether the reference plays both roles.
    pub fn same(&self) -> bool {
        self.ours.is_none()
    }

    /// The first line that the program prints for `--version`.
    pub fn version(&self, role: Role) -> Result<String> {
        let mut command = match (role, &self.ours) {
            (Role::Reference, _) | (_, None) => Command::new("ovsdb-server"),
            (_, Some(ours)) => Command::new(ours),
        };
        let output = command.arg("--version").output()?;
        Ok(output
            .stdout
            .lines()
            .next()
            .transpose()?
            .unwrap_or_default())
    }

    /// Ours, if that is what plays this role; otherwise it is the reference.
    pub fn ours(&self, role: Role) -> Option<&Path> {
        match role {
            Role::Reference => None,
            Role::Ours | Role::OursAlways => self.ours.as_deref(),
        }
    }

    fn command(&self, role: Role) -> Command {
        match (role, &self.ours) {
            (Role::Reference, _) | (_, None) => Command::new("ovsdb-server"),
            (role, Some(ours)) => {
                let mut command = Command::new(ours);
                command.arg("ovsdb-server");
                command.arg(if role == Role::OursAlways {
                    "--durable=always"
                } else {
                    "--durable=asked"
                });
                command
            }
        }
    }
}

/// Where clients connect to.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// As in the deployment.
    Tcp(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// A running server on a database of its own. Killed, and its folder removed, when it is dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
    tcp: SocketAddr,
    unix: bool,
    /// When the process was started.
    pub started: Instant,
}

impl Server {
    /// Starts the program of `role` in a new folder below `parent` on a database with `rows` rows. Returns at once.
    pub fn spawn(
        programs: &Programs,
        role: Role,
        parent: &Path,
        rows: usize,
        unix: bool,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ovn-ic-db-bench-")
            .tempdir_in(parent)?;
        let at = |name: &str| folder.path().join(name);
        dataset::write_database(&at("db.db"), rows)?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = programs.command(role);
        command
            .arg("--no-chdir")
            .arg(format!("--remote=punix:{}", at("db.sock").display()))
            .arg(format!("--remote=ptcp:{}:127.0.0.1", tcp.port()))
            .arg(format!("--unixctl={}", at("db.ctl").display()))
            .arg(format!("--pidfile={}", at("db.pid").display()))
            .arg(format!("--log-file={}", at("db.log").display()))
            .arg("-vconsole:off")
            .arg(at("db.db"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("stderr"))?);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self {
            child,
            folder,
            tcp,
            unix,
            started,
        })
    }

    /// Where its clients connect to.
    pub fn endpoint(&self) -> Endpoint {
        if self.unix {
            Endpoint::Unix(self.folder.path().join("db.sock"))
        } else {
            Endpoint::Tcp(self.tcp)
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Repeats `attempt` every half millisecond until it succeeds; fails when the server has ended or time is over.
    pub fn until<T>(&mut self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status}): {}", self.complaint());
            }
            if self.started.elapsed() > START_DEADLINE {
                return Err(
                    error.context(format!("the server does not answer: {}", self.complaint()))
                );
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// The end of what the server said.
    fn complaint(&self) -> String {
        ["stderr", "db.log"]
            .map(|name| end_of(&self.folder.path().join(name)))
            .concat()
    }
}

/// The last lines of a text file.
pub fn end_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut end = lines[lines.len().saturating_sub(10)..].join("\n");
    end.push('\n');
    end
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
