//! The little that a log needs of a file system, as traits, so that tests can put a simulated disk
//! underneath.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What an existing file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// Whether a rename may replace a file that exists under the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Replace it, atomically.
    Yes,
    /// Fail with `AlreadyExists`.
    No,
}

/// A place with files in it. Only regular files can be opened.
pub trait FileSystem: Debug + Send + Sync {
    /// Opens an existing file; a folder or another special file is an error.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn LogFile>>;

    /// Makes a new, empty file for reading and writing; one that exists is an error. It gets the mode
    /// (and owner, where that is allowed) of the file `like`, or else 0660 less the process's umask,
    /// as the reference does.
    fn create_new(&self, path: &Path, like: Option<&Path>) -> io::Result<Arc<dyn LogFile>>;

    /// Gives a file another name in the same folder.
    fn rename(&self, from: &Path, to: &Path, replace: Replace) -> io::Result<()>;

    /// Removes a file; `NotFound` if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether there is anything under that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in a folder (creations, renames, removals) survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file. All offsets and lengths are bytes. Methods take `&self`: a sync can run on one
/// thread while another thread writes.
pub trait LogFile: Debug + Send + Sync {
    /// The file's length.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads at most `buf.len()` bytes; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes`, and says how many (at least one, unless `bytes` is empty).
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Sets the length.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the contents and the length survive a power cut (fdatasync).
    fn sync_data(&self) -> io::Result<()>;

    /// The same with all metadata, for new files (fsync).
    fn sync_all(&self) -> io::Result<()>;
}

/// Writes all of `bytes`, going on after short writes and interruptions.
pub(crate) fn write_all_at(
    file: &dyn LogFile,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n.min(bytes.len())..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Fills as much of `buf` as the file has; fewer bytes mean that the file ends there.
pub(crate) fn read_full_at(file: &dyn LogFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
