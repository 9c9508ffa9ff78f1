//! What a member says about itself, to people and to programs.
//!
//! As text (`Display`) it is what the reference's `cluster/status` says, line by line; it also goes
//! into the report of a database, as JSON. Times are milliseconds from the moment of asking.

mod text;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entry::{Index, ServerId, Term};
use crate::file::replay::DEFAULT_ELECTION_TIMER;
use crate::wire::ClusterId;

/// A member of a cluster, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// The database's name.
    pub name: String,
    /// The cluster's id; a server that joins does not know it at first.
    pub cluster_id: Option<ClusterId>,
    /// This server's id.
    pub server_id: ServerId,
    /// Where it listens for the other members.
    pub address: String,
    /// How it stands to its cluster.
    pub standing: Standing,
    /// The addresses that it tries to join at, while it joins.
    pub remotes: Vec<String>,
    /// Servers that it is adding, or the one that it is removing, in that order; only a leader
    /// does.
    pub changes: Vec<ServerStatus>,
    /// What it does in its term.
    pub role: Role,
    /// The term.
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<ServerId>,
    /// Whom it has voted for in this term.
    pub vote: Option<ServerId>,
    /// The last election that it stood for, since it was started.
    pub election: Option<Election>,
    /// The election timer, in milliseconds.
    pub election_timer: u64,
    /// The one that it will be when the leader's entry for it is committed, in milliseconds.
    pub next_election_timer: Option<u64>,
    /// Its log.
    pub log: LogStatus,
    /// Its connections with other members, oldest first.
    pub connections: Vec<ConnectionStatus>,
    /// How many connections with members it has lost since it was started.
    pub disconnections: u64,
    /// All members, itself included.
    pub servers: Vec<ServerStatus>,
    /// What keeps it from being a healthy member, in words: for whom it waits, whom it refuses, what
    /// has failed. The reference has no such thing, so the text leaves it out.
    #[serde(default)]
    pub troubles: Vec<String>,
}

/// How a server stands to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has yet to join.
    Joining,
    /// It is a member, and has known a leader since the last election that it lost.
    Member,
    /// It wants to leave.
    Leaving,
    /// It has left.
    Left,
    /// Its disk, or what came from it, has failed it.
    Failed,
    /// It is a member; an election has ended without a leader and it tries again.
    Disconnected,
}

/// What a member does in a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It leads.
    Leader,
    /// It wants to lead.
    Candidate,
    /// Neither.
    Follower,
}

/// An election that a member stood for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Election {
    /// When it began, in milliseconds ago.
    pub started: u64,
    /// Why.
    pub reason: ElectionReason,
    /// When it was won, in milliseconds ago; never, if it was lost or goes on.
    pub won: Option<u64>,
}

/// Why a member stands for election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElectionReason {
    /// It had not heard of a leader for too long.
    Timeout,
    /// The leader has asked it to.
    LeadershipTransfer,
}

/// Places in a member's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// The first entry behind the snapshot.
    pub first: Index,
    /// Where the next entry will be.
    pub end: Index,
    /// The last entry that is known to be committed.
    pub committed: Index,
    /// The last entry whose effects clients see.
    pub applied: Index,
}

/// A connection with another member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Who is at the other end, once that is known.
    pub server: Option<ServerId>,
    /// The dialled address, or where the caller called from.
    pub address: String,
    /// This side made it.
    pub dialled: bool,
    /// It can be used.
    pub connected: bool,
    /// Bytes that wait to be written to it, without snapshots. Older members do not say it.
    #[serde(default)]
    pub waiting: u64,
}

/// A server, as a member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its id.
    pub id: ServerId,
    /// Its address for the other members.
    pub address: String,
    /// Where it is on its way into the cluster or out of it.
    pub phase: Phase,
    /// Whom it has voted for, for all that a candidate has heard.
    pub vote: Option<ServerId>,
    /// How far its log is, for all that a leader has heard.
    pub progress: Option<Progress>,
    /// When its last message came, in milliseconds ago; never, for this server itself.
    pub last_message: Option<u64>,
}

/// Where a server is on its way into a cluster or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A member for good.
    Stable,
    /// It gets what the log has.
    CatchingUp,
    /// It has that, and waits for its turn.
    CaughtUp,
    /// The entry that makes it a member is not committed yet.
    Committing,
    /// It is to be removed.
    Removing,
}

/// How far a server's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The next entry that it gets.
    pub next: Index,
    /// The last one that it is known to have.
    pub matched: Index,
}

impl MemberStatus {
    /// That of a server that has yet to join, and knows nothing.
    pub fn joining(name: &str, server_id: ServerId, address: String) -> MemberStatus {
        MemberStatus {
            name: name.to_owned(),
            cluster_id: None,
            server_id,
            address,
            standing: Standing::Joining,
            remotes: Vec::new(),
            changes: Vec::new(),
            role: Role::Follower,
            term: 0,
            leader: None,
            vote: None,
            election: None,
            election_timer: DEFAULT_ELECTION_TIMER,
            next_election_timer: None,
            log: LogStatus {
                first: 0,
                end: 0,
                committed: 0,
                applied: 0,
            },
            connections: Vec::new(),
            disconnections: 0,
            servers: Vec::new(),
            troubles: Vec::new(),
        }
    }

    /// How many entries are not known to be committed.
    pub fn uncommitted(&self) -> u64 {
        behind(self.log.committed, self.log.end)
    }

    /// How many entries clients do not see yet.
    pub fn unapplied(&self) -> u64 {
        behind(self.log.applied, self.log.end)
    }

    /// What people call a server: the first digits of its id, mostly.
    pub fn short_name(&self, server: ServerId) -> String {
        if server == self.server_id {
            return short_name(&self.address, server);
        }
        let mut known = self.servers.iter().chain(&self.changes);
        match known.find(|known| known.id == server) {
            Some(known) => short_name(&known.address, server),
            None => short_id(server),
        }
    }
}

/// How many entries there are behind one, in a log that ends before `end`.
fn behind(index: Index, end: Index) -> u64 {
    end.saturating_sub(index).saturating_sub(1)
}

/// A cluster's or server's id as it is shown to people: its first four digits.
pub fn short_id(id: Uuid) -> String {
    let mut text = id.simple().to_string();
    text.truncate(4);
    text
}

/// A server whose address is a socket's file is called after that: `s1` for `unix:/run/s1.raft`.
fn short_name(address: &str, id: ServerId) -> String {
    let file = address
        .strip_prefix("unix:")
        .and_then(|path| path.rsplit('/').next());
    let stem = file.and_then(|file| file.split('.').next());
    match stem {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => short_id(id),
    }
}
