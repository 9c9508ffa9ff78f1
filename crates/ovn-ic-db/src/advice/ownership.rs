//! Whose a file is that this process may not use: mostly root's, of a server that ran as another user.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{getegid, geteuid};

/// What to do about a file that this process may not open or make.
pub(super) fn ownership(file: &Path) -> String {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let folder = file.parent().unwrap_or(file);
    // One that is missing is one that cannot be made in its folder.
    let found = [file, folder].map(|path| fs::symlink_metadata(path).map(|found| (path, found)));
    match found {
        [Ok((path, found)), _] | [Err(_), Ok((path, found))] => {
            words(path, folder, &found, (user, group))
        }
        _ => format!(
            "let user {user}, as whom this server runs, into the folder {}",
            folder.display()
        ),
    }
}

fn words(path: &Path, folder: &Path, found: &Metadata, (user, group): (u32, u32)) -> String {
    let (mode, owner) = (found.mode() & 0o7777, found.uid());
    let name = path.display();
    let give = format!("`chown -R {user}:{group} {}`", folder.display());
    match owner == user {
        true => format!(
            "{name} is this user's ({user}), but its mode {mode:04o} does not let it: `chmod u+rwX {name}`"
        ),
        false => format!(
            "{name} belongs to user {owner}{} and has mode {mode:04o}, and this server runs as user {user}: give it \
             all files there with {give}, or run it as user {owner}",
            match owner {
                0 => " (root)",
                _ => "",
            }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let at = folder.path().display();
        fs::write(&path, "")?;
        let found = fs::metadata(&path)?;
        let own = (found.uid(), found.gid());
        let said = words(&path, folder.path(), &found, own);
        assert!(said.contains("is this user's"), "{said}");
        let said = words(&path, folder.path(), &found, (own.0 + 1, 7));
        let give = format!("`chown -R {}:7 {at}`", own.0 + 1);
        let whose = format!("belongs to user {}", own.0);
        assert!(said.contains(&give) && said.contains(&whose), "{said}");
        // What is to be made.
        let said = ownership(&folder.path().join("none"));
        assert!(said.starts_with(&at.to_string()), "{said}");
        let said = ownership(Path::new("/no/such/folder/a.db"));
        assert!(said.contains("into the folder /no/such/folder"), "{said}");
        Ok(())
    }
}
