//! Replacing the file by a shorter one beside the running log.
//!
//! Another thread writes the snapshot to `FILE.tmp` while the log goes on appending to the old file.
//! Then the log's thread copies what the old file has got since, syncs, renames, syncs the folder, and
//! goes on with the new file. Whatever happens before the rename, the old file is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::append::temporary_name;
use crate::create::RecordWriter;
use crate::file_system::read_full_at;
use crate::queue::{Item, Queue};
use crate::{Appender, LogError, LogFile, Replace};

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The old file's length in bytes.
    pub old_size: u64,
    /// The new file's length in bytes.
    pub new_size: u64,
    /// How many bytes of it were written by others meanwhile.
    pub copied: u64,
}

pub(crate) type Snapshot = Box<dyn FnOnce(&mut RecordWriter) -> Result<(), LogError> + Send>;
pub(crate) type CompactionDone = Box<dyn FnOnce(Result<Compacted, Arc<LogError>>) + Send>;

/// Asked for: waits in the queue behind the batches that its snapshot includes.
pub(crate) struct Compaction {
    pub(crate) snapshot: Snapshot,
    pub(crate) done: CompactionDone,
}

/// Written, and to be completed by the log's thread.
pub(crate) struct Built {
    file: Result<(RecordWriter, Arc<dyn LogFile>), LogError>,
    /// The old file's length when the snapshot was taken.
    since: u64,
    pub(crate) done: CompactionDone,
}

/// Starts the thread that writes the snapshot of everything in the file so far.
pub(crate) fn start(
    compaction: Compaction,
    appender: &Appender,
    queue: &Arc<Queue>,
    running: &Arc<AtomicBool>,
) -> Option<std::thread::JoinHandle<()>> {
    let (path, fs, magic, since) = (
        appender.path().to_path_buf(),
        appender.fs.clone(),
        appender.magic(),
        appender.len(),
    );
    let (queue, running) = (queue.clone(), running.clone());
    let span = appender.span().clone();
    let Compaction { snapshot, done } = compaction;
    let done_slot = Arc::new(std::sync::Mutex::new(Some(done)));
    let for_thread = done_slot.clone();
    let file = path.clone();
    let flag = running.clone();
    let spawned = std::thread::Builder::new()
        .name("ovsdb-compact".to_owned())
        .spawn(move || {
            let _span = span.entered();
            let Some(done) = for_thread.lock().ok().and_then(|mut slot| slot.take()) else {
                return;
            };
            let temporary = temporary_name(&path);
            let build = || -> Result<(RecordWriter, Arc<dyn LogFile>), LogError> {
                crate::append::remove_stale(&*fs, &path)?;
                let file = fs.create_new(&temporary, Some(&path)).map_err(|e| {
                    LogError::io(&temporary, "cannot create it for a compaction", e)
                })?;
                let mut writer = RecordWriter::new(temporary.clone(), file.clone(), magic);
                snapshot(&mut writer)?;
                writer.finish()?;
                Ok((writer, file))
            };
            let file = std::panic::catch_unwind(std::panic::AssertUnwindSafe(build))
                .unwrap_or_else(|_| Err(LogError::Encoder { file: path.clone() }));
            if file.is_err() {
                let _ = fs.remove(&temporary);
            }
            let Err(refused) = queue.push(Item::Built(Built { file, since, done }), true) else {
                return;
            };
            let _ = fs.remove(&temporary);
            running.store(false, Ordering::Release);
            if let Item::Built(built) = refused.0 {
                (built.done)(Err(Arc::new(LogError::CompactionCancelled { file: path })));
            }
        });
    spawned
        .inspect_err(|error| {
            flag.store(false, Ordering::Release);
            if let Some(done) = done_slot.lock().ok().and_then(|mut slot| slot.take()) {
                let source = std::io::Error::new(error.kind(), error.to_string());
                done(Err(Arc::new(LogError::Thread {
                    file,
                    answer: source,
                })));
            }
        })
        .ok()
}

/// The new file is in place, but a power cut could bring the old one back: nobody is told before that
/// has been put right.
pub(crate) struct Unsettled {
    compacted: Compacted,
    done: CompactionDone,
}

impl Unsettled {
    /// Tells how it ended.
    pub(crate) fn settle(self, result: Result<(), LogError>, running: &AtomicBool) {
        running.store(false, Ordering::Release);
        (self.done)(result.map(|()| self.compacted).map_err(Arc::new));
    }
}

/// Completes a compaction on the log's thread, between two rounds. `publish` shows the new file's sizes
/// before anybody is told that it is there.
pub(crate) fn complete(
    built: Built,
    appender: &mut Appender,
    running: &AtomicBool,
    publish: impl FnOnce(&Appender),
) -> Option<Unsettled> {
    let Built { file, since, done } = built;
    let result = file.and_then(|(writer, file)| {
        exchange(writer, file, since, appender).inspect_err(|_| {
            // Gone already if it was renamed.
            let _ = appender.fs.remove(&temporary_name(appender.path()));
        })
    });
    match result {
        Ok(compacted) if appender.needs_repair() => return Some(Unsettled { compacted, done }),
        result => {
            publish(appender);
            running.store(false, Ordering::Release);
            done(result.map_err(Arc::new));
        }
    }
    None
}

fn exchange(
    mut writer: RecordWriter,
    file: Arc<dyn LogFile>,
    since: u64,
    appender: &mut Appender,
) -> Result<Compacted, LogError> {
    // Synced first: what is read back below is then what is on disk.
    appender.sync()?;
    let (old_size, base) = (appender.len(), writer.finish()?.0);
    let mut at = since;
    let mut chunk = vec![0; 1 << 18];
    while at < old_size {
        let want = usize::try_from(old_size - at)
            .unwrap_or(chunk.len())
            .min(chunk.len());
        let got = read_full_at(&**appender.file(), &mut chunk[..want], at)
            .map_err(|e| LogError::io(appender.path(), format!("cannot read at offset {at}"), e))?;
        if got == 0 {
            return Err(LogError::Changed {
                file: appender.path().to_path_buf(),
                expected: old_size,
                found: at,
            });
        }
        writer.write_raw(&chunk[..got])?;
        at += got as u64;
    }
    let (new_size, _) = writer.finish()?;
    let temporary = temporary_name(appender.path());
    appender
        .fs
        .rename(&temporary, appender.path(), Replace::Yes)
        .map_err(|e| {
            LogError::io(
                appender.path(),
                "cannot replace it by the compacted file",
                e,
            )
        })?;
    appender.switch_to(file, new_size, base);
    Ok(Compacted {
        old_size,
        new_size,
        copied: old_size - since,
    })
}
