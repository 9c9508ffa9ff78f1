//! Why a node waits, in words for the log and `status`.

use std::fmt;
use std::net::IpAddr;

use ovsdb_cluster::wire::ClusterId;

use super::Past;
use super::peer::Reach;

/// Why a node neither founds nor joins, and for whom it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It would found, and these have not said yet whether they have a cluster.
    Asks(Vec<IpAddr>),
    /// It would found, and each of these lets another one (or nobody) found.
    Consent(Vec<(IpAddr, Option<IpAddr>)>),
    /// It would found, but these are away, and one that knows of a cluster speaks against it.
    MayHave {
        /// Who may have the cluster.
        away: Vec<IpAddr>,
        /// Who knows of one; none is the node itself.
        witness: Option<IpAddr>,
    },
    /// It would found, but these have what is left of a cluster.
    Remains(Vec<IpAddr>),
    /// It has itself what is left of one.
    OwnRemains(Past),
    /// That node is about to found.
    Founder(IpAddr),
    /// That node is the one to found.
    Expects {
        /// Who.
        node: IpAddr,
        /// `LEADER_IP` says so; otherwise it is the first of `NODE_IPS`.
        by_leader_ip: bool,
        /// How it does not answer; none if it does.
        reach: Option<Trouble>,
    },
    /// There are several clusters with data.
    Several(Vec<(ClusterId, Vec<IpAddr>)>),
}

/// How a node does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not answer at all.
    Silent,
    /// Its system refuses connections.
    Refused,
    /// It takes connections and says nothing.
    Mute,
    /// It was there and is gone.
    Gone,
}

impl From<Reach> for Trouble {
    fn from(reach: Reach) -> Trouble {
        match reach {
            Reach::Silent => Trouble::Silent,
            Reach::Refused => Trouble::Refused,
            Reach::Mute => Trouble::Mute,
            Reach::Lost => Trouble::Gone,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Asks(nodes) => write!(
                out,
                "asks {} for a cluster before it founds one",
                List(nodes)
            ),
            Reason::Consent(nodes) => {
                out.write_str("would found a cluster, but ")?;
                for (place, (node, founder)) in nodes.iter().enumerate() {
                    let separator = if place == 0 { "" } else { ", and " };
                    match founder {
                        Some(founder) if founder == node => {
                            write!(out, "{separator}{node} would, too")?;
                        }
                        Some(founder) => write!(out, "{separator}{node} lets {founder} do it")?,
                        None => write!(out, "{separator}{node} has not agreed")?,
                    }
                }
                Ok(())
            }
            Reason::MayHave { away, witness } => {
                write!(out, "waits for {}: ", List(away))?;
                match witness {
                    Some(node) => write!(out, "{node} knows of a cluster")?,
                    None => out.write_str("the file here is of a server that joins a cluster")?,
                }
                out.write_str(
                    ", and none is founded before all nodes have said that they have none",
                )
            }
            Reason::Remains(nodes) => write!(
                out,
                "founds no cluster: {} has the file of one and cannot use it (damaged, or it has left); bring a member back, or take that file away",
                List(nodes)
            ),
            Reason::OwnRemains(past) => {
                let why = match past {
                    Past::Left => "is of a server that has left its cluster",
                    _ => "is damaged",
                };
                write!(
                    out,
                    "waits for a member of the cluster: the file here {why}, and is only set aside for a cluster that can be joined"
                )
            }
            Reason::Founder(node) => write!(out, "waits for {node}, which founds the cluster"),
            Reason::Expects {
                node,
                by_leader_ip,
                reach,
            } => {
                let why = match by_leader_ip {
                    true => "which LEADER_IP names",
                    false => "the first of NODE_IPS",
                };
                let how = match reach {
                    None => "it has none yet",
                    Some(Trouble::Silent) => "it does not answer",
                    Some(Trouble::Refused) => "it refuses connections",
                    Some(Trouble::Mute) => "it takes connections and says nothing",
                    Some(Trouble::Gone) => "it is gone",
                };
                write!(out, "waits for the cluster of {node}, {why}: {how}")
            }
            Reason::Several(clusters) => {
                out.write_str("joins none of several clusters with data: ")?;
                for (place, (cluster, nodes)) in clusters.iter().enumerate() {
                    let separator = if place == 0 { "" } else { ", " };
                    write!(out, "{separator}{cluster} of {}", List(nodes))?;
                }
                out.write_str("; LEADER_IP may say which")
            }
        }
    }
}

/// `A`, `A and B`, `A, B and C`.
pub(super) struct List<'a>(pub(super) &'a [IpAddr]);

impl fmt::Display for List<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.0.iter().enumerate() {
            match place {
                0 => {}
                _ if place + 1 == self.0.len() => out.write_str(" and ")?,
                _ => out.write_str(", ")?,
            }
            write!(out, "{node}")?;
        }
        Ok(())
    }
}
