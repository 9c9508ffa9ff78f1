//! Appending to a valid file so that it stays one, whatever fails.
//!
//! After a failed sync the kernel may have dropped the dirty pages and call them clean, so the next sync
//! would succeed without having written them. Everything since the last good sync (from the beginning
//! of its last block) is therefore kept in memory and written again before the file is used further.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::Span;

use crate::file_system::{read_full_at, write_all_at};
use crate::{Access, Counters, End, FileSystem, Lock, LogError, LogFile, Magic, RecordBuffer};

const BLOCK: u64 = 4096;

/// The end of a valid, locked file.
#[derive(Debug)]
pub struct Appender {
    pub(crate) fs: Arc<dyn FileSystem>,
    lock: Lock,
    file: Arc<dyn LogFile>,
    magic: Magic,
    base: u64,
    records: u64,
    end: u64,
    synced: u64,
    /// The bytes `[tail_at, end)`; `tail_at` is the beginning of the block that `synced` lies in.
    tail: Vec<u8>,
    tail_at: u64,
    broken: bool,
    folder_unsynced: bool,
    pub(crate) counters: Arc<Counters>,
    /// What the lines about this file are in.
    span: Span,
}

impl Appender {
    /// Opens the locked file for appending at the end that a [`Reader`](crate::Reader) found: cuts a torn
    /// end off, removes what an interrupted compaction left, and syncs the file and its folder, so that
    /// what was replayed is on disk, under this name, before anybody acts on it.
    pub fn open(fs: Arc<dyn FileSystem>, lock: Lock, end: &End) -> Result<Appender, LogError> {
        let path = lock.file().to_path_buf();
        let failed = |error| LogError::io(&path, "cannot open the database for writing", error);
        let file = fs.open(&path, Access::ReadWrite).map_err(failed)?;
        let found = file.len().map_err(failed)?;
        if found != end.file_len {
            return Err(LogError::Changed {
                file: path,
                expected: end.file_len,
                found,
            });
        }
        remove_stale(&*fs, &path)?;
        if end.torn.is_some() {
            file.truncate(end.offset)
                .map_err(|e| LogError::io(&path, "cannot cut the torn end off", e))?;
        }
        file.sync_data()
            .map_err(|e| LogError::io(&path, "cannot sync", e))?;
        // Whoever wrote it may have been killed between its rename and the folder's sync.
        let folder = folder_of(&path);
        fs.sync_folder(&folder)
            .map_err(|e| LogError::io(&folder, "cannot sync the folder", e))?;
        Appender::at(fs, lock, file, end.magic, end.offset, end.base, end.records)
    }

    pub(crate) fn at(
        fs: Arc<dyn FileSystem>,
        lock: Lock,
        file: Arc<dyn LogFile>,
        magic: Magic,
        end: u64,
        base: u64,
        records: u64,
    ) -> Result<Appender, LogError> {
        let (tail, tail_at) = last_block(&*file, lock.file(), end)?;
        Ok(Appender {
            fs,
            lock,
            file,
            magic,
            base,
            records,
            end,
            synced: end,
            tail,
            tail_at,
            broken: false,
            folder_unsynced: false,
            counters: Arc::default(),
            span: Span::current(),
        })
    }

    /// What happens from now on is counted there.
    pub fn counted(self, counters: Arc<Counters>) -> Appender {
        Appender { counters, ..self }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn set_span(&mut self, span: Span) {
        self.span = span;
    }

    /// The file's path: absolute, links resolved.
    pub fn path(&self) -> &Path {
        self.lock.file()
    }

    /// The kind of file.
    pub fn magic(&self) -> Magic {
        self.magic
    }

    /// The length of the valid file, in bytes.
    pub fn len(&self) -> u64 {
        self.end
    }

    /// Never: a valid file has at least one record.
    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// How far the file is known to be on disk, in bytes.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// The size after the last compaction, in bytes (see [`End::base`]).
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Records read and written since the file was opened.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether an earlier failure still has to be repaired, which the next append tries first.
    pub fn needs_repair(&self) -> bool {
        self.broken || self.folder_unsynced
    }

    /// Gives the lock back, and where the file ends: for a file that has just been made.
    pub fn into_parts(self) -> (Lock, End) {
        let end = End {
            magic: self.magic,
            offset: self.end,
            records: self.records,
            base: self.base,
            file_len: self.end,
            torn: None,
        };
        (self.lock, end)
    }

    pub(crate) fn file(&self) -> &Arc<dyn LogFile> {
        &self.file
    }

    /// Appends the records in one write, not synced. On an error nothing of them stays.
    pub fn append(&mut self, records: &RecordBuffer) -> Result<(), LogError> {
        self.repair()?;
        let bytes = records.as_bytes();
        if let Err(e) = write_all_at(&*self.file, bytes, self.end) {
            let error = LogError::io(
                self.path(),
                format!("cannot write {} bytes at offset {}", bytes.len(), self.end),
                e,
            );
            self.broken = true;
            self.counters.failures.increment();
            self.repair_or_warn();
            return Err(error);
        }
        self.counters.appended.add(bytes.len() as u64);
        self.tail.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        self.records += records.records();
        Ok(())
    }

    /// Puts everything that was appended on disk. fdatasync is enough: it covers the length, and nobody
    /// needs the times. After an error the caller says with [`roll_back`](Self::roll_back) what stays.
    pub fn sync(&mut self) -> Result<(), LogError> {
        if self.needs_repair() {
            return self.repair();
        }
        if self.synced == self.end {
            return Ok(());
        }
        match self.counters.sync(|| self.file.sync_data()) {
            Ok(()) => {
                self.note_synced();
                Ok(())
            }
            Err(e) => {
                self.broken = true;
                self.counters.failures.increment();
                Err(LogError::io(self.path(), "cannot sync", e))
            }
        }
    }

    /// Gives up what was appended behind offset `to` (bytes; not less than [`synced`](Self::synced)) and
    /// repairs the file if it can; if not, the next append tries again.
    pub fn roll_back(&mut self, to: u64) {
        let to = to.clamp(self.synced, self.end);
        self.tail
            .truncate(usize::try_from(to - self.tail_at).unwrap_or(usize::MAX));
        self.end = to;
        self.broken = true;
        self.repair_or_warn();
    }

    /// Brings the file back to its valid contents after a failure, and on disk. Nothing to do otherwise.
    pub fn repair(&mut self) -> Result<(), LogError> {
        let repaired = self.try_to_repair();
        if repaired.is_err() {
            self.counters.failures.increment();
        }
        repaired
    }

    fn try_to_repair(&mut self) -> Result<(), LogError> {
        if self.folder_unsynced {
            let folder = folder_of(self.path());
            self.fs
                .sync_folder(&folder)
                .map_err(|e| LogError::io(&folder, "cannot sync the folder", e))?;
            self.folder_unsynced = false;
        }
        if self.broken {
            self.restore()
                .map_err(|e| LogError::io(self.path(), "cannot repair after a failed write", e))?;
            self.broken = false;
            self.note_synced();
        }
        Ok(())
    }

    fn repair_or_warn(&mut self) {
        if let Err(error) = self.repair() {
            tracing::warn!(parent: &self.span, "{error}; trying again before the next write");
        }
    }

    fn restore(&self) -> io::Result<()> {
        // Never below `end`: acknowledged bytes are overwritten with themselves, not removed.
        self.file.truncate(self.end)?;
        write_all_at(&*self.file, &self.tail, self.tail_at)?;
        self.counters.sync(|| self.file.sync_data())
    }

    fn note_synced(&mut self) {
        self.synced = self.end;
        let keep_from = self.synced / BLOCK * BLOCK;
        let gone = usize::try_from(keep_from.saturating_sub(self.tail_at)).unwrap_or(usize::MAX);
        self.tail.drain(..gone.min(self.tail.len()));
        self.tail.shrink_to(1 << 20);
        self.tail_at = keep_from;
    }

    /// Goes on with a file that has just been renamed over the old one. Until the folder is synced
    /// nothing can be appended, as a power cut could bring the old file back; if that fails it
    /// is tried again like every repair.
    pub(crate) fn switch_to(&mut self, file: Arc<dyn LogFile>, end: u64, base: u64) {
        self.file = file;
        (self.end, self.synced, self.base) = (end, end, base);
        (self.tail, self.tail_at) = (Vec::new(), end / BLOCK * BLOCK);
        self.folder_unsynced = true;
        match last_block(&*self.file, self.lock.file(), end) {
            Ok((tail, at)) => (self.tail, self.tail_at) = (tail, at),
            // Without the block's bytes, repairs start at the end itself.
            Err(_) => self.tail_at = end,
        }
        self.repair_or_warn();
    }
}

fn last_block(file: &dyn LogFile, path: &Path, end: u64) -> Result<(Vec<u8>, u64), LogError> {
    let at = end / BLOCK * BLOCK;
    let mut tail = vec![0; usize::try_from(end - at).unwrap_or(0)];
    let got = read_full_at(file, &mut tail, at)
        .map_err(|e| LogError::io(path, format!("cannot read at offset {at}"), e))?;
    if got < tail.len() {
        return Err(LogError::Changed {
            file: path.to_path_buf(),
            expected: end,
            found: at + got as u64,
        });
    }
    Ok((tail, at))
}

pub(crate) fn folder_of(path: &Path) -> PathBuf {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// The name that the reference uses for a file that is to replace the database.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

pub(crate) fn remove_stale(fs: &dyn FileSystem, path: &Path) -> Result<(), LogError> {
    let stale = temporary_name(path);
    match fs.remove(&stale) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LogError::io(
            &stale,
            "cannot remove what an interrupted compaction left",
            e,
        )),
        _ => Ok(()),
    }
}
