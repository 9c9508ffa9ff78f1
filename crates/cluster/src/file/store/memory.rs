//! What a store knows without looking at the file.

use std::sync::Arc;

use ovsdb_log::{Batch, Done, LogError, Options};

use crate::entry::{Index, ServerId, Term};
use crate::file::entries::Entries;
use crate::file::header::{Identity, SnapshotMeta};

/// The state that the file will have when all that was taken is written.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) identity: Identity,
    pub(super) snapshot: Option<SnapshotMeta>,
    pub(super) entries: Entries,
    pub(super) term: Term,
    pub(super) vote: Option<ServerId>,
    pub(super) leader: Option<ServerId>,
    pub(super) commit_index: Index,
    /// The file says less.
    pub(super) commit_unwritten: bool,
    pub(super) left: bool,
    /// Whether the file may have entries behind the last one, which were taken back: nothing is
    /// written for that, the next entry replaces them.
    pub(super) stale_tail: bool,
    /// Where the snapshot that is being written ends.
    pub(super) replacing: Option<Index>,
    /// What cannot be written before a whole new log is in place.
    pub(super) held: Option<Held>,
    /// Why everything is refused, where the log itself does not know it.
    pub(super) failed: Option<Arc<LogError>>,
}

impl Memory {
    /// Follows a term as readers of the file do.
    pub(super) fn note_term(&mut self, term: Term) {
        if term > self.term {
            (self.term, self.vote, self.leader) = (term, None, None);
        }
    }
}

/// What cannot be written before a whole new log is in place.
#[derive(Default)]
pub(super) struct Held {
    batches: Vec<Batch>,
    size: usize,
    wakers: Vec<Waker>,
}

type Waker = Box<dyn FnOnce() + Send>;

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("batches", &self.batches)
            .field("size", &self.size)
            .finish()
    }
}

impl Held {
    /// Whether there is no room for so many more bytes; a batch of any size goes in alone.
    pub(super) fn is_full(&self, more: usize, options: &Options) -> bool {
        !self.batches.is_empty()
            && (self.size.saturating_add(more) > options.max_bytes
                || self.batches.len() >= options.max_batches)
    }

    pub(super) fn push(&mut self, batch: Batch) {
        self.size = self.size.saturating_add(batch.size_hint);
        self.batches.push(batch);
    }

    pub(super) fn on_space(&mut self, waker: Waker) {
        self.wakers.push(waker);
    }

    /// Everything as one batch, and who waits for room.
    pub(super) fn into_batch(self) -> (Batch, Vec<Waker>) {
        let durable = self.batches.iter().any(|batch| batch.durable);
        let mut encoders = Vec::with_capacity(self.batches.len());
        let mut dones: Vec<Done> = Vec::with_capacity(self.batches.len());
        for batch in self.batches {
            encoders.push(batch.encode);
            dones.push(batch.done);
        }
        let batch = Batch {
            encode: Box::new(move |buffer| encoders.into_iter().for_each(|e| e(buffer))),
            size_hint: self.size,
            durable,
            done: Box::new(move |result| dones.into_iter().for_each(|d| d(result.clone()))),
        };
        (batch, self.wakers)
    }

    /// The same once more, as there was no room for it.
    pub(super) fn again(batch: Batch, wakers: Vec<Waker>) -> Held {
        Held {
            size: batch.size_hint,
            batches: vec![batch],
            wakers,
        }
    }

    /// Gives everything up.
    pub(super) fn fail(self, error: &Arc<LogError>) {
        for batch in self.batches {
            (batch.done)(Err(error.clone()));
        }
        self.wakers.into_iter().for_each(|waker| waker());
    }
}
