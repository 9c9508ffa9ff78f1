//! Whether the node is one of a cluster's, and of which.
//!
//! The rules are those of the scripts that this program replaces: `NODE_IPS` and `LOCAL_IP` make a
//! node one of a cluster, `POD_IP` stands in for `LOCAL_IP`, and `LEADER_IP` names whom to join. They
//! start a node that has only one of both addresses in ways that cannot work; that is an error here.

use std::net::IpAddr;
use std::time::Duration;

use ovsdb_cluster::address::{Address, Host, Transport};
use ovsdb_cluster::file::create::ELECTION_TIMERS;
use ovsdb_cluster::file::replay::DEFAULT_ELECTION_TIMER;

use super::given::{Given, SettingError, Sources, addresses, own_address};
use crate::command_line::RunFlags;
use crate::schemas::Side;

/// What makes the node one of a cluster's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The node's own address, one of `nodes`.
    pub local: IpAddr,
    /// The variable that gave it.
    local_source: &'static str,
    /// All nodes in the order of `NODE_IPS`, none twice.
    pub nodes: Vec<IpAddr>,
    /// Whom `LEADER_IP` names. It need not be one of `nodes`: the replaced scripts only ask there.
    pub leader: Option<IpAddr>,
    /// Raft ports, northbound and southbound.
    raft_ports: [u16; 2],
    /// The election timer of a cluster that this node founds.
    pub election_timer: Duration,
    /// How members talk to each other.
    transport: Transport,
}

/// The variable that names an address to serve clients on alone, and the address.
type Listen = (&'static str, IpAddr);

impl ClusterSettings {
    /// Reads the variables. Also gives the address that clients are served on alone, if there is
    /// one, and adds warnings.
    pub(super) fn resolve(
        flags: &RunFlags,
        sources: &Sources<'_>,
        transport: Transport,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(ClusterSettings, Option<Listen>)>, SettingError> {
        let ports = RaftPorts::resolve(flags, sources)?;
        let election_timer = election_timer(flags, sources)?;
        let bind_local = sources.boolean("ENABLE_BIND_LOCAL_IP")?;
        let pod = sources.variable("POD_IP")?;
        let leader = sources.variable("LEADER_IP")?;
        let pod_address = pod.as_ref().map(address).transpose()?;
        let leader_address = leader.as_ref().map(address).transpose()?;
        let local = match sources.variable("LOCAL_IP")? {
            Some(given) => Some(given),
            None => pod,
        };
        let (local, nodes) = match (local, sources.variable("NODE_IPS")?) {
            (Some(local), Some(nodes)) => (local, nodes),
            (None, Some(nodes)) => {
                return Err(nodes.refuse(
                    "neither LOCAL_IP nor POD_IP says which of these nodes this is; unset NODE_IPS to run standalone",
                ));
            }
            (Some(local), None) => {
                let reason = format!(
                    "a node of a cluster needs NODE_IPS, too; unset {} to run standalone",
                    local.source
                );
                return Err(local.refuse(reason));
            }
            (None, None) => {
                return match leader {
                    None => Ok(None),
                    Some(leader) => Err(leader.refuse(
                        "a node of a cluster needs LOCAL_IP and NODE_IPS, too; unset LEADER_IP to run standalone",
                    )),
                };
            }
        };
        let local_address = address(&local)?;
        let node_addresses = node_addresses(&nodes)?;
        if !node_addresses.contains(&local_address) {
            let reason = format!("is not one of NODE_IPS={}", nodes.value);
            return Err(local.refuse(reason));
        }
        warn(&nodes, &node_addresses, leader_address, warnings);
        let pod = pod_address.map(|address| ("POD_IP", address));
        let listen = match bind_local {
            Some(true) => Some(pod.unwrap_or((local.source, local_address))),
            Some(false) => None,
            None => pod,
        };
        let settings = ClusterSettings {
            local: local_address,
            local_source: local.source,
            nodes: node_addresses,
            leader: leader_address,
            raft_ports: ports.0,
            election_timer,
            transport,
        };
        Ok(Some((settings, listen)))
    }

    /// Whether the own address is one of this machine's: somebody else's cannot be listened on.
    /// Looks at the machine, and leaves nothing behind.
    pub(super) fn check_local(&self) -> Result<(), SettingError> {
        own_address(self.local_source, self.local)
    }

    /// The nodes to ask, but the own one: those of `NODE_IPS`, and whom `LEADER_IP` names.
    pub fn others(&self) -> Vec<IpAddr> {
        let outside = self.leader.filter(|leader| !self.nodes.contains(leader));
        let all = self.nodes.iter().copied().chain(outside);
        all.filter(|node| *node != self.local).collect()
    }

    /// The port for a database's other members.
    pub fn raft_port(&self, side: Side) -> u16 {
        let [northbound, southbound] = self.raft_ports;
        match side {
            Side::Northbound => northbound,
            Side::Southbound => southbound,
        }
    }

    /// The same in a cluster whose members have addresses of this kind.
    pub fn over(&self, transport: Transport) -> ClusterSettings {
        ClusterSettings {
            transport,
            ..self.clone()
        }
    }

    /// Where a node listens for the members of a database: `tcp:IP:PORT`, `ssl:[IPv6]:PORT`.
    pub fn raft_address(&self, side: Side, node: IpAddr) -> String {
        let host = match node {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip, None),
        };
        let port = self.raft_port(side);
        let address = Address::Network {
            transport: self.transport,
            host,
            port,
        };
        address.to_string()
    }

    /// Where this node does.
    pub fn local_address(&self, side: Side) -> String {
        self.raft_address(side, self.local)
    }

    /// Where the others do.
    pub fn other_addresses(&self, side: Side) -> Vec<String> {
        let others = self.others().into_iter();
        others.map(|node| self.raft_address(side, node)).collect()
    }
}

/// Northbound, southbound.
struct RaftPorts([u16; 2]);

impl RaftPorts {
    fn resolve(flags: &RunFlags, sources: &Sources<'_>) -> Result<RaftPorts, SettingError> {
        let port = |flag, value: &Option<String>, variable, default| {
            let given = sources.either(flag, value, variable)?;
            let Some(given) = given else {
                return Ok((default, None));
            };
            match given.port()? {
                // The other nodes must know where to call.
                0 => Err(given.refuse("must be a number from 1 to 65535")),
                port => Ok((port, Some(given))),
            }
        };
        let (northbound, _) = port(
            "--nb-raft-port",
            &flags.nb_raft_port,
            "OVN_IC_DB_NB_RAFT_PORT",
            6647,
        )?;
        let (southbound, given) = port(
            "--sb-raft-port",
            &flags.sb_raft_port,
            "OVN_IC_DB_SB_RAFT_PORT",
            6648,
        )?;
        if northbound == southbound {
            let given = given.unwrap_or(Given {
                source: "--sb-raft-port",
                value: southbound.to_string(),
            });
            return Err(given.refuse("the northbound database has this port already"));
        }
        Ok(RaftPorts([northbound, southbound]))
    }
}

fn election_timer(flags: &RunFlags, sources: &Sources<'_>) -> Result<Duration, SettingError> {
    let given = sources.either(
        "--election-timer",
        &flags.election_timer,
        "OVN_IC_DB_ELECTION_TIMER",
    )?;
    let Some(given) = given else {
        return Ok(Duration::from_millis(DEFAULT_ELECTION_TIMER));
    };
    match given.value.trim().parse() {
        Ok(timer) if ELECTION_TIMERS.contains(&timer) => Ok(Duration::from_millis(timer)),
        _ => {
            let (least, most) = (ELECTION_TIMERS.start(), ELECTION_TIMERS.end());
            Err(given.refuse(format!(
                "must be a number of milliseconds from {least} to {most}"
            )))
        }
    }
}

/// One node's address.
fn address(given: &Given) -> Result<IpAddr, SettingError> {
    match addresses(given)?.as_slice() {
        [one] => check_node(given, *one),
        _ => Err(given.refuse("must be one IP address")),
    }
}

fn node_addresses(given: &Given) -> Result<Vec<IpAddr>, SettingError> {
    let mut nodes = Vec::new();
    for node in addresses(given)? {
        if !nodes.contains(&check_node(given, node)?) {
            nodes.push(node);
        }
    }
    Ok(nodes)
}

fn check_node(given: &Given, address: IpAddr) -> Result<IpAddr, SettingError> {
    if address.is_unspecified() || address.is_multicast() {
        return Err(given.refuse(format!("{address} is not the address of a node")));
    }
    Ok(address)
}

fn warn(given: &Given, nodes: &[IpAddr], leader: Option<IpAddr>, warnings: &mut Vec<String>) {
    let value = &given.value;
    if nodes.len().is_multiple_of(2) {
        warnings.push(format!(
            "NODE_IPS={value}: {} nodes bear the loss of no more nodes than {} do",
            nodes.len(),
            nodes.len() - 1
        ));
    }
    if let Some(leader) = leader.filter(|leader| !nodes.contains(leader)) {
        warnings.push(format!(
            "LEADER_IP={leader}: is not one of NODE_IPS={value}; it is asked for the cluster all the same"
        ));
    }
}

#[cfg(test)]
mod tests;
