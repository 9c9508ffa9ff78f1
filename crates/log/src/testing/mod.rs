//! A simulated disk with a page cache, for tests of everything that keeps a log: it loses at a power
//! cut what was not synced, tears writes, runs full, and fails in the ways that real disks do.
//!
//! A [`SimulatedDisk`] outlives the machine's crashes. [`SimulatedDisk::mount`] gives the
//! [`FileSystem`] of one life of the machine: after a [`SimulatedDisk::cut_power`] or
//! [`SimulatedDisk::kill`] everything that belongs to that life fails, and the next life mounts anew.

mod contents;
mod names;
mod random;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Access, FileSystem, LogFile, Replace};
use contents::Contents;
use names::{NameChange, Names};
pub use random::Random;

/// In what order unsynced writes reach the disk by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writeback {
    /// As they were made, so that a power cut leaves a part of them from the beginning, the last one
    /// torn at any byte, and perhaps zeros behind it.
    InOrder,
    /// Any sector before any other.
    AnyOrder,
}

/// What fails, in percent of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Writes that fail, after a part of the bytes.
    pub write: u8,
    /// Syncs that fail. What was unsynced is then lost or not, and called clean in either case.
    pub sync: u8,
    /// Renames that fail.
    pub rename: u8,
    /// Syncs of folders that fail.
    pub folder_sync: u8,
    /// How many bytes there is room for in all files together, if there is a limit.
    pub space: Option<u64>,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<u64, Contents>,
    next_file: u64,
    names: Names,
    faults: Faults,
    random: Random,
    writeback: Writeback,
    /// Which life of the machine it is.
    life: u64,
}

/// A disk that outlives crashes.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// An empty disk. The seed decides which calls fail, and what a power cut leaves.
    pub fn new(seed: u64, writeback: Writeback) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            next_file: 0,
            names: Names::default(),
            faults: Faults::default(),
            random: Random::new(seed),
            writeback,
            life: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file system, until the next power cut or kill.
    pub fn mount(&self) -> Arc<Mounted> {
        Arc::new(Mounted {
            disk: self.clone(),
            life: self.state().life,
        })
    }

    /// What fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The power goes and comes back: whatever was not synced is there, or not, or in part.
    pub fn cut_power(&self) {
        let mut state = self.state();
        let State {
            files,
            names,
            random,
            writeback,
            ..
        } = &mut *state;
        names.cut_power(random);
        files.retain(|file, _| names.has(*file));
        for contents in files.values_mut() {
            contents.cut_power(*writeback, random);
        }
        state.life += 1;
    }

    /// The process that uses the disk is killed: the page cache stays.
    pub fn kill(&self) {
        self.state().life += 1;
    }

    /// A file's contents as a process reads them.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.names.get(path)?;
        state
            .files
            .get(&file)
            .map(|contents| contents.cached.clone())
    }

    /// Puts a file there, synced.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, Contents::synced(bytes));
        state
            .names
            .change(NameChange::Create(path.to_path_buf(), file));
        state.names.sync();
    }
}

impl State {
    fn hits(&mut self, percent: u8) -> bool {
        percent > 0 && self.random.below(100) < u64::from(percent)
    }

    fn room(&self) -> u64 {
        let used: usize = self
            .files
            .values()
            .map(|contents| contents.cached.len())
            .sum();
        self.faults
            .space
            .map_or(u64::MAX, |space| space.saturating_sub(used as u64))
    }
}

/// One life's view of a [`SimulatedDisk`].
#[derive(Clone, Debug)]
pub struct Mounted {
    disk: SimulatedDisk,
    life: u64,
}

impl Mounted {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("this life of the machine is over"))
        }
    }

    fn opened(&self, file: u64) -> Arc<dyn LogFile> {
        Arc::new(SimulatedFile {
            mounted: self.clone(),
            file,
        })
    }
}

impl FileSystem for Mounted {
    fn open(&self, path: &Path, _: Access) -> io::Result<Arc<dyn LogFile>> {
        let file = self.state()?.names.get(path);
        file.map(|file| self.opened(file))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_new(&self, path: &Path, _: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state()?;
        if state.names.get(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, Contents::default());
        state
            .names
            .change(NameChange::Create(path.to_path_buf(), file));
        Ok(self.opened(file))
    }

    fn rename(&self, from: &Path, to: &Path, replace: Replace) -> io::Result<()> {
        let mut state = self.state()?;
        if state.names.get(from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if replace == Replace::No && state.names.get(to).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let percent = state.faults.rename;
        if state.hits(percent) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        state
            .names
            .change(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        if state.names.get(path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.change(NameChange::Remove(PathBuf::from(path)));
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.state()?.names.get(path).is_some())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        let percent = state.faults.folder_sync;
        if state.hits(percent) {
            return Err(io::Error::from_raw_os_error(5));
        }
        state.names.sync();
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    mounted: Mounted,
    file: u64,
}

impl SimulatedFile {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut Contents, &mut Random) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.mounted.state()?;
        let State { files, random, .. } = &mut *state;
        match files.get_mut(&self.file) {
            Some(contents) => act(contents, random),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn fails(&self, percent: impl Fn(&Faults) -> u8) -> io::Result<bool> {
        let mut state = self.mounted.state()?;
        let percent = percent(&state.faults);
        Ok(state.hits(percent))
    }
}

impl LogFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|contents, _| Ok(contents.cached.len() as u64))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|contents, random| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let found = contents.cached.get(start..).unwrap_or_default();
            let mut most = found.len().min(buf.len());
            // A short read now and then.
            if most > 1 && random.below(20) == 0 {
                most = 1 + random.index(most - 1);
            }
            buf[..most].copy_from_slice(&found[..most]);
            Ok(most)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let fails = self.fails(|faults| faults.write)?;
        let room = self.mounted.state()?.room();
        self.with(|contents, random| {
            let end = offset + bytes.len() as u64;
            let more = end.saturating_sub(contents.cached.len() as u64);
            let lacking = usize::try_from(more.saturating_sub(room)).unwrap_or(usize::MAX);
            let mut most = bytes.len().saturating_sub(lacking);
            if fails && lacking == 0 {
                most = random.index(bytes.len() + 1);
                contents.write(offset, &bytes[..most]);
                return Err(io::Error::from_raw_os_error(5));
            }
            if most == 0 && !bytes.is_empty() {
                return Err(io::Error::from_raw_os_error(28));
            }
            // A short write now and then.
            if most > 1 && random.below(20) == 0 {
                most = 1 + random.index(most - 1);
            }
            contents.write(offset, &bytes[..most]);
            Ok(most)
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|contents, _| {
            contents.set_length(len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let fails = self.fails(|faults| faults.sync)?;
        self.with(|contents, random| {
            if fails {
                contents.fail_sync(random);
                return Err(io::Error::from_raw_os_error(5));
            }
            contents.sync();
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
