//! The types that openraft works with here, and their way from and to log entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use openraft::impls::BasicNode;
use openraft::raft::responder::Responder;
use openraft::{EntryPayload, Membership};
use uuid::Uuid;

use super::LeaderId;
use crate::entry::{Entry, Index, Payload, ServerId, Servers, Term};

/// A cluster of OVSDB servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig {}

impl openraft::RaftTypeConfig for TypeConfig {
    type D = Command;
    type R = Done;
    type NodeId = ServerId;
    type Node = BasicNode;
    type Term = Term;
    type LeaderId = LeaderId;
    type Vote = openraft::impls::Vote<LeaderId>;
    type Payload = EntryPayload<Command, ServerId, BasicNode>;
    type Entry = RaftEntry;
    type Responder<T>
        = Callback<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type AsyncRuntime = openraft::impls::TokioRuntime;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// Hears what became of a proposal; not called if the member stops before that is known.
pub struct Callback<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Callback<T> {
    /// Calls this.
    pub fn new(call: impl FnOnce(T) + Send + 'static) -> Callback<T> {
        Callback(Box::new(call))
    }
}

impl<T> Responder<TypeConfig, T> for Callback<T>
where
    T: openraft::OptionalSend + 'static,
{
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// An entry's place: its term and its index.
pub type LogId = openraft::LogId<Term>;

/// What is proposed beside members: a transaction or a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A transaction, see [`Payload::Data`].
    Data {
        /// Its id.
        eid: Uuid,
        /// Its text.
        data: Bytes,
    },
    /// The election timer in milliseconds.
    ElectionTimer(u64),
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Data { eid, data } => write!(out, "{eid} of {} bytes", data.len()),
            Command::ElectionTimer(ms) => write!(out, "election timer {ms} ms"),
        }
    }
}

/// An entry was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Its index.
    pub index: Index,
}

/// openraft's entry.
pub type RaftEntry = openraft::Entry<Term, EntryPayload<Command, ServerId, BasicNode>>;

/// From openraft's entry.
pub fn from_raft(entry: RaftEntry) -> Entry {
    let payload = match entry.payload {
        EntryPayload::Blank => Payload::Empty,
        EntryPayload::Normal(Command::Data { eid, data }) => Payload::Data { eid, data },
        EntryPayload::Normal(Command::ElectionTimer(ms)) => Payload::ElectionTimer(ms),
        EntryPayload::Membership(membership) => Payload::Servers(servers_of(&membership)),
    };
    Entry {
        term: entry.log_id.leader_id,
        index: entry.log_id.index,
        payload,
    }
}

/// To openraft's entry; an error for a list of members that no cluster has.
pub fn to_raft(entry: Entry) -> Result<RaftEntry, NoMembers> {
    let payload = match entry.payload {
        Payload::Empty => EntryPayload::Blank,
        Payload::Data { eid, data } => EntryPayload::Normal(Command::Data { eid, data }),
        Payload::ElectionTimer(ms) => EntryPayload::Normal(Command::ElectionTimer(ms)),
        Payload::Servers(servers) => EntryPayload::Membership(membership_of(&servers)?),
    };
    Ok(openraft::Entry {
        log_id: LogId::new(entry.term, entry.index),
        payload,
    })
}

/// The members of a membership, all of them voters: OVSDB has no others.
pub fn servers_of(membership: &Membership<ServerId, BasicNode>) -> Servers {
    membership
        .nodes()
        .map(|(id, node)| (*id, node.addr.clone()))
        .collect()
}

/// A cluster has at least one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster without members")]
pub struct NoMembers;

/// The membership in which all of these vote.
pub fn membership_of(servers: &Servers) -> Result<Membership<ServerId, BasicNode>, NoMembers> {
    let voters: BTreeSet<ServerId> = servers.keys().copied().collect();
    let node = |(id, address): (&ServerId, &String)| (*id, BasicNode::new(address));
    let nodes: BTreeMap<ServerId, BasicNode> = servers.iter().map(node).collect();
    Membership::new(vec![voters], nodes).map_err(|_| NoMembers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_to_openraft_and_back() {
        let servers: Servers = (1..4)
            .map(|n| (Uuid::from_u128(n), format!("tcp:127.0.0.{n}:6647")))
            .collect();
        for payload in [
            Payload::Empty,
            Payload::Data {
                eid: Uuid::from_u128(7),
                data: Bytes::from_static(b"[null,{}]"),
            },
            Payload::ElectionTimer(4000),
            Payload::Servers(servers),
        ] {
            let entry = Entry {
                term: 3,
                index: 9,
                payload,
            };
            let raft = to_raft(entry.clone()).expect("an entry");
            assert_eq!(raft.log_id, LogId::new(3, 9));
            assert_eq!(from_raft(raft), entry);
        }
        assert_eq!(membership_of(&Servers::new()).err(), Some(NoMembers));
    }
}
