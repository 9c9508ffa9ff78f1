//! Writing a whole new file: beside the final name, synced, renamed, the folder synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::append::{folder_of, remove_stale, temporary_name};
use crate::file_system::write_all_at;
use crate::{Appender, End, FileSystem, Lock, LogError, LogFile, Magic, RecordBuffer, Replace};

const FLUSH: usize = 1 << 20;
/// Synced in pieces, so that a running log's syncs do not wait for a whole snapshot.
const SYNC_EVERY: u64 = 8 << 20;

/// Takes the records of a new file.
#[derive(Debug)]
pub struct RecordWriter {
    path: PathBuf,
    file: Arc<dyn LogFile>,
    buffer: RecordBuffer,
    written: u64,
    synced: u64,
    records: u64,
}

impl RecordWriter {
    pub(crate) fn new(path: PathBuf, file: Arc<dyn LogFile>, magic: Magic) -> RecordWriter {
        RecordWriter {
            path,
            file,
            buffer: RecordBuffer::new(magic),
            written: 0,
            synced: 0,
            records: 0,
        }
    }

    /// Adds one record; `encode` appends its JSON text, without a newline, to the empty vector it is given.
    pub fn record(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), LogError> {
        self.buffer.record(encode);
        if self.buffer.len() >= FLUSH {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        let buffer = std::mem::replace(&mut self.buffer, RecordBuffer::new(Magic::Json));
        let written = self.write_raw(buffer.as_bytes());
        self.records += buffer.records();
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    /// Writes bytes that are framed already.
    pub(crate) fn write_raw(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let failed = |e: io::Error| LogError::io(&self.path, "cannot write", e);
        write_all_at(&*self.file, bytes, self.written).map_err(failed)?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync_data().map_err(failed)?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Everything on disk; gives the length in bytes and the number of records.
    pub(crate) fn finish(&mut self) -> Result<(u64, u64), LogError> {
        self.flush()?;
        self.file
            .sync_all()
            .map_err(|e| LogError::io(&self.path, "cannot sync", e))?;
        self.synced = self.written;
        Ok((self.written, self.records))
    }
}

impl Appender {
    /// Makes a new file with the records that `write` gives (a schema, or a cluster header, first). At no
    /// time is there an incomplete file under the final name; one that exists is not overwritten.
    pub fn create(
        fs: Arc<dyn FileSystem>,
        lock: Lock,
        magic: Magic,
        write: impl FnOnce(&mut RecordWriter) -> Result<(), LogError>,
    ) -> Result<Appender, LogError> {
        let path = lock.file().to_path_buf();
        let failed = |e| LogError::io(&path, "cannot create the database", e);
        if fs.exists(&path).map_err(failed)? {
            return Err(LogError::Exists { file: path });
        }
        remove_stale(&*fs, &path)?;
        let temporary = temporary_name(&path);
        let made = fill(&*fs, &path, &temporary, magic, Replace::No, write);
        let (file, end, records) = made.inspect_err(|_| {
            let _ = fs.remove(&temporary);
        })?;
        let folder = folder_of(&path);
        fs.sync_folder(&folder)
            .map_err(|e| LogError::io(&folder, "cannot sync the folder", e))?;
        Appender::at(fs, lock, file, magic, end, end, records)
    }
}

/// Replaces a locked file, of which nobody has an [`Appender`], by a new one with the records that `write`
/// gives: atomically, and as it was on an error. Only that the change of names survives a power
/// cut is left to [`Appender::open`].
pub fn replace(
    fs: &dyn FileSystem,
    lock: &Lock,
    magic: Magic,
    write: impl FnOnce(&mut RecordWriter) -> Result<(), LogError>,
) -> Result<End, LogError> {
    let path = lock.file();
    remove_stale(fs, path)?;
    let temporary = temporary_name(path);
    let made = fill(fs, path, &temporary, magic, Replace::Yes, write);
    let (_, end, records) = made.inspect_err(|_| {
        let _ = fs.remove(&temporary);
    })?;
    let folder = folder_of(path);
    if let Err(error) = fs.sync_folder(&folder) {
        let error = LogError::io(&folder, "cannot sync the folder", error);
        tracing::warn!("{error}; trying again before the file is written to");
    }
    Ok(End {
        magic,
        offset: end,
        records,
        base: end,
        file_len: end,
        torn: None,
    })
}

type Made = (Arc<dyn LogFile>, u64, u64);

fn fill(
    fs: &dyn FileSystem,
    path: &Path,
    temporary: &Path,
    magic: Magic,
    replace: Replace,
    write: impl FnOnce(&mut RecordWriter) -> Result<(), LogError>,
) -> Result<Made, LogError> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::AlreadyExists => LogError::Exists {
            file: path.to_path_buf(),
        },
        _ => LogError::io(path, "cannot write the database's new file", e),
    };
    let like = (replace == Replace::Yes).then_some(path);
    let file = fs.create_new(temporary, like).map_err(failed)?;
    let mut writer = RecordWriter::new(temporary.to_path_buf(), file.clone(), magic);
    write(&mut writer)?;
    let (end, records) = writer.finish()?;
    fs.rename(temporary, path, replace).map_err(failed)?;
    Ok((file, end, records))
}
