//! A clustered file in use: the log's entries in memory, and everything that changes in the file.
//!
//! Nothing here waits for the disk. A change is visible to readers at once; its `done` is called, on
//! the log's own thread, when it is on disk together with all that came before it, and changes that arrive while
//! the disk is busy share the next sync. After a failure everything is refused: memory may be ahead of the
//! file then, so the store is to be dropped and the file opened again.

mod memory;
mod open;
mod replace;
mod write;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ovsdb_log::{Done, Log, LogError, Options, Status};
use uuid::Uuid;

use super::entries::Position;
use super::header::{Identity, SnapshotMeta};
use super::replay::DEFAULT_ELECTION_TIMER;
use crate::entry::{Entry, Index, ServerId, Servers, Term};
use memory::Memory;

pub use open::ClusterFile;
pub use replace::{Replaced, WriteData};
pub use write::Ballot;

/// Why a change was not taken. Nothing has happened.
#[derive(Debug, Clone)]
pub enum Reason {
    /// Too much waits for the disk: [`Store::on_space`] tells when to try again.
    Full,
    /// Another snapshot is being written.
    Busy,
    /// An earlier change failed.
    Failed(Arc<LogError>),
    /// The store is closed.
    Closed,
    /// The file would not make sense with it.
    Invalid(String),
}

/// A change that was not taken, with its `done`, uncalled.
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// What was to be called.
    pub done: Done,
}

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Refused").field(&self.reason).finish()
    }
}

/// A file in use. Dropping it writes what waits, and frees the lock.
#[derive(Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    options: Options,
    memory: Mutex<Memory>,
}

impl Inner {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> Arc<LogError> {
        Arc::new(LogError::Closed {
            file: self.log.path().to_path_buf(),
        })
    }
}

impl Store {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.inner.memory()
    }

    /// Whose file it is.
    pub fn identity(&self) -> Identity {
        self.memory().identity.clone()
    }

    /// Notes the id of the cluster that the server is joining, if it did not know it. It is in the
    /// file from the first snapshot on. False if it is another one than the known.
    pub fn set_cluster_id(&self, cluster_id: Uuid) -> bool {
        *self.memory().identity.cluster_id.get_or_insert(cluster_id) == cluster_id
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.memory().term
    }

    /// For whom the server voted in the current term.
    pub fn vote(&self) -> Option<ServerId> {
        self.memory().vote
    }

    /// Who leads in the current term, as far as it was noted.
    pub fn leader(&self) -> Option<ServerId> {
        self.memory().leader
    }

    /// Up to where entries are committed, as far as it was noted.
    pub fn commit_index(&self) -> Index {
        self.memory().commit_index
    }

    /// Whether the server has left its cluster.
    pub fn left(&self) -> bool {
        self.memory().left
    }

    /// The snapshot that the file starts from; none before the server has joined.
    pub fn snapshot(&self) -> Option<SnapshotMeta> {
        self.memory().snapshot.clone()
    }

    /// The last entry that is not in memory any more, and the last of all.
    pub fn ends(&self) -> (Position, Position) {
        let memory = self.memory();
        (memory.entries.before(), memory.entries.last())
    }

    /// The entries in a range of places: those in memory, until they have about `max_bytes`
    /// together, and at least one if any.
    pub fn range(&self, range: Range<Index>, max_bytes: usize) -> Vec<Arc<Entry>> {
        self.memory().entries.range(range, max_bytes)
    }

    /// The entry at that place, if it is in memory.
    pub fn get(&self, index: Index) -> Option<Arc<Entry>> {
        self.memory().entries.get(index).cloned()
    }

    /// The term at that place, if it is known.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let memory = self.memory();
        let snapshot = || memory.snapshot.as_ref().filter(|s| s.index == index);
        memory
            .entries
            .term_at(index)
            .or_else(|| snapshot().map(|s| s.term))
    }

    /// The members up to that place (`Index::MAX`: by the whole log). Not for places before the snapshot's.
    pub fn servers_at(&self, index: Index) -> Option<Servers> {
        let memory = self.memory();
        let snapshot = memory.snapshot.as_ref().map(|s| &s.servers);
        memory.entries.servers_at(index).or(snapshot).cloned()
    }

    /// The id of the last transaction up to that place. Not for places before the snapshot's.
    pub fn eid_at(&self, index: Index) -> Option<Uuid> {
        let memory = self.memory();
        let snapshot = memory.snapshot.as_ref().map(|s| s.eid);
        memory.entries.eid_at(index).or(snapshot)
    }

    /// The election timer by what is committed, in milliseconds.
    pub fn election_timer(&self) -> u64 {
        let memory = self.memory();
        let snapshot = memory.snapshot.as_ref().and_then(|s| s.election_timer);
        memory
            .entries
            .election_timer_at(memory.commit_index)
            .or(snapshot)
            .unwrap_or(DEFAULT_ELECTION_TIMER)
    }

    /// What the election timer will be when the whole log is committed, if that is another one.
    pub fn next_election_timer(&self) -> Option<u64> {
        let last = self.ends().1.index;
        let next = self.memory().entries.election_timer_at(last)?;
        Some(next).filter(|next| *next != self.election_timer())
    }

    /// The file's sizes and state, for [`CompactionSchedule`](ovsdb_log::CompactionSchedule) and for people.
    pub fn status(&self) -> Status {
        let failed = self.memory().failed.clone();
        let mut status = self.inner.log.status();
        status.failed = failed.or(status.failed);
        status
    }

    /// Frees the memory of the entries up to that place, as far as the snapshot in the file
    /// stands for them. Gives the place before the first that is left.
    pub fn purge(&self, through: Index) -> Position {
        let mut memory = self.memory();
        let snapshot = memory.snapshot.as_ref().map_or(0, |s| s.index);
        memory.entries.drop_through(through.min(snapshot));
        memory.entries.before()
    }

    /// Writes what waits, syncs, and stops.
    pub fn close(&self) -> Result<(), LogError> {
        // A log that takes nothing any more says so when it is closed.
        let _ = self.write_commit();
        let result = self.inner.log.close();
        let held = self.memory().held.take();
        let error = self.inner.closed();
        held.into_iter().for_each(|held| held.fail(&error));
        result
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("{error}");
        }
    }
}
