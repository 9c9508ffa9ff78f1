//! One node: its files, which stay, and the programs that serve them, which
//! may be Debian's today and ours tomorrow.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use super::network::Ports;
use crate::client::Client;
use crate::world::daemon::Daemon;
use crate::world::interconnect::Side;

/// Whose programs a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two `ovsdb-server`s of Debian.
    Reference,
    /// One `ovn-ic-db run`.
    Ours,
}

impl Kind {
    /// The kind that `CLUSTER_KIND` names, `ours` or `reference`; without it,
    /// ours. The reference is there to prove the tests.
    ///
    /// # Errors
    /// If it names another.
    pub fn under_test() -> Result<Self> {
        match std::env::var("CLUSTER_KIND").as_deref() {
            Err(_) | Ok("ours") => Ok(Self::Ours),
            Ok("reference") => Ok(Self::Reference),
            Ok(other) => bail!("CLUSTER_KIND={other}: neither ours nor reference"),
        }
    }
}

/// What a node does that has no files yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Makes a new cluster.
    Found,
    /// Joins the cluster of the others; for ours, `LEADER_IP` is this node.
    Join(usize),
}

/// What all nodes of a cluster know.
#[derive(Clone, Debug)]
pub struct Site {
    /// The addresses of all nodes (`NODE_IPS`).
    pub addresses: Vec<IpAddr>,
    /// The ports of each.
    pub ports: Ports,
    /// The folder of the keys, where they talk by TLS.
    pub tls: Option<PathBuf>,
}

/// Environment variables of nodes of ours, besides those that the deployment sets or in their place.
#[derive(Clone)]
pub struct Variables(Arc<OfNode>);

/// Names and values.
type Environment = Vec<(String, String)>;
type OfNode = dyn Fn(&Node, &Site) -> Environment;

impl Variables {
    /// What this says of each node.
    #[must_use]
    pub fn new(of: impl Fn(&Node, &Site) -> Environment + 'static) -> Self {
        Self(Arc::new(of))
    }
}

impl Default for Variables {
    fn default() -> Self {
        Self::new(|_, _| Vec::new())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}

impl Site {
    /// Where a node of our kind answers HTTP.
    #[must_use]
    pub fn http(&self, number: usize) -> SocketAddr {
        SocketAddr::new(self.addresses[number], self.ports.http)
    }
}

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    pub(super) number: usize,
    kind: Kind,
    pub(super) folder: PathBuf,
    /// What its programs' command lines begin with.
    pub(super) at: Vec<OsString>,
    variables: Variables,
    daemons: Vec<Daemon>,
    frozen: bool,
}

impl Node {
    /// A node without files whose folder is made; `at` begins the command lines
    /// of its programs, and `variables` are for ours.
    ///
    /// # Errors
    /// If the folders cannot be made.
    pub fn new(
        number: usize,
        folder: PathBuf,
        at: Vec<OsString>,
        variables: Variables,
    ) -> Result<Self> {
        for part in ["etc", "run", "log"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Ok(Self {
            number,
            kind: Kind::Reference,
            folder,
            at,
            variables,
            daemons: Vec::new(),
            frozen: false,
        })
    }

    /// The database file of one side.
    #[must_use]
    pub fn file(&self, side: Side) -> PathBuf {
        self.folder.join(format!("etc/{}.db", side.file_stem()))
    }

    /// The Unix socket for clients of one side.
    #[must_use]
    pub fn socket(&self, side: Side) -> PathBuf {
        self.folder.join(format!("run/{}.sock", side.file_stem()))
    }

    /// The control socket of one side.
    #[must_use]
    pub fn control_socket(&self, side: Side) -> PathBuf {
        self.folder.join(format!("run/{}.ctl", side.file_stem()))
    }

    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The variables that a test gives it.
    pub(super) fn variables(&self, site: &Site) -> Environment {
        (self.variables.0)(self, site)
    }

    /// Where its files, sockets and logs are, in `etc`, `run` and `log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whose programs it runs, or ran last.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether its programs have been started and not stopped.
    #[must_use]
    pub fn runs(&self) -> bool {
        !self.daemons.is_empty()
    }

    /// Whether its programs run and are not stopped by SIGSTOP.
    #[must_use]
    pub fn works(&self) -> bool {
        self.runs() && !self.frozen
    }

    /// The process ids: of the northbound's and the southbound's server, or of
    /// the one of ours.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.daemons.iter().filter_map(Daemon::pid).collect()
    }

    /// Starts its programs on the files that are there, or makes files as
    /// `manner` says.
    ///
    /// # Errors
    /// If it runs already, or a program is missing or does not start.
    pub fn start(&mut self, kind: Kind, site: &Site, manner: Manner) -> Result<()> {
        ensure!(!self.runs(), "node {} runs already", self.number);
        self.kind = kind;
        self.daemons = match kind {
            Kind::Reference => self.reference(site, manner)?,
            Kind::Ours => vec![self.ours(site, manner)?],
        };
        for daemon in &mut self.daemons {
            daemon.start()?;
        }
        Ok(())
    }

    /// Kills its programs as a crash would, all at once.
    ///
    /// # Errors
    /// If the system cannot wait for them.
    pub fn kill9(&mut self) -> Result<()> {
        for daemon in &self.daemons {
            // It may have ended by itself.
            let _ = daemon.signal(Signal::KILL);
        }
        for mut daemon in self.daemons.drain(..) {
            daemon.kill9()?;
        }
        self.frozen = false;
        Ok(())
    }

    /// Stops its programs as the deployment would: the reference's by the
    /// control command `exit`, which hands leadership over, ours by SIGTERM.
    ///
    /// # Errors
    /// If they do not end in time.
    pub fn stop(&mut self) -> Result<()> {
        match self.kind {
            Kind::Reference => {
                for side in Side::BOTH {
                    Client::unix(&self.control_socket(side))?.call("exit", json!([]))?;
                }
            }
            Kind::Ours => self.signal(Signal::TERM)?,
        }
        for mut daemon in std::mem::take(&mut self.daemons) {
            daemon
                .wait_for_end()
                .with_context(|| format!("node {}", self.number))?;
        }
        Ok(())
    }

    /// Stops its programs in their tracks (SIGSTOP).
    ///
    /// # Errors
    /// If they do not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.frozen = true;
        self.signal(Signal::STOP)
    }

    /// Lets frozen programs go on.
    ///
    /// # Errors
    /// If they do not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.frozen = false;
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        ensure!(self.runs(), "node {} does not run", self.number);
        self.daemons
            .iter()
            .try_for_each(|daemon| daemon.signal(signal))
    }

    /// Lets no file of its running programs grow beyond the size of the larger
    /// of their databases, as a full disk would: writes fail (`EFBIG`).
    ///
    /// # Errors
    /// If it does not run, or the system refuses.
    pub fn fill_disk(&self) -> Result<()> {
        let mut size = 0;
        for side in Side::BOTH {
            size = fs::metadata(self.file(side))?.len().max(size);
        }
        self.limit_files(Some(size))
    }

    /// Makes room again after [`Node::fill_disk`].
    ///
    /// # Errors
    /// If it does not run, or the system refuses.
    pub fn free_disk(&self) -> Result<()> {
        self.limit_files(None)
    }

    fn limit_files(&self, size: Option<u64>) -> Result<()> {
        ensure!(self.runs(), "node {} does not run", self.number);
        for pid in self.pids() {
            let pid = Pid::from_raw(pid.try_into()?);
            let limit = Rlimit {
                current: size,
                maximum: None,
            };
            prlimit(pid, Resource::Fsize, limit)?;
        }
        Ok(())
    }

    /// Fails if one of its programs should run and has ended, with its last
    /// words.
    ///
    /// # Errors
    /// Then.
    pub fn check_alive(&mut self) -> Result<()> {
        self.daemons.iter_mut().try_for_each(Daemon::check_alive)
    }

    /// Removes its files, as if it had a new disk. It must not run.
    ///
    /// # Errors
    /// If it runs, or the files cannot be removed.
    pub fn lose_disk(&mut self) -> Result<()> {
        ensure!(!self.runs(), "node {} runs", self.number);
        fs::remove_dir_all(self.folder.join("etc"))?;
        Ok(fs::create_dir(self.folder.join("etc"))?)
    }

    /// Runs a command of its control socket and gives its text.
    ///
    /// # Errors
    /// If the command fails, with what it says.
    pub fn control(&self, side: Side, command: &str, arguments: &[&str]) -> Result<String> {
        let answer = Client::unix(&self.control_socket(side))?.call(command, json!(arguments))?;
        let text = answer.as_str();
        Ok(text
            .with_context(|| format!("{command}: {answer}"))?
            .to_owned())
    }
}
