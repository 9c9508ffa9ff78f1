//! Several nodes as one cluster: started, hurt, waited for, and kept when a
//! test fails.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::network::{Network, Wiring};
use super::node::{Kind, Manner, Node, Site, Variables};
use super::status::{Status, announced, troubles};
use crate::keys::Authority;
use crate::process::{require, wait_for};
use crate::world::interconnect::Side;

/// How long a cluster may take for anything, elections and reconnections of a
/// busy machine included, before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What cluster to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kind of each node at first; the first one founds the cluster.
    pub kinds: Vec<Kind>,
    /// Nodes that may be added later ([`Cluster::add_node`]).
    pub spare: usize,
    /// How they reach each other.
    pub wiring: Wiring,
    /// They talk by TLS (`ssl:` addresses), with keys of `ovs-pki`.
    pub tls: bool,
    /// More variables for each node of ours.
    pub variables: Variables,
}

impl Options {
    /// Three nodes of one kind.
    #[must_use]
    pub fn three(kind: Kind, wiring: Wiring) -> Self {
        Self {
            kinds: vec![kind; 3],
            spare: 0,
            wiring,
            tls: false,
            variables: Variables::default(),
        }
    }
}

/// A cluster of nodes, numbered from 0, with spare ones at the end. Dropping it
/// kills them. Its files stay
/// unless [`Cluster::discard`] was called.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    site: Site,
    network: Network,
    folder: Option<TempDir>,
}

/// Starts a cluster and hands it to a test, then kills it and lets
/// `ovsdb-tool` check its files. If anything of that fails, by an error or a
/// panic, the files and logs stay, and the error says where. One at a time in a
/// process, as elections do not bear a busy machine.
///
/// # Errors
/// Those of the test, and if the cluster does not start.
pub fn run<T>(options: &Options, test: impl FnOnce(&mut Cluster) -> Result<T>) -> Result<T> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cluster = Cluster::new(options)?;
    let outcome = cluster
        .found(&options.kinds)
        .and_then(|()| test(&mut cluster))
        .and_then(|value| cluster.check_files().map(|()| value));
    match outcome {
        Ok(value) => {
            cluster.discard()?;
            Ok(value)
        }
        Err(error) => {
            let report = cluster.report();
            Err(error.context(report))
        }
    }
}

impl Cluster {
    /// Nodes without files, not started.
    ///
    /// # Errors
    /// If the network or the folders cannot be made.
    pub fn new(options: &Options) -> Result<Self> {
        let (count, all) = (options.kinds.len(), options.kinds.len() + options.spare);
        let network = Network::make(options.wiring, all)?;
        let folder = tempfile::Builder::new().prefix("cluster-").tempdir()?;
        let nodes = (0..all).map(|number| {
            let place = folder.path().join(number.to_string());
            let variables = options.variables.clone();
            Node::new(number, place, network.at_node(number), variables)
        });
        let keys = folder.path().join("tls");
        if options.tls {
            Authority::new(&keys)?.issue("node")?.put(&keys)?;
        }
        Ok(Self {
            nodes: nodes.collect::<Result<_>>()?,
            site: Site {
                addresses: (0..count).map(|number| network.address(number)).collect(),
                ports: network.ports(),
                tls: options.tls.then_some(keys),
            },
            network,
            folder: Some(folder),
        })
    }

    /// Tells all nodes that start from now on of a spare one, and gives its
    /// number.
    ///
    /// # Errors
    /// If there is none left ([`Options::spare`]).
    pub fn add_node(&mut self) -> Result<usize> {
        let number = self.site.addresses.len();
        ensure!(number < self.nodes.len(), "no spare node is left");
        self.site.addresses.push(self.network.address(number));
        Ok(number)
    }

    /// Starts every node, the first as the founder, and waits until all are
    /// members.
    ///
    /// # Errors
    /// If that does not come to pass.
    pub fn found(&mut self, kinds: &[Kind]) -> Result<()> {
        for (number, kind) in kinds.iter().enumerate() {
            let manner = match number {
                0 => Manner::Found,
                _ => Manner::Join(0),
            };
            self.nodes[number].start(*kind, &self.site, manner)?;
        }
        self.wait_until_whole().context("a new cluster")
    }

    /// How many nodes there are, those that are spare left out.
    #[must_use]
    pub fn size(&self) -> usize {
        self.site.addresses.len()
    }

    /// A node.
    ///
    /// # Panics
    /// If there is none of that number.
    #[must_use]
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// A node, to be hurt.
    ///
    /// # Panics
    /// If there is none of that number.
    pub fn node_mut(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number]
    }

    /// Starts a node on its files as the kind that it was last.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&mut self, number: usize) -> Result<()> {
        let kind = self.nodes[number].kind();
        self.start_as(number, kind)
    }

    /// Starts a node as this kind, on its files; without files it joins.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_as(&mut self, number: usize, kind: Kind) -> Result<()> {
        let other = (0..self.size()).find(|other| *other != number);
        let manner = Manner::Join(other.unwrap_or(number));
        self.nodes[number].start(kind, &self.site, manner)
    }

    /// Where a node of our kind answers HTTP.
    #[must_use]
    pub fn http(&self, number: usize) -> SocketAddr {
        self.site.http(number)
    }

    /// The folder of `key`, `cert` and `cacert`, in a cluster with TLS.
    #[must_use]
    pub fn keys(&self) -> Option<&Path> {
        self.site.tls.as_deref()
    }

    /// The port for the other members of a database, the same on all nodes.
    #[must_use]
    pub fn raft_port(&self, side: Side) -> u16 {
        match side {
            Side::Northbound => self.site.ports.northbound_raft,
            Side::Southbound => self.site.ports.southbound_raft,
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The numbers of the nodes that run and are not frozen.
    #[must_use]
    pub fn working(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|number| self.nodes[*number].works())
            .collect()
    }

    /// The sockets of all nodes, spare ones too, for clients of one side, in
    /// order.
    #[must_use]
    pub fn sockets(&self, side: Side) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| node.socket(side)).collect()
    }

    /// What clients in the network take for `--db`: a comma list of the TCP
    /// addresses of all nodes, spare ones too.
    #[must_use]
    pub fn remotes(&self, side: Side) -> String {
        let port = match side {
            Side::Northbound => self.site.ports.northbound,
            Side::Southbound => self.site.ports.southbound,
        };
        let all = (0..self.nodes.len()).map(|number| self.network.address(number));
        let remotes: Vec<String> = all
            .map(|ip| format!("tcp:{}", SocketAddr::new(ip, port)))
            .collect();
        remotes.join(",")
    }

    /// What a member says about itself.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn status(&self, number: usize, side: Side) -> Result<Status> {
        Status::ask(&self.nodes[number].control_socket(side), side)
    }

    /// What keeps a node of ours from being well, in its own words.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn troubles(&self, number: usize, side: Side) -> Result<Vec<String>> {
        troubles(&self.nodes[number].socket(side), side)
    }

    /// The working node that leads, if one says so. Of two that do, the one
    /// with the higher term.
    #[must_use]
    pub fn leader(&self, side: Side) -> Option<usize> {
        let leading = self.working().into_iter().filter_map(|number| {
            let status = self.status(number, side).ok()?;
            (status.role == "leader").then_some((status.term, number))
        });
        leading.max().map(|(_, number)| number)
    }

    /// Waits until one of the working nodes that `fits` leads.
    ///
    /// # Errors
    /// If none does in time.
    pub fn wait_for_leader(&self, side: Side, fits: impl Fn(usize) -> bool) -> Result<usize> {
        let what = format!("a leader of {}", side.database());
        wait_for(&what, PATIENCE, || {
            Ok(self.leader(side).filter(|number| fits(*number)))
        })
    }

    /// Waits until every working node is a member, follows the one leader and
    /// says that it is connected, for both databases.
    ///
    /// # Errors
    /// If that takes too long, with what was missing.
    pub fn wait_until_whole(&mut self) -> Result<()> {
        let mut last = String::new();
        let start = Instant::now();
        wait_for("a whole cluster", PATIENCE, || {
            for node in &mut self.nodes {
                node.check_alive()?;
            }
            match Side::BOTH.iter().try_for_each(|side| self.whole(*side)) {
                Ok(()) => Ok(Some(())),
                Err(error) => {
                    last = format!("after {:?}: {error:#}", start.elapsed());
                    Ok(None)
                }
            }
        })
        .with_context(|| last.clone())
    }

    fn whole(&self, side: Side) -> Result<()> {
        let mut leaders = Vec::new();
        let mut terms = Vec::new();
        let working = self.working();
        for number in &working {
            let status = self.status(*number, side)?;
            let told = announced(&self.nodes[*number].socket(side), side)?;
            ensure!(
                status.status == "cluster member" && told.connected && status.leader != "unknown",
                "{} at node {number}: {told:?} {status:?}",
                side.database()
            );
            ensure!(
                status.servers.len() >= working.len(),
                "node {number} knows {} servers",
                status.servers.len()
            );
            if status.role == "leader" {
                leaders.push(*number);
            }
            terms.push(status.term);
        }
        terms.dedup();
        ensure!(
            leaders.len() == 1 && terms.len() == 1,
            "{}: leaders {leaders:?}, terms {terms:?}",
            side.database()
        );
        Ok(())
    }

    /// Waits until every working node has applied what the leaders have now.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_until_even(&self) -> Result<()> {
        for side in Side::BOTH {
            let index = |number: usize| {
                let told = announced(&self.nodes[number].socket(side), side);
                told.ok().and_then(|told| told.index)
            };
            let leader = self.wait_for_leader(side, |_| true)?;
            let goal = wait_for("the leader's index", PATIENCE, || Ok(index(leader)))?;
            for number in self.working() {
                wait_for("a follower's index", PATIENCE, || {
                    Ok((index(number) >= Some(goal)).then_some(()))
                })?;
            }
        }
        Ok(())
    }

    /// Waits until every working node knows just `count` servers, for both
    /// databases.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_for_servers(&self, count: usize) -> Result<()> {
        let mut working = self.working().into_iter();
        working.try_for_each(|number| self.wait_for_servers_at(number, count))
    }

    /// Waits until one node knows just `count` servers, for both databases.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_for_servers_at(&self, number: usize, count: usize) -> Result<()> {
        let what = format!("{count} servers, as node {number} has it");
        wait_for(&what, PATIENCE, || {
            let right = Side::BOTH.iter().all(|side| {
                let status = self.status(number, *side);
                status.is_ok_and(|status| status.servers.len() == count)
            });
            Ok(right.then_some(()))
        })
    }

    /// Kills all nodes and lets `ovsdb-tool check-cluster` compare their files.
    ///
    /// # Errors
    /// With what it finds.
    pub fn check_files(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.kill9()?;
        }
        for side in Side::BOTH {
            let files = self.nodes.iter().map(|node| node.file(side));
            let output = Command::new(require("ovsdb-tool", "openvswitch-common")?)
                .arg("check-cluster")
                .args(files.filter(|file| file.exists()))
                .output()?;
            ensure!(
                output.status.success(),
                "ovsdb-tool check-cluster: {}{}",
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(&output.stdout)
            );
        }
        Ok(())
    }

    /// The end of each node's logs, and where everything is.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let logs = fs::read_dir(node.folder().join("log"));
            for file in logs.into_iter().flatten().flatten() {
                let content = fs::read(file.path()).unwrap_or_default();
                let from = content.len().saturating_sub(1500);
                let end = String::from_utf8_lossy(&content[from..]);
                if !end.trim().is_empty() {
                    let name = file.file_name();
                    text += &format!("--- node {number}, {} ends:\n{end}\n", name.display());
                }
            }
        }
        let folder = self.folder.as_ref().map(TempDir::path);
        format!("{text}everything is kept in {folder:?}")
    }

    /// Kills all nodes and removes their files.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn discard(mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.kill9()?;
        }
        if let Some(folder) = self.folder.take() {
            folder.close()?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            for node in &mut self.nodes {
                // Nobody is left to be told.
                let _ = node.kill9();
            }
            eprintln!(
                "the cluster's files are kept in {}",
                folder.keep().display()
            );
        }
    }
}
