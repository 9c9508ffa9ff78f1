//! Why a node may found.

use std::cmp::Reverse;
use std::net::IpAddr;

/// Why a node may found, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It is the first of `NODE_IPS`, and has no `LEADER_IP`.
    First,
    /// A peer called because its `LEADER_IP` names this node, which has none itself.
    Called,
    /// Its own `LEADER_IP` is itself.
    LeaderIp,
}

impl Claim {
    /// As peers are told.
    pub fn word(self) -> &'static str {
        match self {
            Claim::First => "first",
            Claim::Called => "called",
            Claim::LeaderIp => "leader-ip",
        }
    }

    /// Reads [`Claim::word`].
    pub fn parse(word: &str) -> Option<Claim> {
        let all = [Claim::First, Claim::Called, Claim::LeaderIp];
        all.into_iter().find(|claim| claim.word() == word)
    }
}

/// The claim of a node; the greater one wins, and all nodes find the same one greater.
pub(super) fn weight(claim: Claim, node: IpAddr) -> (Claim, Reverse<IpAddr>) {
    (claim, Reverse(node))
}
