//! A node's three folders on the host, as the guide mounts them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cluster::status::Status;
use crate::world::interconnect::Side;

/// The folders of one node.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
}

/// The folders below a node's, and what they are inside of a container.
const MOUNTS: [(&str, &str); 3] = [
    ("etc", "/etc/ovn"),
    ("run", "/var/run/ovn"),
    ("log", "/var/log/ovn"),
];

impl Place {
    /// Makes the folders.
    pub(super) fn make(folder: PathBuf) -> Result<Place> {
        for (name, _) in MOUNTS {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Place { folder })
    }

    /// `docker run`'s options that mount them.
    #[must_use]
    pub fn volumes(&self) -> Vec<String> {
        let mounts = MOUNTS.iter().flat_map(|(name, inside)| {
            let from = self.folder.join(name);
            ["-v".to_owned(), format!("{}:{inside}", from.display())]
        });
        mounts.collect()
    }

    /// `ctr run`'s options that mount them.
    #[must_use]
    pub fn binds(&self) -> Vec<String> {
        let mounts = MOUNTS.iter().flat_map(|(name, inside)| {
            let from = self.folder.join(name);
            let mount = format!(
                "type=bind,src={},dst={inside},options=rbind:rw",
                from.display()
            );
            ["--mount".to_owned(), mount]
        });
        mounts.collect()
    }

    /// Gives the folders to a user.
    ///
    /// # Errors
    /// If this process may not.
    pub fn give_to(&self, user: u32) -> Result<()> {
        for (name, _) in MOUNTS {
            std::os::unix::fs::chown(self.folder.join(name), Some(user), Some(user))?;
        }
        Ok(())
    }

    /// A database's file.
    #[must_use]
    pub fn file(&self, side: Side) -> PathBuf {
        self.folder.join(format!("etc/{}.db", side.file_stem()))
    }

    /// A database's socket for clients.
    #[must_use]
    pub fn socket(&self, side: Side) -> PathBuf {
        self.folder.join(format!("run/{}.sock", side.file_stem()))
    }

    /// What the member says of itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self, side: Side) -> Result<Status> {
        let socket = self.folder.join(format!("run/{}.ctl", side.file_stem()));
        Status::ask(&socket, side)
    }

    /// A log file's text.
    ///
    /// # Errors
    /// If there is none.
    pub fn log(&self, short: &str) -> Result<String> {
        let path = self.folder.join(format!("log/ovsdb-server-ic-{short}.log"));
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// The names of the files in a folder: `etc`, `run` or `log`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join(folder))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The node's folder on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }
}
