//! Pid files that are locked while their process lives, so that the reference's tools and a second
//! server tell a running process from a stale file (ovs-vswitchd(8), `--pidfile`).

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};

/// The pid files of this process, by device and inode. POSIX locks do not exclude the own process,
/// and closing any descriptor of a file drops its locks: an own pid file must not be opened again.
static HELD: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

type FileId = (u64, u64);

/// Why there is no pid file.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// A live process holds it.
    #[error("{path}: already running as pid {pid}, aborting")]
    Running {
        /// The pid file.
        path: PathBuf,
        /// Its process.
        pid: u32,
    },
    /// Another process makes it right now.
    #[error("{path}: another process is starting with this pid file")]
    Starting {
        /// The pid file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: {what} failed ({error})")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// A pid file of this process, removed when dropped if it is still the same file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Open for as long as it is locked.
    file: Option<File>,
    id: FileId,
}

fn id_of(found: &Metadata) -> FileId {
    (found.dev(), found.ino())
}

impl PidFile {
    /// Writes this process's id to `path`. A file that no process has locked is replaced.
    pub fn create(path: &Path) -> Result<PidFile, PidFileError> {
        PidFile::make(path, false)
    }

    /// The same, but takes the place of one that a live process has locked.
    pub fn overwrite(path: &Path) -> Result<PidFile, PidFileError> {
        PidFile::make(path, true)
    }

    fn make(path: &Path, overwrite: bool) -> Result<PidFile, PidFileError> {
        // Held throughout, so that no two threads make the same file.
        let mut held = HELD.lock();
        let temporary = {
            let mut name = path.as_os_str().to_owned();
            name.push(".tmp");
            PathBuf::from(name)
        };
        let failed = |what| {
            let path = temporary.clone();
            move |error: io::Error| PidFileError::Io { path, what, error }
        };
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&temporary)
            .map_err(failed("create"))?;
        let starting = || PidFileError::Starting {
            path: path.to_path_buf(),
        };
        try_lock(&file)
            .map_err(failed("lock"))?
            .then_some(())
            .ok_or_else(starting)?;
        let id = id_of(&file.metadata().map_err(failed("stat"))?);
        // Whoever held the lock just before us has renamed the file that we opened.
        if !std::fs::symlink_metadata(&temporary).is_ok_and(|found| id_of(&found) == id) {
            return Err(starting());
        }
        let free = match overwrite {
            true => Ok(()),
            false => remove_stale(path, &held),
        };
        let written = free.and_then(|()| {
            file.set_len(0).map_err(failed("truncate"))?;
            file.write_all(format!("{}\n", std::process::id()).as_bytes())
                .map_err(failed("write"))?;
            std::fs::rename(&temporary, path).map_err(failed("rename"))
        });
        if let Err(error) = written {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        held.push(id);
        crate::own_files::add(path, id);
        Ok(PidFile {
            path: path.to_path_buf(),
            file: Some(file),
            id,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let mut held = HELD.lock();
        crate::own_files::remove(&self.path, self.id);
        self.file = None;
        held.retain(|id| *id != self.id);
    }
}

/// False if another process has the lock.
fn try_lock(file: &File) -> io::Result<bool> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes a pid file whose process has gone; an error if it lives.
fn remove_stale(path: &Path, held: &[FileId]) -> Result<(), PidFileError> {
    let failed = |what| {
        move |error| PidFileError::Io {
            path: path.to_path_buf(),
            what,
            error,
        }
    };
    match std::fs::metadata(path) {
        Ok(found) if held.contains(&id_of(&found)) => {
            return Err(PidFileError::Running {
                path: path.to_path_buf(),
                pid: std::process::id(),
            });
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("stat")(e)),
    }
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(failed("open"))?;
    if !try_lock(&file).map_err(failed("lock"))? {
        return Err(PidFileError::Running {
            path: path.to_path_buf(),
            pid: holder(&file),
        });
    }
    // Only who has it locked may remove it, and only while it has the name.
    let id = id_of(&file.metadata().map_err(failed("stat"))?);
    if !std::fs::metadata(path).is_ok_and(|found| id_of(&found) == id) {
        return Err(PidFileError::Starting {
            path: path.to_path_buf(),
        });
    }
    std::fs::remove_file(path).map_err(failed("remove"))
}

/// The process that has the lock, or else the one that the file names.
fn holder(mut file: &File) -> u32 {
    if let Ok(Some(lock)) = fcntl_getlk(file, &Flock::from(FlockType::WriteLock))
        && let Some(pid) = lock.pid
    {
        return pid.as_raw_nonzero().get().unsigned_abs();
    }
    let mut text = String::new();
    let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut text);
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_pid_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.pid"), folder.path().join("b.pid"));
        std::fs::write(&a, "999999\n").unwrap();
        let first = PidFile::create(&a).expect("stale");
        let other = PidFile::create(&b).expect("another");
        assert_eq!(
            std::fs::read_to_string(&a).unwrap(),
            format!("{}\n", std::process::id())
        );
        let error = PidFile::create(&a).expect_err("ours").to_string();
        assert!(
            error.contains(&format!("already running as pid {}", std::process::id())),
            "{error}"
        );
        drop(first);
        assert!(!a.exists() && b.exists());
        drop(PidFile::create(&a).expect("free again"));
        drop(other);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn anothers_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        let first = PidFile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(first);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
    }
}
