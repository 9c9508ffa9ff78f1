//! What happens to a node that has no cluster, and what it decides.

use std::fmt;
use std::net::IpAddr;

use ovsdb_cluster::wire::ClusterId;

use super::reason::{List, Reason};
use super::report::Report;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A node takes connections; it has not said anything yet.
    Connected(IpAddr),
    /// A node says what it is.
    Heard {
        /// Who.
        node: IpAddr,
        /// What it says.
        report: Report,
        /// On a connection that it made itself.
        called: bool,
    },
    /// A node behaves as a member: it has a cluster.
    Evidence {
        /// Who.
        node: IpAddr,
        /// Which cluster, if that shows.
        cluster: Option<ClusterId>,
        /// Its connection is open.
        present: bool,
    },
    /// A node cannot be reached.
    Unreachable {
        /// Who.
        node: IpAddr,
        /// Its system says no; otherwise nothing answers.
        refused: bool,
    },
    /// The last connection with a node is gone.
    Gone(IpAddr),
    /// Only time has passed.
    Tick,
}

/// What the node is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Wait(Reason),
    /// Join the cluster that these nodes have.
    Join {
        /// Which one, as far as it is known.
        cluster: Option<ClusterId>,
        /// Its members that can be reached.
        ask: Vec<IpAddr>,
        /// Those that cannot any more.
        away: Vec<IpAddr>,
        /// One of those in reach knows of a leader.
        led: bool,
    },
    /// Found a cluster. Final.
    Found,
}

/// What has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// The decision.
    pub decision: Option<Decision>,
    /// What the others are to be told.
    pub report: Option<Report>,
}

impl fmt::Display for Decision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Wait(reason) => reason.fmt(out),
            Decision::Found => out.write_str("founds a cluster"),
            Decision::Join {
                cluster,
                ask,
                away,
                led,
            } => {
                match cluster {
                    Some(cluster) => write!(out, "joins cluster {cluster} of ")?,
                    None => out.write_str("joins the cluster of ")?,
                }
                match (ask.as_slice(), away.as_slice()) {
                    ([], away) => write!(out, "{}, and waits for an answer", List(away)),
                    (ask, []) => List(ask).fmt(out),
                    (ask, away) => write!(out, "{} (and {}, away)", List(ask), List(away)),
                }?;
                if !ask.is_empty() && !led {
                    out.write_str(
                        ": it has no leader, and waits for a majority of its members to come back",
                    )?;
                }
                Ok(())
            }
        }
    }
}
