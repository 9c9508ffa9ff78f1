//! Symbolic links, followed the way the reference follows them.

use std::path::{Path, PathBuf};

/// How many links in a row the reference follows before it gives up.
const MAX_LINKS: usize = 10;

/// The file that a name finally stands for, as an absolute path. Links in the last component are
/// followed, also dangling ones (the file can then be created behind the link); links among the
/// folders are left alone. After ten links the name itself is used, as in the reference.
///
/// Lock file, temporary file and renames all go beside that final file, so a database that is reached
/// by two names is still locked once, and compaction replaces the file and not the link.
pub fn resolve(path: &Path) -> PathBuf {
    let start = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut current = start.clone();
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(&current) else {
            return current;
        };
        // `join` replaces the whole path when the target is absolute.
        current = current.parent().unwrap_or(Path::new("/")).join(target);
    }
    tracing::warn!("{}: too many levels of symbolic links", path.display());
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn follows_relative_absolute_and_dangling_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        symlink("sub/b", at("a")).unwrap();
        symlink(at("c"), at("sub/b")).unwrap();
        assert_eq!(resolve(&at("a")), at("c"), "dangling");
        std::fs::write(at("c"), "").unwrap();
        assert_eq!(resolve(&at("a")), at("c"));
        assert_eq!(resolve(&at("c")), at("c"));
    }

    #[test]
    fn gives_up_on_a_circle() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("y", at("x")).unwrap();
        symlink("x", at("y")).unwrap();
        assert_eq!(resolve(&at("x")), at("x"));
    }
}
