//! The reference's own lock: a POSIX write lock on `.FILE.~lock~` in the file's folder, so that its
//! `ovsdb-server` and `ovsdb-tool` and this server keep each other off a database.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::{Holder, LogError, resolve};

/// The lock files that this process holds, by device and inode. POSIX locks do not exclude the own
/// process, and closing *any* descriptor of a lock file drops the lock: a lock file that we hold must
/// not even be opened a second time.
static HELD: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn held() -> MutexGuard<'static, Vec<(u64, u64)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A database file that belongs to us alone until this is dropped.
///
/// The lock file stays behind (as in the reference: removing it would let two holders each lock an
/// inode of their own).
#[derive(Debug)]
pub struct Lock {
    file: PathBuf,
    /// The open lock file and its registry entry; taken when dropped.
    guard: Option<(File, (u64, u64))>,
}

impl Lock {
    /// Locks the database that `path` names (it need not exist, but its folder must). Does not wait:
    /// a database in use is [`LogError::Locked`], with the holder's process id.
    pub fn acquire(path: &Path) -> Result<Lock, LogError> {
        let file = resolve(path);
        let lock_file = lock_file_of(&file)?;
        let refused = |holder| LogError::Locked {
            file: path.to_path_buf(),
            lock_file: lock_file.clone(),
            holder,
        };
        let failed = |error| LogError::io(&lock_file, "cannot open the lock file", error);

        let mut held = held();
        match std::fs::metadata(&lock_file) {
            Ok(found) if held.contains(&(found.dev(), found.ino())) => {
                return Err(refused(Holder::Ourselves));
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        let opened = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_file)
            .map_err(failed)?;
        let found = opened.metadata().map_err(failed)?;
        let id = (found.dev(), found.ino());
        match fcntl_lock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                held.push(id);
                Ok(Lock {
                    file,
                    guard: Some((opened, id)),
                })
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                Err(refused(holder_of(&opened)))
            }
            Err(e) => Err(LogError::io(
                &lock_file,
                "cannot lock the lock file",
                e.into(),
            )),
        }
    }

    /// The locked file: absolute, symbolic links resolved.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((opened, id)) = self.guard.take() {
            // Closing gives the lock up; the registry is held meanwhile so that nobody sees one
            // without the other.
            let mut held = held();
            drop(opened);
            held.retain(|other| *other != id);
        }
    }
}

fn lock_file_of(file: &Path) -> Result<PathBuf, LogError> {
    let Some(name) = file.file_name() else {
        return Err(LogError::io(
            file,
            "cannot lock it",
            io::ErrorKind::IsADirectory.into(),
        ));
    };
    let mut lock_name = std::ffi::OsString::from(".");
    lock_name.push(name);
    lock_name.push(".~lock~");
    Ok(file.with_file_name(lock_name))
}

fn holder_of(lock_file: &File) -> Holder {
    match fcntl_getlk(lock_file, &Flock::from(FlockType::WriteLock)) {
        Ok(Some(lock)) => lock.pid.map_or(Holder::Unknown, |pid| {
            Holder::Process(pid.as_raw_nonzero().get().unsigned_abs())
        }),
        _ => Holder::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_in_this_process_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let link = folder.path().join("b.db");
        std::os::unix::fs::symlink("a.db", &link).unwrap();
        let first = Lock::acquire(&path).unwrap();
        assert!(folder.path().join(".a.db.~lock~").exists());
        for other in [&path, &link] {
            let error = Lock::acquire(other).unwrap_err();
            assert!(
                matches!(
                    error,
                    LogError::Locked {
                        holder: Holder::Ourselves,
                        ..
                    }
                ),
                "{error}"
            );
        }
        drop(first);
        assert_eq!(Lock::acquire(&link).unwrap().file(), path);
    }

    #[test]
    fn a_missing_folder_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Lock::acquire(&folder.path().join("none/a.db")).unwrap_err();
        assert!(error.to_string().contains("none/.a.db.~lock~"), "{error}");
    }
}
