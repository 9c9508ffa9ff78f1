//! What a log counts while it works.

use std::time::Instant;

use ovsdb_counters::{Counter, Histogram};

use crate::LogError;

/// What has happened to a file. It may outlive the log, and be given to the one that is opened next.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of records that were appended.
    pub appended: Counter,
    /// How long each sync of appended records took.
    pub syncs: Histogram,
    /// Writes, syncs and repairs that the system has refused.
    pub failures: Counter,
    /// How long each rewriting of the file took that succeeded: compactions, conversions, snapshots.
    pub rewritings: Histogram,
    /// Rewritings that failed; the file stayed as it was.
    pub failed_rewritings: Counter,
}

impl Counters {
    /// Does a sync, and counts it.
    pub(crate) fn sync(&self, sync: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        let began = Instant::now();
        let result = sync();
        if result.is_ok() {
            self.syncs.observe(began.elapsed());
        }
        result
    }

    /// A rewriting that was asked for at a moment is over.
    pub(crate) fn rewritten<T>(&self, began: Instant, result: &Result<T, impl AsRef<LogError>>) {
        match result {
            Ok(_) => self.rewritings.observe(began.elapsed()),
            // Nobody wanted it any more.
            Err(error) if matches!(error.as_ref(), LogError::CompactionCancelled { .. }) => {}
            Err(_) => self.failed_rewritings.increment(),
        }
    }
}
