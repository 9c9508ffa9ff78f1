//! The copy of a database file that is kept before its schema is converted.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::bail;
use ovsdb_engine::Version;

use crate::backup_command::{Existing, write};

/// How many copies of one version and checksum, but different contents, are kept.
const MOST_COPIES: u32 = 1000;

/// Copies `file` to `FILE.backupVERSION-CKSUM` beside it and returns the copy's
/// path, as ovn-ctl names it. `cksum` is the schema's member: only its first
/// word goes into the name. When it returns, the copy is on the disk.
///
/// A copy of that name with the same contents is good as it is. One with other
/// contents stays too (it may be somebody's only way back): the new copy then
/// gets `.1`, `.2`, ... at its end.
pub fn keep(file: &Path, version: &str, cksum: &str) -> io::Result<PathBuf> {
    let base = name(file, version, cksum);
    for number in 0..MOST_COPIES {
        let mut candidate = base.clone();
        if number > 0 {
            candidate.push(format!(".{number}"));
        }
        let candidate = PathBuf::from(candidate);
        match fs::symlink_metadata(&candidate) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                copy_to(file, &candidate)?;
                return Ok(candidate);
            }
            Err(error) => return Err(error),
            Ok(found) if found.is_file() && same_contents(file, &candidate)? => {
                // The copy may be of a run that ended before its fsync.
                File::open(&candidate)?.sync_all()?;
                sync_folder_of(&candidate)?;
                return Ok(candidate);
            }
            Ok(_) => {}
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{MOST_COPIES} copies like {} exist", base.display()),
    ))
}

/// The same for contents that lie in a cluster's file: the copy is a standalone database.
pub fn keep_contents(file: &Path, version: &Version) -> anyhow::Result<PathBuf> {
    let schema = version.schema();
    let base = name(file, &schema.version, &schema.cksum);
    for number in 0..MOST_COPIES {
        let mut candidate = base.clone();
        if number > 0 {
            candidate.push(format!(".{number}"));
        }
        let candidate = PathBuf::from(candidate);
        if !candidate.try_exists()? {
            let comment = "kept before the schema was converted";
            write(&candidate, version, comment, Existing::Keep)?;
            return Ok(candidate);
        }
    }
    bail!("{MOST_COPIES} copies like {} exist", base.display())
}

fn name(file: &Path, version: &str, cksum: &str) -> OsString {
    // Both come from the file: nothing but letters, digits and dots may reach a path.
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
            .collect()
    };
    let first_word = cksum.split_whitespace().next().unwrap_or("");
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".backup{}-{}", plain(version), plain(first_word)));
    name
}

/// Writes under a temporary name first, so that a copy that is cut short by a
/// crash never carries the real name.
fn copy_to(file: &Path, target: &Path) -> io::Result<()> {
    let mut temporary = target.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = fs::remove_file(&temporary)
        .or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| fs::copy(file, &temporary))
        .and_then(|_| File::open(&temporary)?.sync_all())
        .and_then(|()| fs::rename(&temporary, target));
    if written.is_err() {
        // Best effort: the error that stopped us is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder_of(target)
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn same_contents(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        match other.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_as_ovn_ctl_does_and_none_is_lost() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ovn_ic_nb_db.db");
        fs::write(&file, "first")?;
        let first = keep(&file, "1.0.0", "45589876 3383")?;
        assert_eq!(
            first,
            folder.path().join("ovn_ic_nb_db.db.backup1.0.0-45589876")
        );
        assert_eq!(keep(&file, "1.0.0", "45589876 3383")?, first);
        fs::write(&file, "other")?;
        let second = keep(&file, "1.0.0", "45589876 3383")?;
        assert!(second.to_string_lossy().ends_with("-45589876.1"));
        assert_eq!(fs::read_to_string(first)?, "first");
        assert_eq!(fs::read_to_string(second)?, "other");
        assert_eq!(fs::read_dir(folder.path())?.count(), 3);
        Ok(())
    }

    #[test]
    fn a_name_from_a_file_does_not_leave_the_folder() {
        let name = name(Path::new("/d/f.db"), "1/../../x", "../a b");
        assert_eq!(name, "/d/f.db.backup1....x-..a");
    }

    #[test]
    fn a_missing_file_leaves_nothing_behind() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(keep(&folder.path().join("none"), "1.0.0", "1 2").is_err());
        assert_eq!(fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }
}
