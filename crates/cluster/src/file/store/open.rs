//! Opening a clustered file, in two steps: look at what it says, then take it into use.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ovsdb_log::{
    Appender, Counters, End, FileSystem, Lock, Log, LogError, Magic, Options, Reader, SyncPolicy,
    Torn,
};

use super::memory::Memory;
use super::{Inner, Store};
use crate::file::create::Contents;
use crate::file::header::{Origin, Snapshot};
use crate::file::replay::{Replay, Replayed};

/// A locked clustered file that has been read, and not yet been written to.
#[derive(Debug)]
pub struct ClusterFile {
    fs: Arc<dyn FileSystem>,
    lock: Lock,
    end: End,
    replayed: Replayed,
    counters: Arc<Counters>,
}

impl ClusterFile {
    /// Reads the locked file.
    pub fn open(fs: Arc<dyn FileSystem>, lock: Lock) -> Result<ClusterFile, LogError> {
        let mut reader = Reader::open(&*fs, lock.file(), Some(Magic::Cluster))?;
        let replayed = Replay::read(&mut reader, lock.file())?;
        let end = reader.finish()?;
        Ok(ClusterFile {
            fs,
            lock,
            end,
            replayed,
            counters: Arc::default(),
        })
    }

    /// What happens to the file in use is counted there.
    pub fn counted(self, counters: Arc<Counters>) -> ClusterFile {
        ClusterFile { counters, ..self }
    }

    /// Makes a new file, where there is none.
    pub fn create(
        fs: Arc<dyn FileSystem>,
        lock: Lock,
        contents: &Contents,
    ) -> Result<ClusterFile, LogError> {
        let made = Appender::create(fs.clone(), lock, Magic::Cluster, |writer| {
            contents.write(writer)
        })?;
        let (lock, _) = made.into_parts();
        ClusterFile::open(fs, lock)
    }

    /// Puts a new file in the place of the locked one, whatever that is, atomically: a
    /// standalone database becomes the first member of a cluster.
    pub fn replace(
        fs: Arc<dyn FileSystem>,
        lock: Lock,
        contents: &Contents,
    ) -> Result<ClusterFile, LogError> {
        ovsdb_log::replace(&*fs, &lock, Magic::Cluster, |writer| contents.write(writer))?;
        ClusterFile::open(fs, lock)
    }

    /// What the file says.
    pub fn replayed(&self) -> &Replayed {
        &self.replayed
    }

    /// The file's path: absolute, links resolved.
    pub fn path(&self) -> &Path {
        self.lock.file()
    }

    /// What a crash left at the end, which [`ClusterFile::start`] drops; worth a word in the server's log.
    pub fn torn(&self) -> Option<&Torn> {
        self.end.torn.as_ref()
    }

    /// Puts a copy of it beside the file, and says both in words; none if the file is whole
    /// ([`Torn::save`]). Blocks.
    pub fn save_torn(&self) -> Option<String> {
        self.torn().map(|torn| torn.save(self.path()))
    }

    /// Gives the lock back, for who does not want the file.
    pub fn into_lock(self) -> Lock {
        self.lock
    }

    /// Takes the file into use. The snapshot's contents are the caller's now; the store does not keep them.
    ///
    /// `options.sync` does not matter: entries, terms and votes are always synced before they
    /// count as done, what is only good to know never.
    pub fn start(self, options: Options) -> Result<(Store, Option<Snapshot>), LogError> {
        let options = Options {
            sync: SyncPolicy::Asked,
            ..options
        };
        let appender = Appender::open(self.fs, self.lock, &self.end)?.counted(self.counters);
        let Replayed {
            header,
            term,
            vote,
            leader,
            entries,
            commit_index,
            left,
        } = self.replayed;
        let snapshot = match header.origin {
            Origin::Snapshot(snapshot) => Some(snapshot),
            Origin::Joining { .. } => None,
        };
        let memory = Memory {
            identity: header.identity,
            snapshot: snapshot.as_ref().map(|snapshot| snapshot.meta.clone()),
            entries,
            term,
            vote,
            leader,
            commit_index,
            commit_unwritten: false,
            left,
            stale_tail: false,
            replacing: None,
            held: None,
            failed: None,
        };
        let store = Store {
            inner: Arc::new(Inner {
                log: Log::start(appender, options)?,
                options,
                memory: Mutex::new(memory),
            }),
        };
        Ok((store, snapshot))
    }
}
