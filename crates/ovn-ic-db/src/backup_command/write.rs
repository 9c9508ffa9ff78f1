//! Writing a standalone file, so that at no moment half of one has its name.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use ovsdb_engine::Version;
use ovsdb_log::{Appender, Disk, FileSystem, Lock, Magic, RecordWriter, replace};
use ovsdb_server::standalone::write_whole;

use super::owner::give;
use crate::progress::Progress;
use crate::{lock_file, process};

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// Writes one for somebody at a terminal; its size in bytes. A new file is the folder owner's ([`give`]),
/// one in another one's place belongs to whom that one did. Blocks.
///
/// # Errors
/// As [`write()`].
pub fn put(
    path: &Path,
    version: &Version,
    comment: &str,
    existing: Existing,
) -> anyhow::Result<u64> {
    let progress = Progress::wait(format!("{} is written", path.display()));
    let new = !path.try_exists().unwrap_or(true);
    let written = write(path, version, comment, existing);
    progress.end();
    let size = written?;
    let made = new.then(|| path.to_owned()).into_iter();
    for made in made.chain([lock_file::of(path)]) {
        if let Err(error) = give(&made) {
            let name = made.display();
            let words = format!("{name}: cannot be given to the folder's owner: {error}");
            process::fail(&words, ExitCode::SUCCESS);
        }
    }
    Ok(size)
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
