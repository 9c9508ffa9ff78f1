//! What a server says of one of its databases to people and their tools: the method
//! [`METHOD`] on client ports, which the reference does not have. `docs/status.md` describes it.
//!
//! Times are milliseconds from the moment of asking, sizes are bytes.

mod gather;
mod rate;
mod roll;

use std::collections::BTreeMap;

use ovsdb_cluster::status::MemberStatus;
use serde::{Deserialize, Serialize};

pub(crate) use rate::Rate;
pub(crate) use roll::{OnRoll, Roll};

/// The JSON-RPC method. Its parameter is a database's name, its result a [`DatabaseReport`].
pub const METHOD: &str = "ovn_ic_db.status";
/// So many sessions are listed; the others are only counted.
pub const MAX_SESSIONS: usize = 1000;

/// One database of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseReport {
    /// Its name.
    pub name: String,
    /// The server's process.
    pub process: ProcessReport,
    /// What is in it; none before a server has joined its cluster.
    pub contents: Option<ContentsReport>,
    /// How much it is used.
    #[serde(default)]
    pub load: Option<LoadReport>,
    /// The last warning or error that the log has about it, if there was one.
    #[serde(default)]
    pub problem: Option<ProblemReport>,
    /// The file that keeps it, if one does.
    pub file: Option<FileReport>,
    /// This server as a member of a cluster, if it is clustered.
    pub member: Option<MemberStatus>,
    /// The other clients' sessions, in the order of their coming.
    pub sessions: Vec<SessionReport>,
    /// How many sessions are not listed.
    pub sessions_left_out: u64,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Name and version, for example `ovn-ic-db 1.0.0`.
    pub program: String,
    /// Its id.
    pub id: u32,
    /// How long it has been running.
    pub uptime: u64,
    /// How much memory it has in use (its resident set), if the system says so.
    pub memory: Option<u64>,
}

/// What is in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentsReport {
    /// The schema's version, for example `1.4.0`.
    pub schema_version: String,
    /// The schema's `cksum`; empty if it has none.
    pub schema_checksum: String,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// How many transactions have changed something; it only grows while the server runs.
    pub commits: u64,
}

/// How much a database is used on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Transactions that this server's clients asked for, those that only read or failed, too.
    pub transactions: Recent,
    /// Transactions that changed something, whoever asked for them at whichever server.
    pub changes: Recent,
}

/// How often something has happened of late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// In the last ten seconds.
    pub ten_seconds: u64,
    /// In the last minute.
    pub minute: u64,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemReport {
    /// `warning` or `error`.
    pub level: String,
    /// What it says, its beginning if that is long.
    pub message: String,
    /// How long ago it was written.
    pub age: u64,
}

/// A database's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Where it is.
    pub path: String,
    /// Its length.
    pub size: u64,
    /// Its length after the last compaction.
    pub compact_size: u64,
    /// When it was last compacted; never since the server was started, if there is none.
    pub compacted: Option<u64>,
    /// How many acknowledged transactions are not in it, as writing them has failed.
    pub unwritten: u64,
    /// Why it cannot be written, if it cannot.
    pub failure: Option<String>,
}

/// A client's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// Where it comes from: `tcp:127.0.0.1:43210`, `unix#7`.
    pub peer: String,
    /// How long it has been there.
    pub connected: u64,
    /// How many monitors of this database it has.
    pub monitors: u64,
    /// Which tables they watch.
    pub tables: Vec<String>,
    /// How much waits to be sent to it.
    pub backlog: u64,
}

/// What surrounds a service and only the program knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The process.
    pub process: ProcessReport,
    /// The database's last problem.
    pub problem: Option<ProblemReport>,
    /// The database's file.
    pub file: Option<FileReport>,
    /// The database's member of a cluster.
    pub member: Option<MemberStatus>,
}

/// Tells what surrounds the database of a name. It must not wait for anything but a lock.
pub type Reporter = Box<dyn Fn(&str) -> Surroundings + Send + Sync>;
