//! The history: what recent commits changed, by which those who were away catch up.

use std::collections::VecDeque;
use std::sync::Arc;

use ovsdb::Uuid;

use crate::changes::Changes;
use crate::version::Version;

/// A committed transaction.
#[derive(Debug)]
pub struct Commit {
    /// The contents after it.
    pub version: Version,
    /// What it changed.
    pub changes: Arc<Changes>,
}

/// A commit without the contents, which would keep old versions in memory.
#[derive(Debug, Clone)]
pub struct Past {
    /// The sequence number of the version that it made.
    pub sequence: u64,
    /// The transaction's id.
    pub id: Uuid,
    /// What it changed.
    pub changes: Arc<Changes>,
}

/// The last commits of a database, bounded in number and in size.
///
/// As in the reference, at most 100 are kept, and no more values in them than the database has.
#[derive(Debug, Default)]
pub struct History {
    commits: VecDeque<Past>,
    weight: usize,
}

/// How many commits are kept at most.
const MAX_COMMITS: usize = 100;
/// Values that are kept however small the database is.
const MIN_WEIGHT: usize = 10_000;

impl History {
    /// Adds the newest commit, and drops the oldest where the bounds ask for it.
    pub fn push(&mut self, commit: &Commit) {
        self.weight += commit.changes.weight();
        let values: usize = commit
            .version
            .tables()
            .map(|(id, table)| table.len() * commit.version.schema().table(id).columns.len())
            .sum();
        self.commits.push_back(Past {
            sequence: commit.version.sequence(),
            id: commit.version.id(),
            changes: commit.changes.clone(),
        });
        while self.commits.len() > MAX_COMMITS
            || self.commits.len() > 1 && self.weight > values.max(MIN_WEIGHT)
        {
            if let Some(oldest) = self.commits.pop_front() {
                self.weight -= oldest.changes.weight();
            }
        }
    }

    /// The commits after the one with this id, oldest first; none if the history does not reach
    /// back to it.
    pub fn after_id(&self, id: Uuid) -> Option<impl Iterator<Item = &Past>> {
        let place = self.commits.iter().rposition(|commit| commit.id == id)?;
        Some(self.commits.iter().skip(place + 1))
    }

    /// The commits after the version with this sequence number, oldest first; none if the
    /// history does not reach back to it.
    pub fn after_sequence(&self, sequence: u64) -> Option<impl Iterator<Item = &Past>> {
        let first = self.commits.front()?.sequence;
        if sequence + 1 < first {
            return None;
        }
        let skip = usize::try_from(sequence + 1 - first).ok()?;
        Some(self.commits.iter().skip(skip))
    }

    /// Forgets everything: after a conversion, when old changes no longer fit the schema.
    pub fn clear(&mut self) {
        *self = History::default();
    }

    /// All commits, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Past> {
        self.commits.iter()
    }

    /// How many commits there are.
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }
}
