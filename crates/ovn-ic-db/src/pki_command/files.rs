//! New files: all of them or none, and none in another's place.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What goes into a file, PEM.
pub enum Content {
    /// For its owner alone.
    Key(String),
    /// For everybody.
    Certificate(String),
}

/// Files that are to be made.
pub struct NewFiles {
    folder: PathBuf,
    files: Vec<(PathBuf, Content)>,
}

impl NewFiles {
    /// None yet.
    pub fn in_folder(folder: &Path) -> NewFiles {
        NewFiles {
            folder: folder.to_owned(),
            files: Vec::new(),
        }
    }

    /// One more.
    pub fn add(&mut self, name: &str, content: Content) {
        self.files.push((self.folder.join(name), content));
    }

    /// Makes them, and the folder.
    ///
    /// # Errors
    /// If one cannot be made or is there already: then none has been made.
    pub fn write(self) -> anyhow::Result<()> {
        for (path, _) in &self.files {
            if path.symlink_metadata().is_ok() {
                bail!(
                    "{}: is there already, and nothing is replaced; name another folder",
                    path.display()
                );
            }
        }
        let folder = self.folder.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .with_context(|| format!("{folder}: cannot be made"))?;
        let mut made = Vec::new();
        for (path, content) in &self.files {
            let result = write(path, content);
            let was_made =
                !matches!(&result, Err(error) if error.kind() == ErrorKind::AlreadyExists);
            if was_made {
                made.push(path);
            }
            if let Err(error) = result {
                for path in made {
                    let _ = std::fs::remove_file(path);
                }
                return Err(error).with_context(|| format!("{}: cannot be made", path.display()));
            }
        }
        Ok(())
    }
}

fn write(path: &Path, content: &Content) -> std::io::Result<()> {
    let (text, mode) = match content {
        Content::Key(text) => (text, 0o600),
        Content::Certificate(text) => (text, 0o644),
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}
