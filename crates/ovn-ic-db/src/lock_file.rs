//! The lock file beside a database, looked at by those who do not take the lock.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ovsdb_log::{Holder, resolve};
use rustix::process::{Flock, FlockType, fcntl_getlk};

/// The lock file of the database that `path` names; it need not be there.
pub fn of(path: &Path) -> PathBuf {
    let file = resolve(path);
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".~lock~");
    file.with_file_name(name)
}

/// Who uses the database now; none if nobody does. Another process's, not this one's.
///
/// # Errors
/// If it cannot be told.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let file = match File::open(of(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
    Ok(held.map(|lock| match lock.pid {
        Some(pid) => Holder::Process(pid.as_raw_nonzero().get().unsigned_abs()),
        // It is in another container.
        None => Holder::Unknown,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_beside_the_file_that_a_link_leads_to() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("a.db", &link)?;
        assert_eq!(of(&link), folder.path().join(".a.db.~lock~"));
        assert!(holder(&link)?.is_none());
        Ok(())
    }
}
