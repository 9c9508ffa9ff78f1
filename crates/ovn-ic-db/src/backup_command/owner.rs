//! Whose new files are: root makes them for the server that uses the folder, which may be another user.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use rustix::process::{getegid, geteuid};

/// Makes a folder, and those above it, each of the owner of the one that it is in. Others stay as they are.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => give(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives what this process has just made to the owner of the folder that it is in, if this process is root.
pub fn give(path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = fs::metadata(folder)?;
    if (folder.uid(), folder.gid()) == (0, 0) {
        return Ok(());
    }
    // The folder's owner may put something else there: neither a link's target nor a file with a second
    // name is given away.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(CWD, path, flags, Mode::empty())?;
    let found = fstat(&made)?;
    let own = (found.st_uid, found.st_gid) == (geteuid().as_raw(), getegid().as_raw());
    let alone = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => found.st_nlink == 1,
        kind => kind == FileType::Directory,
    };
    if own && alone {
        let (user, group) = (Uid::from_raw(folder.uid()), Gid::from_raw(folder.gid()));
        chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}
