//! Log entries: what a cluster agrees on, one after the other (ovsdb(5), "Clustered Format").

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

/// A server's id. It names one incarnation of a member: who lost its disk gets a new one.
pub type ServerId = Uuid;
/// A term, from 1; 0 before the first.
pub type Term = u64;
/// An entry's place in the log, from 1; 0 stands for "nothing before".
pub type Index = u64;

/// The members with their addresses, `tcp:IP:PORT` as the file or the message has them.
pub type Servers = BTreeMap<ServerId, String>;

/// What an entry carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: a new leader's first entry.
    Empty,
    /// A transaction.
    Data {
        /// The transaction's id, which the next one names as its prerequisite.
        eid: Uuid,
        /// A JSON array of two: a schema or `null`, and a transaction's record or `null`.
        data: Bytes,
    },
    /// The members from here on.
    Servers(Servers),
    /// The election timer from here on, in milliseconds.
    ElectionTimer(u64),
}

/// A log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The term of the leader that proposed it.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
    /// What it carries.
    pub payload: Payload,
}
