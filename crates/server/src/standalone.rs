//! A standalone database's file: opened, replayed, and kept by one log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb::{Error, Schema};
use ovsdb_engine::Version;
use ovsdb_log::{LogError, Status, SyncPolicy, Torn};

use crate::ordering::{Done, Ordering, Proposal};

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file, its lock or its framing.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record that is not what it should be.
    #[error("{path}: record at offset {offset}: {error}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Where the record begins, in bytes.
        offset: u64,
        /// What is wrong.
        error: Error,
    },
}

/// A locked database file with its contents, not yet written to.
pub struct File {}

impl File {
    /// Locks and replays a file. Nothing on disk is changed.
    pub fn open(path: &Path) -> Result<File, OpenError> {
        let _ = path;
        todo!()
    }

    /// Makes a new file of a schema, without rows.
    pub fn create(path: &Path, schema: Arc<Schema>) -> Result<File, OpenError> {
        let _ = (path, schema);
        todo!()
    }

    /// The contents.
    pub fn version(&self) -> &Version {
        todo!()
    }

    /// The file: absolute, links resolved.
    pub fn path(&self) -> &Path {
        todo!()
    }

    /// A torn last record that starting will drop. Worth a log line.
    pub fn torn(&self) -> Option<&Torn> {
        todo!()
    }

    /// Replaces the contents by `version`, under its schema, before the file is served. On an error
    /// the file and what is in memory are as they were. Blocks.
    pub fn rewrite(&mut self, version: Version) -> Result<(), OpenError> {
        let _ = version;
        todo!()
    }

    /// Starts the log: from now on transactions can be kept.
    pub fn start(self, sync: SyncPolicy) -> Result<(Version, Arc<Standalone>), OpenError> {
        let _ = sync;
        todo!()
    }
}

/// Keeps a database in its file.
pub struct Standalone {}

impl Standalone {
    /// The file's figures.
    pub fn status(&self) -> Status {
        todo!()
    }

    /// True if the reference's rules say that the file should be compacted now. Cheap; ask every
    /// few seconds. The answer is `true` once; say with [`Standalone::compacted`] how it went.
    pub fn compaction_due(&self) -> bool {
        todo!()
    }

    /// A compaction, asked for or by schedule, is over.
    pub fn compacted(&self, succeeded: bool) {
        let _ = succeeded;
        todo!()
    }

    /// Tries again to write what was acknowledged before its write failed. Call it about once a second.
    pub fn tick(&self) {
        todo!()
    }

    /// Writes what waits, syncs, and closes the file.
    pub fn close(&self) -> Result<(), LogError> {
        todo!()
    }
}

impl Ordering for Arc<Standalone> {
    fn propose(&self, proposal: Proposal) {
        let _ = proposal;
        todo!()
    }

    fn resume(&self) {
        todo!()
    }

    fn replace(&self, version: Version, done: Done) {
        let _ = (version, done);
        todo!()
    }
}
