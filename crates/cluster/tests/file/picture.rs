//! What a store or a file says, to be compared.

use std::collections::BTreeMap;

use ovsdb_cluster::file::Replayed;
use uuid::Uuid;

/// What a store or a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub term: u64,
    pub vote: Option<Uuid>,
    pub leader: Option<Uuid>,
    pub commit: u64,
    /// The terms of the entries; the payload follows from place and term.
    pub log: BTreeMap<u64, u64>,
    /// Where the log is known from: the entry before the first.
    pub start: (u64, u64),
}

impl Picture {
    pub fn of(state: &Replayed) -> Picture {
        let before = state.entries.before();
        Picture {
            term: state.term,
            vote: state.vote,
            leader: state.leader,
            commit: state.commit_index,
            log: state.entries.iter().map(|e| (e.index, e.term)).collect(),
            start: (before.index, before.term),
        }
    }

    pub fn last(&self) -> (u64, u64) {
        self.log
            .last_key_value()
            .map_or(self.start, |(index, term)| (*index, *term))
    }

    pub fn note_term(&mut self, term: u64) {
        if term > self.term {
            (self.term, self.vote, self.leader) = (term, None, None);
        }
    }

    /// Whether a file with this picture of it may be what a store with that one left.
    pub fn may_be(&self, store: &Picture) -> bool {
        let start = self.start.0;
        let known = start == store.start.0 || store.log.get(&start) == Some(&self.start.1);
        let last = store.last().0;
        let ours: Vec<_> = store.log.range(start + 1..).collect();
        let theirs: Vec<_> = self.log.range(..=last).collect();
        // Entries that were taken back may be there still, and what is committed be written later.
        known
            && ours == theirs
            && (self.term, self.vote) == (store.term, store.vote)
            && self.commit.max(start) <= store.commit
            && (self.leader == store.leader || self.leader.is_none())
    }
}
