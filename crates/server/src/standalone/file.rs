//! Opening, making and rewriting a database file, before it is served.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::Version;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_log::{
    Appender, Disk, End, FileSystem, Lock, Log, LogError, Magic, Options, Reader, SyncPolicy, Torn,
};

use super::keeper::Standalone;
use super::record::write_whole;

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

/// What becomes of a record that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leniency {
    /// The file is not used.
    None,
    /// It and all behind it is dropped, as the reference does.
    DropRest,
}

/// A locked database file with its contents, not yet written to.
#[derive(Debug)]
pub struct File {
    fs: Arc<dyn FileSystem>,
    lock: Lock,
    end: End,
    version: Version,
}

impl File {
    /// Locks and replays a file. Nothing on disk is changed.
    pub fn open(path: &Path) -> Result<File, OpenError> {
        File::open_on(Arc::new(Disk), path)
    }

    /// The same on any file system.
    pub fn open_on(fs: Arc<dyn FileSystem>, path: &Path) -> Result<File, OpenError> {
        File::open_with(fs, path, Leniency::None)
    }

    /// The same, with leniency for records that make no sense.
    pub fn open_with(
        fs: Arc<dyn FileSystem>,
        path: &Path,
        leniency: Leniency,
    ) -> Result<File, OpenError> {
        let lock = Lock::acquire(path)?;
        let (version, end) = match (replay(&*fs, lock.file(), None), leniency) {
            (Err(OpenError::Record { offset, error, .. }), Leniency::DropRest) if offset > 0 => {
                replay(&*fs, lock.file(), Some((offset, &error)))?
            }
            (outcome, _) => outcome?,
        };
        Ok(File {
            fs,
            lock,
            end,
            version,
        })
    }

    /// Makes a new file of a schema, without rows.
    pub fn create(path: &Path, schema: Arc<Schema>) -> Result<File, OpenError> {
        File::create_on(Arc::new(Disk), path, schema)
    }

    /// The same on any file system.
    pub fn create_on(
        fs: Arc<dyn FileSystem>,
        path: &Path,
        schema: Arc<Schema>,
    ) -> Result<File, OpenError> {
        let lock = Lock::acquire(path)?;
        let made = Appender::create(fs.clone(), lock, Magic::Json, |writer| {
            writer.record(|out| schema.write_json(out))
        })?;
        let (lock, end) = made.into_parts();
        Ok(File {
            fs,
            lock,
            end,
            version: Version::empty(schema),
        })
    }

    /// The contents.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The file: absolute, links resolved.
    pub fn path(&self) -> &Path {
        self.lock.file()
    }

    /// Gives the lock back, for who puts another file in its place.
    pub fn into_lock(self) -> Lock {
        self.lock
    }

    /// What is not whole at the file's end, and will be dropped by starting.
    pub fn torn(&self) -> Option<&Torn> {
        self.end.torn.as_ref()
    }

    /// Puts a copy of what starting will drop beside the file, and says both in words; none if the
    /// file is whole ([`Torn::save`]). Blocks.
    pub fn save_torn(&self) -> Option<String> {
        self.torn().map(|torn| torn.save(self.path()))
    }

    /// Replaces the contents by `version`, under its schema, before the file is served. On an error
    /// the file and what is in memory are as they were. Blocks.
    pub fn rewrite(&mut self, version: Version) -> Result<(), OpenError> {
        self.end = ovsdb_log::replace(&*self.fs, &self.lock, Magic::Json, |writer| {
            write_whole(writer, &version, "converted to another schema")
        })?;
        self.version = version;
        Ok(())
    }

    /// Starts the log: from now on transactions can be kept.
    pub fn start(self, sync: SyncPolicy) -> Result<(Version, Arc<Standalone>), OpenError> {
        self.start_with(Options {
            sync,
            ..Options::default()
        })
    }

    /// The same with other bounds.
    pub fn start_with(self, options: Options) -> Result<(Version, Arc<Standalone>), OpenError> {
        let appender = Appender::open(self.fs, self.lock, &self.end)?;
        let log = Log::start(appender, options)?;
        let keeper = Standalone::new(log, options.sync, self.version.schema().clone());
        Ok((self.version, keeper))
    }
}

/// Reads a file from its beginning to its end, or to a record at some offset with this error.
fn replay(
    fs: &dyn FileSystem,
    path: &Path,
    until: Option<(u64, &Error)>,
) -> Result<(Version, End), OpenError> {
    let wrong = |offset, error| OpenError::Record {
        path: path.to_path_buf(),
        offset,
        error,
    };
    let mut reader = Reader::open(fs, path, Some(Magic::Json))?;
    let mut version: Option<Version> = None;
    while let Some(record) = reader.next_record()? {
        let offset = record.offset;
        if let Some((until, error)) = until
            && offset == until
        {
            reader.drop_last(error.to_string());
            break;
        }
        let next = match version.take() {
            None => Schema::from_text(record.json).map(|schema| Version::empty(Arc::new(schema))),
            Some(version) => apply(version, record.json),
        };
        version = Some(next.map_err(|error| wrong(offset, error))?);
    }
    // A file with a torn first record is damaged to the reader already.
    let version = version.ok_or_else(|| LogError::Empty {
        file: path.to_path_buf(),
    })?;
    Ok((version, reader.finish()?))
}

fn apply(version: Version, text: &[u8]) -> Result<Version, Error> {
    let document =
        Document::parse(text).map_err(|error| Error::new(Tag::SyntaxError, error.to_string()))?;
    let next = record::replay(
        version,
        document.root(),
        Strictness::Exact,
        &mut Uuid::new_v4,
    )?;
    Ok(next.0)
}
