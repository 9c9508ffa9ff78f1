//! Writing a standalone file, so that at no moment half of one has its name.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use ovsdb_engine::Version;
use ovsdb_log::{Appender, Disk, FileSystem, Lock, Magic, RecordWriter, replace};
use ovsdb_server::standalone::write_whole;

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// Writes a database with its contents; its size in bytes. It is on the disk then. Blocks.
///
/// # Errors
/// Also if a server uses a file of that name.
pub fn write(
    path: &Path,
    version: &Version,
    comment: &str,
    existing: Existing,
) -> anyhow::Result<u64> {
    let disk: Arc<dyn FileSystem> = Arc::new(Disk);
    let lock = Lock::acquire(path)?;
    let whole = |writer: &mut RecordWriter| write_whole(writer, version, comment);
    let there = disk
        .exists(lock.file())
        .with_context(|| format!("{}: cannot be looked at", path.display()))?;
    let written = if there && existing == Existing::Replace {
        let end = replace(&*disk, &lock, Magic::Json, whole)?;
        // That syncs the folder, too.
        Appender::open(disk, lock, &end)?
    } else {
        Appender::create(disk, lock, Magic::Json, whole)?
    };
    Ok(written.len())
}
