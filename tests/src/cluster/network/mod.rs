//! Where the nodes of a cluster live: their addresses, and what reaches whom.

mod holder;
mod ipv6;
mod loopback;
mod namespaces;
pub mod slow;

use std::ffi::OsString;
use std::net::IpAddr;

use anyhow::{Result, bail};

use ipv6::Ipv6;
use loopback::Loopback;
pub use namespaces::Namespaces;

/// The kind of network to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Loopback addresses of this machine: every program reaches the nodes,
    /// and nothing can be cut.
    Loopback,
    /// A network namespace for each node, around one that routes: links can be
    /// cut, each direction for itself.
    Namespaces,
    /// IPv6 addresses of one network namespace: nothing can be cut.
    Ipv6,
}

/// The TCP ports of a node, the same on all nodes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Clients of `OVN_IC_Northbound`.
    pub northbound: u16,
    /// Clients of `OVN_IC_Southbound`.
    pub southbound: u16,
    /// Peers of `OVN_IC_Northbound`.
    pub northbound_raft: u16,
    /// Peers of `OVN_IC_Southbound`.
    pub southbound_raft: u16,
    /// HTTP for machines, of our kind of node.
    pub http: u16,
}

/// As in the deployment.
const USUAL: Ports = Ports {
    northbound: 6645,
    southbound: 6646,
    northbound_raft: 6647,
    southbound_raft: 6648,
    http: 6649,
};

/// The network of one cluster. Nodes are numbered from 0.
#[derive(Debug)]
pub enum Network {
    /// See [`Wiring::Loopback`].
    Loopback(Loopback),
    /// See [`Wiring::Namespaces`].
    Namespaces(Namespaces),
    /// See [`Wiring::Ipv6`].
    Ipv6(Ipv6),
}

impl Network {
    /// Makes a network with room for `nodes` nodes.
    ///
    /// # Errors
    /// If the machine does not permit it, with what it says.
    pub fn make(wiring: Wiring, nodes: usize) -> Result<Self> {
        Ok(match wiring {
            Wiring::Loopback => Self::Loopback(Loopback::find(nodes)?),
            Wiring::Namespaces => Self::Namespaces(Namespaces::make(nodes)?),
            Wiring::Ipv6 => Self::Ipv6(Ipv6::make(nodes)?),
        })
    }

    /// The address of a node.
    #[must_use]
    pub fn address(&self, node: usize) -> IpAddr {
        match self {
            Self::Loopback(loopback) => loopback.address(node).into(),
            Self::Namespaces(_) => Namespaces::address(node).into(),
            Self::Ipv6(_) => Ipv6::address(node).into(),
        }
    }

    /// The ports of every node.
    #[must_use]
    pub fn ports(&self) -> Ports {
        match self {
            Self::Loopback(loopback) => loopback.ports(),
            Self::Namespaces(_) | Self::Ipv6(_) => USUAL,
        }
    }

    /// What a command line begins with so that the program runs at that node.
    #[must_use]
    pub fn at_node(&self, node: usize) -> Vec<OsString> {
        match self {
            Self::Loopback(_) => Vec::new(),
            Self::Namespaces(namespaces) => namespaces.at_node(node),
            Self::Ipv6(ipv6) => ipv6.enter(),
        }
    }

    /// What a command line begins with so that the program reaches all nodes
    /// over TCP, whatever is cut between them.
    #[must_use]
    pub fn at_client(&self) -> Vec<OsString> {
        match self {
            Self::Loopback(_) => Vec::new(),
            Self::Namespaces(namespaces) => namespaces.at_router(),
            Self::Ipv6(ipv6) => ipv6.enter(),
        }
    }

    /// The network whose links can be cut.
    ///
    /// # Errors
    /// If it is another kind.
    pub fn links(&self) -> Result<&Namespaces> {
        match self {
            Self::Loopback(_) | Self::Ipv6(_) => bail!("these addresses cannot be cut"),
            Self::Namespaces(namespaces) => Ok(namespaces),
        }
    }
}
