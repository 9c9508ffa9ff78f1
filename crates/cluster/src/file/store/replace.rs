//! A new snapshot in the file: the server's own, of what it has applied, or a leader's.
//!
//! The file is written anew beside the running log. While a leader's snapshot that the old log does not
//! lead to is being written, entries and commit indexes wait: behind the old log's entries they would be wrong.

use std::sync::{Arc, MutexGuard};

use ovsdb_log::{Compacted, LogError, RecordWriter};

use uuid::Uuid;

use super::memory::{Held, Memory};
use super::{Inner, Reason, Store};
use crate::entry::{Entry, Index};
use crate::file::create::Tail;
use crate::file::entries::{Entries, Position};
use crate::file::header::SnapshotMeta;
use crate::file::replay::DEFAULT_ELECTION_TIMER;

/// Called once, on one of the log's threads, when the new file is in place, or not.
pub type Replaced = Box<dyn FnOnce(Result<Compacted, Arc<LogError>>) + Send>;
/// Appends the contents, `[schema, record]`; called once, on a thread of its own.
pub type WriteData = Box<dyn FnOnce(&mut Vec<u8>) + Send>;

impl Store {
    /// Makes the log begin behind `index`, which has been committed, and of which `data` has the contents. Entries
    /// stay in memory until [`Store::purge`].
    pub fn compact(&self, index: Index, data: WriteData, done: Replaced) -> Result<(), Reason> {
        let mut memory = self.memory();
        let meta = own_snapshot(&memory, index)?;
        let tail = tail(&memory, memory.entries.behind_index(index));
        self.begin(&memory, meta.clone(), tail, data, done)?;
        memory.replacing = Some(meta.index);
        Ok(())
    }

    /// Makes the log begin with a leader's snapshot. Entries behind it stay if they follow from it, and
    /// all are gone otherwise.
    pub fn install(
        &self,
        meta: SnapshotMeta,
        data: WriteData,
        done: Replaced,
    ) -> Result<(), Reason> {
        let mut memory = self.memory();
        if memory.identity.cluster_id.is_none() {
            return Err(invalid("the cluster's id is not known"));
        }
        if memory
            .snapshot
            .as_ref()
            .is_some_and(|s| s.index >= meta.index)
        {
            return Err(invalid(
                "the snapshot is not newer than the one in the file",
            ));
        }
        let follows = memory.entries.term_at(meta.index) == Some(meta.term);
        if !follows && memory.commit_index >= meta.index {
            return Err(invalid("the snapshot is of another history"));
        }
        let entries = if follows {
            memory.entries.behind_index(meta.index)
        } else {
            Vec::new()
        };
        let mut tail = tail(&memory, entries);
        tail.commit_index = tail.commit_index.max(meta.index);
        if meta.term > tail.term {
            (tail.term, tail.vote, tail.leader) = (meta.term, None, None);
        }
        self.begin(&memory, meta.clone(), tail, data, done)?;
        memory.note_term(meta.term);
        memory.commit_index = memory.commit_index.max(meta.index);
        if !follows {
            memory.entries = Entries::behind(Position {
                term: meta.term,
                index: meta.index,
            });
            memory.stale_tail = false;
            memory.held = Some(Held::default());
        }
        memory.replacing = Some(meta.index);
        memory.snapshot = Some(meta);
        Ok(())
    }

    /// What a snapshot of that place would be like, if the log has an entry there, and its last
    /// transaction so far has the id `eid`.
    pub fn snapshot_meta(&self, index: Index, eid: Uuid) -> Option<SnapshotMeta> {
        let memory = self.memory();
        let meta = meta_at(&memory, memory.snapshot.as_ref()?, index)?;
        (meta.eid == eid).then_some(meta)
    }

    fn begin(
        &self,
        memory: &MutexGuard<'_, Memory>,
        meta: SnapshotMeta,
        tail: Tail,
        data: WriteData,
        done: Replaced,
    ) -> Result<(), Reason> {
        if let Some(error) = &memory.failed {
            return Err(Reason::Failed(error.clone()));
        }
        if memory.replacing.is_some() || memory.held.is_some() || self.inner.log.status().compacting
        {
            return Err(Reason::Busy);
        }
        let identity = memory.identity.clone();
        let in_file = meta.clone();
        let snapshot =
            move |writer: &mut RecordWriter| tail.write_behind(writer, &identity, &in_file, data);
        let inner = Arc::downgrade(&self.inner);
        let replaced = move |result: Result<Compacted, Arc<LogError>>| {
            if let Some(inner) = inner.upgrade() {
                inner.replaced(meta, result.as_ref().err());
            }
            done(result);
        };
        self.inner
            .log
            .begin_compaction(snapshot, replaced)
            .map_err(|error| match &*error {
                LogError::CompactionRunning { .. } => Reason::Busy,
                LogError::Closed { .. } => Reason::Closed,
                _ => Reason::Failed(error),
            })
    }
}

impl Inner {
    fn replaced(self: &Arc<Self>, meta: SnapshotMeta, error: Option<&Arc<LogError>>) {
        let mut memory = self.memory();
        memory.replacing = None;
        let Some(error) = error else {
            if memory
                .snapshot
                .as_ref()
                .is_some_and(|s| s.index < meta.index)
            {
                memory.snapshot = Some(meta);
            }
            drop(memory);
            return self.release();
        };
        // A log that was to be exchanged is not in memory any more; one that was to be
        // made shorter goes on as it is.
        let Some(held) = memory.held.take() else {
            return;
        };
        memory.failed = Some(error.clone());
        drop(memory);
        held.fail(error);
    }

    /// Hands on what has waited for the new log.
    fn release(self: &Arc<Self>) {
        let mut memory = self.memory();
        let Some(held) = memory.held.take() else {
            return;
        };
        let (batch, wakers) = held.into_batch();
        match self.log.try_submit(batch) {
            Ok(()) => {
                drop(memory);
                wakers.into_iter().for_each(|waker| waker());
            }
            Err(ovsdb_log::Refused::Full(batch)) => {
                let size = batch.size_hint;
                memory.held = Some(Held::again(batch, wakers));
                drop(memory);
                let inner = Arc::downgrade(self);
                let again = move || {
                    if let Some(inner) = inner.upgrade() {
                        inner.release();
                    }
                };
                self.log.on_space(size, Box::new(again));
            }
            Err(ovsdb_log::Refused::Failed(batch, error)) => {
                drop(memory);
                Held::again(batch, wakers).fail(&error);
            }
            Err(ovsdb_log::Refused::Closed(batch)) => {
                drop(memory);
                Held::again(batch, wakers).fail(&self.closed());
            }
        }
    }
}

/// What a snapshot at `index` is like, by the log.
fn own_snapshot(memory: &Memory, index: Index) -> Result<SnapshotMeta, Reason> {
    let Some(snapshot) = &memory.snapshot else {
        return Err(invalid("the server has not joined a cluster"));
    };
    if index <= snapshot.index {
        return Err(invalid("there is a snapshot of that already"));
    }
    if index > memory.commit_index {
        return Err(invalid("a snapshot of what is not committed"));
    }
    meta_at(memory, snapshot, index).ok_or_else(|| invalid("no entry with that index"))
}

fn meta_at(memory: &Memory, snapshot: &SnapshotMeta, index: Index) -> Option<SnapshotMeta> {
    let entries = &memory.entries;
    Some(SnapshotMeta {
        index,
        term: entries.term_at(index)?,
        eid: entries.eid_at(index).unwrap_or(snapshot.eid),
        servers: entries
            .servers_at(index)
            .unwrap_or(&snapshot.servers)
            .clone(),
        election_timer: entries
            .election_timer_at(index)
            .or(snapshot.election_timer)
            .or(Some(DEFAULT_ELECTION_TIMER)),
    })
}

fn tail(memory: &Memory, entries: Vec<Arc<Entry>>) -> Tail {
    Tail {
        entries,
        term: memory.term,
        vote: memory.vote,
        leader: memory.leader,
        commit_index: memory.commit_index,
    }
}

fn invalid(why: &str) -> Reason {
    Reason::Invalid(why.to_owned())
}
