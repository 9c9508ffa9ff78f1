//! The real file system.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

use crate::{Access, FileSystem, LogFile, Replace};

/// The real file system of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

#[derive(Debug)]
struct DiskFile(File);

impl FileSystem for Disk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn LogFile>> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
        };
        // NONBLOCK: opening a FIFO must not hang. It means nothing for regular files.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !kind.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(Arc::new(DiskFile(file)))
    }

    fn create_new(&self, path: &Path, like: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o660))?);
        if let Some(like) = like {
            copy_ownership(&file, path, like);
        }
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path, replace: Replace) -> io::Result<()> {
        match replace {
            Replace::Yes => Ok(rustix::fs::rename(from, to)?),
            Replace::No => {
                match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
                    // Some file systems (NFS, some FUSE ones) have no such rename. The lock, which the
                    // caller holds, keeps other servers away in between.
                    Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                        if self.exists(to)? {
                            return Err(io::ErrorKind::AlreadyExists.into());
                        }
                        Ok(rustix::fs::rename(from, to)?)
                    }
                    other => Ok(other?),
                }
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let fd: OwnedFd = rustix::fs::open(
            folder,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        match rustix::fs::fsync(&fd) {
            // Some file systems do not sync folders and say so; there is nothing better to do there.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOTSUP) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// An operator who has changed the database's mode or owner finds them again after a compaction. A
/// failure (we may not give files away) is worth a word, not the compaction.
fn copy_ownership(file: &File, path: &Path, like: &Path) {
    let copy = || -> io::Result<()> {
        let (old, new) = (std::fs::metadata(like)?, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())
    };
    if let Err(error) = copy() {
        tracing::warn!(
            "{}: cannot give it the mode and owner of {}: {error}",
            path.display(),
            like.display()
        );
    }
}

impl LogFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
