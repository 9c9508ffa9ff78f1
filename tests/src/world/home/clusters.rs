//! Each database as a cluster of three servers, and a relay of the Southbound for the first chassis.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::relayed::start_relay;
use super::{Bound, Fault, Home, kill, revive};
use crate::cluster::status::{Status, announcement};
use crate::process::{Options, Program, Server, Source, free_port, require, wait_for};
use crate::world::database::DEADLINE;
use crate::world::interconnect::debian_schema;

/// Seven servers.
#[derive(Debug)]
pub struct Clusters {
    north: Cluster,
    south: Cluster,
    relay: Server,
}

/// Three members that have one database.
#[derive(Debug)]
struct Cluster {
    bound: Bound,
    members: Vec<Server>,
}

impl Cluster {
    /// Has the files made by `ovsdb-tool`, and starts servers on them.
    fn start(program: Program, bound: Bound, folder: &Path) -> Result<Self> {
        let mut addresses = Vec::new();
        let mut members = Vec::new();
        for number in 0..3 {
            let file = folder.join(format!("{}{number}.db", bound.database()));
            let address = format!("tcp:127.0.0.1:{}", free_port()?);
            make_file(bound, &file, &address, &addresses)?;
            addresses.push(address);
            let options = Options {
                tcp: true,
                ..Options::default()
            };
            members.push(Server::start(program, &Source::File(file), &options)?);
        }
        let cluster = Self { bound, members };
        cluster.wait_whole()?;
        Ok(cluster)
    }

    /// Waits until all are members that know who leads.
    fn wait_whole(&self) -> Result<()> {
        let name = self.bound.database();
        for member in &self.members {
            let mut last = String::new();
            let waited = wait_for("a member", DEADLINE, || {
                last = match member.control("cluster/status", &[name]) {
                    Ok(text) => text,
                    Err(error) => format!("{error:#}"),
                };
                let status = Status::parse(&last).unwrap_or_default();
                let whole = status.status == "cluster member"
                    && status.leader != "unknown"
                    && status.servers.len() == self.members.len();
                Ok(whole.then_some(()))
            });
            waited.with_context(|| format!("{last}\n{}", member.said()))?;
        }
        Ok(())
    }

    /// The number of the member that leads.
    fn leader(&self) -> Result<usize> {
        wait_for("a leader", DEADLINE, || {
            let leads = |member: &Server| -> Result<bool> {
                let mut client = member.client()?;
                Ok(announcement(&mut client, self.bound.database())?.leader)
            };
            let running = self.members.iter().map(|member| member.pid().is_some());
            let mut running = running.zip(&self.members);
            Ok(running.position(|(runs, member)| runs && leads(member).unwrap_or(false)))
        })
    }

    fn remotes(&self) -> String {
        let addresses = self.members.iter().filter_map(Server::tcp_address);
        let remotes: Vec<String> = addresses.map(|address| format!("tcp:{address}")).collect();
        remotes.join(",")
    }

    fn kill_leader(&mut self) -> Result<()> {
        let leader = self.leader()?;
        self.members[leader].kill9()
    }

    fn mend(&mut self) -> Result<()> {
        revive(&mut self.members)?;
        self.wait_whole()
    }
}

/// A file for the first member, or for one that joins those that there are.
fn make_file(bound: Bound, file: &Path, address: &str, others: &[String]) -> Result<()> {
    let mut command = Command::new(require("ovsdb-tool", "openvswitch-common")?);
    let (what, with) = match others {
        [] => ("create-cluster", debian_schema(bound.schema())?),
        _ => ("join-cluster", bound.database().into()),
    };
    command
        .args([OsStr::new(what), file.as_os_str(), with.as_os_str()])
        .arg(address)
        .args(others);
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

impl Clusters {
    /// Starts all, with files in `folder`.
    ///
    /// # Errors
    /// If one does not start or join.
    pub fn start(program: Program, folder: &Path) -> Result<Self> {
        let north = Cluster::start(program, Bound::North, folder)?;
        let south = Cluster::start(program, Bound::South, folder)?;
        let relay = start_relay(program, &south.remotes())?;
        Ok(Self {
            north,
            south,
            relay,
        })
    }

    fn cluster(&self, bound: Bound) -> &Cluster {
        match bound {
            Bound::North => &self.north,
            Bound::South => &self.south,
        }
    }
}

impl Home for Clusters {
    fn remotes(&self, bound: Bound) -> String {
        self.cluster(bound).remotes()
    }

    fn remotes_of_chassis(&self, number: usize) -> String {
        match number {
            0 => format!("unix:{}", self.relay.socket().display()),
            _ => self.remotes(Bound::South),
        }
    }

    fn sockets(&self, bound: Bound) -> Vec<PathBuf> {
        let members = &self.cluster(bound).members;
        members.iter().map(Server::socket).collect()
    }

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault {
                name: "the leaders are killed",
                survived: true,
            },
            Fault {
                name: "the whole Southbound is killed",
                survived: false,
            },
        ]
    }

    fn inflict(&mut self, fault: usize) -> Result<()> {
        match fault {
            0 => {
                self.south.kill_leader()?;
                self.north.kill_leader()
            }
            _ => kill(&mut self.south.members),
        }
    }

    fn mend(&mut self) -> Result<()> {
        self.north.mend()?;
        self.south.mend()
    }

    fn servers(&mut self) -> Vec<&mut Server> {
        let members = self.north.members.iter_mut().chain(&mut self.south.members);
        members.chain([&mut self.relay]).collect()
    }

    fn copies(&self) -> Vec<PathBuf> {
        let mut copies = self.sockets(Bound::South);
        copies.push(self.relay.socket());
        copies
    }
}
