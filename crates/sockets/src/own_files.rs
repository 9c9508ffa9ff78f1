//! Files that stand for this process as long as it lives: sockets' names, and the pid file.
//!
//! Whoever owns one removes it. This is for a process that ends without asking anybody.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

static FILES: Mutex<Vec<(PathBuf, (u64, u64))>> = Mutex::new(Vec::new());

/// A file's device and inode: somebody else may put their own there.
///
/// # Errors
/// If it cannot be looked at.
pub fn id_of(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// This one is there now.
pub fn add(path: &Path, id: (u64, u64)) {
    FILES.lock().push((path.to_owned(), id));
}

/// Removes one, if it is still the same.
pub fn remove(path: &Path, id: (u64, u64)) {
    let mut files = FILES.lock();
    files.retain(|(known, of)| known != path || *of != id);
    remove_same(path, id);
}

/// Removes all. Whoever else does so meanwhile waits for it.
pub fn remove_all() {
    for (path, id) in FILES.lock().drain(..) {
        remove_same(&path, id);
    }
}

fn remove_same(path: &Path, id: (u64, u64)) {
    if id_of(path).is_ok_and(|there| there == id) {
        // Nobody is left to be told.
        let _ = fs::remove_file(path);
    }
}
