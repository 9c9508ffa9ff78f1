//! From a file's records to the server's state.
//!
//! What the reference's server or its `check-cluster` refuses is refused here, with its place in
//! the file. In two points this is stricter: a committed entry can only be replaced by itself, and
//! the snapshot's by none.

use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb_log::{LogError, Reader};
use uuid::Uuid;

use super::entries::{Entries, Position};
use super::header::{Header, Origin, Snapshot, SnapshotMeta};
use super::record::{Fact, LEFT, Record};
use crate::entry::{Entry, Index, ServerId, Servers, Term};

/// The election timer of a cluster that never changed it, in milliseconds.
pub const DEFAULT_ELECTION_TIMER: u64 = 1000;

/// How a server stands to its cluster, by its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has yet to join.
    Joining,
    /// It is one of the members, by the last entry that names them.
    Member,
    /// It is not one of the members: it never got the entry that adds it, or one has removed it.
    NotAMember,
    /// It has left, and cannot come back with this file.
    Left,
}

/// What a file says.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The first record.
    pub header: Header,
    /// The current term; not less than that of the last entry behind the snapshot.
    pub term: Term,
    /// For whom the server voted in it.
    pub vote: Option<ServerId>,
    /// Who leads in it, as far as the server has noted.
    pub leader: Option<ServerId>,
    /// The entries behind the snapshot.
    pub entries: Entries,
    /// Up to where they are committed, as far as the server has noted.
    pub commit_index: Index,
    /// Whether the server has left its cluster.
    pub left: bool,
}

impl Replayed {
    /// The snapshot that the log starts from, unless the server is joining.
    pub fn snapshot(&self) -> Option<&SnapshotMeta> {
        match &self.header.origin {
            Origin::Snapshot(snapshot) => Some(&snapshot.meta),
            Origin::Joining { .. } => None,
        }
    }

    /// The members by the last entry that names them, committed or not, as Raft has it.
    pub fn servers(&self) -> Option<&Servers> {
        self.entries
            .servers_at(Index::MAX)
            .or(self.snapshot().map(|snapshot| &snapshot.servers))
    }

    /// The election timer by what is committed, in milliseconds.
    pub fn election_timer(&self) -> u64 {
        self.entries
            .election_timer_at(self.commit_index)
            .or(self.snapshot().and_then(|snapshot| snapshot.election_timer))
            .unwrap_or(DEFAULT_ELECTION_TIMER)
    }

    /// The id of the last transaction in the log, committed or not.
    pub fn last_eid(&self) -> Option<Uuid> {
        self.entries
            .eid_at(Index::MAX)
            .or(self.snapshot().map(|snapshot| snapshot.eid))
    }

    /// How the server stands to its cluster.
    pub fn standing(&self) -> Standing {
        match self.servers() {
            _ if self.left => Standing::Left,
            None => Standing::Joining,
            Some(servers) if servers.contains_key(&self.header.identity.server_id) => {
                Standing::Member
            }
            Some(_) => Standing::NotAMember,
        }
    }
}

/// Whether a cluster has this server alone, at its log's beginning.
fn is_founded_by(header: &Header, snapshot: &Snapshot) -> bool {
    let servers = &snapshot.meta.servers;
    servers.len() == 1 && servers.contains_key(&header.identity.server_id)
}

/// A file being replayed.
#[derive(Debug)]
pub struct Replay {
    state: Replayed,
    records: u64,
}

impl Replay {
    /// Begins with the first record.
    pub fn new(header: Header) -> Replay {
        let start = match &header.origin {
            Origin::Snapshot(snapshot) => Position {
                term: snapshot.meta.term,
                index: snapshot.meta.index,
            },
            Origin::Joining { .. } => Position::default(),
        };
        let term = match &header.origin {
            // A new cluster's first leader leads in the term of what the cluster began with.
            Origin::Snapshot(snapshot) if is_founded_by(&header, snapshot) => {
                start.term.saturating_sub(1)
            }
            _ => start.term,
        };
        Replay {
            state: Replayed {
                header,
                term,
                vote: None,
                leader: None,
                entries: Entries::behind(start),
                commit_index: start.index,
                left: false,
            },
            records: 0,
        }
    }

    /// Goes on with the next record; an error says what is wrong with it.
    pub fn apply(&mut self, record: Record) -> Result<(), String> {
        self.records += 1;
        self.fact(record.fact)
            .map_err(|reason| format!("record {} {reason}", self.records))
    }

    /// The state after the last record.
    pub fn finish(self) -> Replayed {
        self.state
    }

    /// Replays a whole file; the reader stands at its end then, and [`Reader::finish`] tells where that is.
    pub fn read(reader: &mut Reader, path: &std::path::Path) -> Result<Replayed, LogError> {
        let mut replay = None;
        while let Some(record) = reader.next_record()? {
            let damaged = |reason| LogError::damaged(path, record.offset, reason);
            let document =
                Document::parse(record.json).map_err(|error| damaged(error.to_string()))?;
            // The text of a record can be as long as the file: it is not repeated in the error.
            let short = |error: ovsdb::Error| damaged(error.details.unwrap_or_default());
            match &mut replay {
                None => replay = Some(Replay::new(Header::parse(document.root()).map_err(short)?)),
                Some(replay) => replay
                    .apply(Record::parse(document.root()).map_err(short)?)
                    .map_err(damaged)?,
            }
        }
        replay
            .map(Replay::finish)
            .ok_or_else(|| LogError::damaged(path, 0, "there is no header"))
    }

    fn fact(&mut self, fact: Fact) -> Result<(), String> {
        match fact {
            Fact::Entry(entry) => self.entry(entry),
            Fact::Term(term) => {
                self.note_term(term);
                Ok(())
            }
            Fact::Vote { term, server } => self.vote(term, server),
            Fact::Leader { term, server } => self.leader(term, server),
            Fact::CommitIndex(index) => self.commit(index),
            Fact::Note(note) => {
                self.state.left |= note == LEFT;
                Ok(())
            }
        }
    }

    fn note_term(&mut self, term: Term) {
        let state = &mut self.state;
        if term > state.term {
            (state.term, state.vote, state.leader) = (term, None, None);
        }
    }

    fn entry(&mut self, entry: Entry) -> Result<(), String> {
        self.note_term(entry.term);
        let state = &mut self.state;
        let (index, end) = (entry.index, state.entries.last().index);
        if state.snapshot().is_none() {
            return Err(format!(
                "has an entry with index {index}, but the server has not joined a cluster"
            ));
        }
        let replaces_itself = || {
            index == state.commit_index && state.entries.get(index).is_some_and(|e| **e == entry)
        };
        if index <= state.commit_index && !replaces_itself() {
            return Err(format!(
                "attempts to replace the log's entries from index {index} on, but commit index is already {}",
                state.commit_index
            ));
        }
        if index <= end {
            state.entries.truncate_behind(index - 1);
        }
        state
            .entries
            .push(Arc::new(entry))
            .map_err(|misfit| format!("is wrong: {misfit}"))
    }

    fn vote(&mut self, term: Term, server: ServerId) -> Result<(), String> {
        self.note_term(term);
        let state = &mut self.state;
        if term < state.term {
            return Err(format!(
                "votes for term {term} but current term is {}",
                state.term
            ));
        }
        match state.vote {
            Some(other) if other != server => Err(format!(
                "votes for {server} in term {term} but a previous record for the same term voted for {other}"
            )),
            _ => {
                state.vote = Some(server);
                Ok(())
            }
        }
    }

    fn leader(&mut self, term: Term, server: ServerId) -> Result<(), String> {
        self.note_term(term);
        let state = &mut self.state;
        if term < state.term {
            return Ok(());
        }
        match state.leader {
            Some(other) if other != server => Err(format!(
                "reports leader {server} for term {term}, but a previous record reported {other}"
            )),
            _ => {
                state.leader = Some(server);
                Ok(())
            }
        }
    }

    fn commit(&mut self, index: Index) -> Result<(), String> {
        let state = &mut self.state;
        let last = state.entries.last().index;
        if index < state.commit_index {
            return Err(format!(
                "regresses commit index from {} to {index}",
                state.commit_index
            ));
        }
        if index > last {
            return Err(format!(
                "advances commit index to {index} but last log index is {last}"
            ));
        }
        state.commit_index = index;
        Ok(())
    }
}
