//! What a node has of one database.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use ovsdb::Uuid;
use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::file::{Address, ClusterFile, Origin, Standing, same_address};
use ovsdb_log::{Disk, FileSystem, Lock, LogError, Magic, Reader};
use ovsdb_server::standalone::{File, OpenError};

use crate::founding::Past;
use crate::schemas::Side;
use crate::settings::ClusterSettings;

/// What a node has of one database. It is locked, and has not been changed.
#[derive(Debug)]
pub enum OwnFile {
    /// Nothing.
    Missing(Lock),
    /// A standalone database.
    Standalone(Box<File>),
    /// A member of a cluster, or one that has yet to join or has left.
    Clustered(Box<ClusterFile>),
    /// Something that cannot be read.
    Damaged(Damaged),
}

/// A file that cannot be read.
#[derive(Debug)]
pub struct Damaged {
    /// Its lock.
    pub lock: Lock,
    /// What is wrong, with the file's name and the place in it.
    pub error: anyhow::Error,
}

/// Looks at a side's file. Blocks.
///
/// # Errors
/// If it is in use, or of another database, or the system cannot read it; for a node of a cluster also
/// if it is the file of a member at another address.
pub fn look(side: Side, path: &Path, cluster: Option<&ClusterSettings>) -> anyhow::Result<OwnFile> {
    let fs: Arc<dyn FileSystem> = Arc::new(Disk);
    let lock = Lock::acquire(path)?;
    let exists = fs
        .exists(lock.file())
        .with_context(|| format!("{}: cannot be looked at", lock.file().display()))?;
    if !exists {
        return Ok(OwnFile::Missing(lock));
    }
    let read = match Reader::open(&*fs, lock.file(), None).map(|reader| reader.magic()) {
        Err(error) => return damaged(lock, error.into(), cluster),
        // Both readers take the lock with them when they fail.
        Ok(Magic::Json) => {
            drop(lock);
            File::open_on(fs, path).map(|file| OwnFile::Standalone(Box::new(file)))
        }
        Ok(Magic::Cluster) => ClusterFile::open(fs, lock)
            .map(|file| OwnFile::Clustered(Box::new(file)))
            .map_err(OpenError::from),
    };
    match read {
        Ok(found) => {
            found.check(side, cluster)?;
            Ok(found)
        }
        Err(error) => damaged(Lock::acquire(path)?, error, cluster),
    }
}

/// Tells damage from what the system or another process is to blame for. Where there is nobody to get
/// the contents from, it is an error like those.
fn damaged(
    lock: Lock,
    error: OpenError,
    cluster: Option<&ClusterSettings>,
) -> anyhow::Result<OwnFile> {
    match error {
        _ if cluster.is_some_and(|cluster| cluster.others().is_empty()) => Err(error.into()),
        OpenError::Record { .. }
        | OpenError::Log(
            LogError::Damaged { .. } | LogError::Empty { .. } | LogError::NotOvsdb { .. },
        ) => Ok(OwnFile::Damaged(Damaged {
            lock,
            error: error.into(),
        })),
        OpenError::Log(_) => Err(error.into()),
    }
}

impl OwnFile {
    /// What it says about founding and joining.
    pub fn past(&self) -> Past {
        match self {
            OwnFile::Missing(_) | OwnFile::Standalone(_) => Past::Nothing,
            OwnFile::Damaged(_) => Past::Damaged,
            OwnFile::Clustered(file) => match file.replayed().standing() {
                Standing::Joining => Past::Joining,
                Standing::Member | Standing::NotAMember => Past::Member,
                Standing::Left => Past::Left,
            },
        }
    }

    /// The id by which the node may introduce itself while it looks for a cluster: that of a file that has
    /// yet to join, else a new one. A server that was a member once never comes back with an
    /// empty log, as it might give a vote for the second time.
    pub fn candidate_id(&self) -> ServerId {
        match self {
            OwnFile::Clustered(file) if self.past() == Past::Joining => {
                file.replayed().header.identity.server_id
            }
            _ => Uuid::new_v4(),
        }
    }

    /// Whom the file of a joining server says to ask.
    pub fn remotes(&self) -> Vec<IpAddr> {
        let OwnFile::Clustered(file) = self else {
            return Vec::new();
        };
        let Origin::Joining { remote_addresses } = &file.replayed().header.origin else {
            return Vec::new();
        };
        let addresses = remote_addresses.iter();
        let ip = |address: &String| Some(address.parse::<Address>().ok()?.ip_and_port()?.0);
        addresses.filter_map(ip).collect()
    }

    fn check(&self, side: Side, cluster: Option<&ClusterSettings>) -> anyhow::Result<()> {
        let (path, name) = match self {
            OwnFile::Missing(_) | OwnFile::Damaged(_) => return Ok(()),
            OwnFile::Standalone(file) => (file.path(), &*file.version().schema().name),
            OwnFile::Clustered(file) => (file.path(), &*file.replayed().header.identity.name),
        };
        let path = path.display();
        if name != side.database() {
            bail!(
                "{path}: holds the database {name}, not {}; put the right file in its place, or name another folder with --db-dir or OVN_DBDIR",
                side.database()
            );
        }
        if let (OwnFile::Clustered(file), Some(cluster)) = (self, cluster) {
            let is = &file.replayed().header.identity.local_address;
            let should = match is.parse() {
                Ok(Address::Network { transport, .. }) => {
                    cluster.over(transport).local_address(side)
                }
                _ => cluster.local_address(side),
            };
            if !same_address(is, &should) {
                bail!(
                    "{path}: is the file of the member at {is}, but this node's address is {should}"
                );
            }
        }
        Ok(())
    }
}
