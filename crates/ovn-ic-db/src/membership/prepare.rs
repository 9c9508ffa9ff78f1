//! From what a node has to the file of a cluster's first member, or of a server that joins.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use ovsdb::{Schema, Uuid};
use ovsdb_cluster::entry::ServerId;
use ovsdb_cluster::file::replay::DEFAULT_ELECTION_TIMER;
use ovsdb_cluster::file::{ClusterFile, Contents, Founding, Identity, Position};
use ovsdb_engine::Version;
use ovsdb_engine::convert::convert;
use ovsdb_log::{Disk, FileSystem, Lock};
use ovsdb_server::standalone::File;

use super::aside;
use super::own_file::OwnFile;
use crate::backup_copy;
use crate::founding::Past;
use crate::schemas::{Side, is_older};
use crate::settings::ClusterSettings;

/// What a file is made by.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a> {
    /// Of which database.
    pub side: Side,
    /// For which cluster.
    pub cluster: &'a ClusterSettings,
    /// When; it goes into names and records.
    pub now: SystemTime,
}

/// Makes the file of a new cluster's first member: with the contents of a standalone database, of which a
/// copy is kept, else empty with the newest schema. Blocks.
///
/// # Errors
/// Also if the file is damaged or was a member once: then there are contents that nobody may replace by
/// nothing.
pub fn found(maker: Maker<'_>, own: OwnFile) -> anyhow::Result<ClusterFile> {
    let side = maker.side;
    let newest = Schema::from_text(side.schema().as_bytes())
        .map(Arc::new)
        .with_context(|| format!("the schema of {}", side.database()))?;
    let (past, fs) = (own.past(), disk());
    let file = match own {
        OwnFile::Missing(lock) => {
            let contents = maker.new_empty_cluster(newest)?;
            ClusterFile::create(fs, lock, &contents)?
        }
        OwnFile::Standalone(file) => {
            let (version, lock) = maker.out_of_standalone(*file, newest)?;
            let contents = maker.new_cluster_of(&version)?;
            ClusterFile::replace(fs, lock, &contents)?
        }
        OwnFile::Clustered(file) if past == Past::Joining => {
            let contents = maker.new_empty_cluster(newest)?;
            ClusterFile::replace(fs, file.into_lock(), &contents)?
        }
        OwnFile::Clustered(file) => bail!(
            "{}: belongs to a cluster; no other one is founded in its place",
            file.path().display()
        ),
        OwnFile::Damaged(damaged) => return Err(damaged.error),
    };
    let identity = &file.replayed().header.identity;
    tracing::info!(
        db = side.short(),
        "{}: new cluster {}; this is its first member, server {} at {}",
        file.path().display(),
        identity.cluster_id.unwrap_or_default(),
        identity.server_id,
        identity.local_address
    );
    Ok(file)
}

/// Makes the file of a server that joins under `server_id` ([`OwnFile::candidate_id`]). What was there
/// before is kept under a name with the date. Blocks.
pub fn join(maker: Maker<'_>, own: OwnFile, server_id: ServerId) -> anyhow::Result<ClusterFile> {
    let past = own.past();
    match own {
        OwnFile::Missing(lock) => {
            let file = ClusterFile::create(disk(), lock, &maker.joining(server_id)?)?;
            maker.say_joining(&file);
            Ok(file)
        }
        OwnFile::Standalone(file) => {
            let rows = file.version().row_count();
            start_over(
                maker,
                file.into_lock(),
                Aside::Standalone { rows },
                server_id,
            )
        }
        OwnFile::Clustered(file) if past == Past::Joining => {
            maker.say_joining(&file);
            Ok(*file)
        }
        OwnFile::Clustered(file) if past == Past::Left => {
            start_over(maker, file.into_lock(), Aside::Left, server_id)
        }
        OwnFile::Clustered(file) => {
            bail!("{}: is a member already", file.path().display())
        }
        OwnFile::Damaged(damaged) => {
            tracing::error!(db = maker.side.short(), "{:#}", damaged.error);
            start_over(maker, damaged.lock, Aside::Damaged, server_id)
        }
    }
}

/// Why a file is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// A standalone database where there is a cluster.
    Standalone {
        /// So much is in it.
        rows: usize,
    },
    /// It cannot be read.
    Damaged,
    /// The server has left its cluster, or was removed from it.
    Left,
    /// Its cluster gives way to another one.
    GivesWay,
}

impl Aside {
    /// For the file's second name.
    fn word(self) -> &'static str {
        match self {
            Aside::Standalone { .. } => "standalone",
            Aside::Damaged => "damaged",
            Aside::Left => "left",
            Aside::GivesWay => "gave-way",
        }
    }
}

impl fmt::Display for Aside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aside::Standalone { rows } => write!(
                out,
                "is a standalone database of {rows} rows, and the cluster's contents take its place"
            ),
            Aside::Damaged => out.write_str("is damaged"),
            Aside::Left => out.write_str("is of a server that is not in its cluster any more"),
            Aside::GivesWay => out.write_str(
                "holds nothing but transit switches that this program makes, and gives way to another cluster",
            ),
        }
    }
}

/// Sets a file aside and makes that of a new server, which has to join. Blocks.
pub fn start_over(
    maker: Maker<'_>,
    lock: Lock,
    why: Aside,
    server_id: ServerId,
) -> anyhow::Result<ClusterFile> {
    let contents = maker.joining(server_id)?;
    let path = lock.file();
    let kept = aside::keep(path, why.word(), maker.now)
        .with_context(|| format!("{}: cannot be set aside", path.display()))?;
    let (path, before) = (path.to_owned(), fs::metadata(path));
    let replaced = ClusterFile::replace(disk(), lock, &contents);
    let file = replaced.inspect_err(|_| {
        // Or else each start would leave one more. Not if it is all that is left of the file.
        if before.is_ok_and(|before| is_still(&path, &before)) {
            let _ = fs::remove_file(&kept);
        }
    })?;
    tracing::warn!(
        db = maker.side.short(),
        "{}: {why}; it is kept as {}",
        path.display(),
        kept.display()
    );
    maker.say_joining(&file);
    Ok(file)
}

fn is_still(path: &Path, before: &fs::Metadata) -> bool {
    let now = fs::metadata(path);
    now.is_ok_and(|now| (now.dev(), now.ino()) == (before.dev(), before.ino()))
}

fn disk() -> Arc<dyn FileSystem> {
    Arc::new(Disk)
}

impl Maker<'_> {
    /// Its log begins at 1: clients that have seen another cluster take it for one that lags behind, and do
    /// not follow a node that has lost its disk and reaches nobody.
    fn new_empty_cluster(&self, newest: Arc<Schema>) -> anyhow::Result<Contents> {
        let version = Version::empty(newest);
        self.new_cluster(&version, "new database", Position::default())
    }

    /// Its log begins behind that of the cluster which the database may be a copy of, so that clients of that
    /// one go on here.
    fn new_cluster_of(&self, version: &Version) -> anyhow::Result<Contents> {
        let behind = Position::by_clock(self.date());
        self.new_cluster(version, "made of a standalone database", behind)
    }

    fn date(&self) -> u64 {
        let date = self.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(date.as_millis()).unwrap_or(u64::MAX)
    }

    fn new_cluster(
        &self,
        version: &Version,
        comment: &str,
        behind: Position,
    ) -> anyhow::Result<Contents> {
        let timer = u64::try_from(self.cluster.election_timer.as_millis()).unwrap_or(u64::MAX);
        let founding = Founding {
            server_id: Uuid::new_v4(),
            cluster_id: Uuid::new_v4(),
            eid: Uuid::new_v4(),
            local_address: self.cluster.local_address(self.side),
            election_timer: (timer != DEFAULT_ELECTION_TIMER).then_some(timer),
            date: self.date(),
            comment: Some(comment.to_owned()),
            behind,
        };
        Ok(Contents::new_cluster(founding, version)?)
    }

    /// Without the cluster's id: which one it is may change until the server is in it.
    fn joining(&self, server_id: ServerId) -> anyhow::Result<Contents> {
        let identity = Identity {
            server_id,
            cluster_id: None,
            name: self.side.database().to_owned(),
            local_address: self.cluster.local_address(self.side),
        };
        let remotes = self.cluster.other_addresses(self.side);
        Ok(Contents::joining(identity, remotes)?)
    }

    /// The contents with the newest schema, if they fit it, and the lock. A copy of the file is kept first.
    fn out_of_standalone(
        &self,
        file: File,
        newest: Arc<Schema>,
    ) -> anyhow::Result<(Version, Lock)> {
        let db = self.side.short();
        if let Some(dropped) = file.save_torn() {
            tracing::warn!(db, "{dropped}");
        }
        let present = Arc::clone(file.version().schema());
        let mut version = file.version().clone();
        let (old, new) = (&present.version, newest.version.clone());
        if is_older(old, &new) {
            match convert(&version, newest, &mut Uuid::new_v4) {
                Ok(converted) => version = converted,
                Err(error) => tracing::error!(
                    db,
                    "{}: cannot be converted from schema {old} to {new}, so the cluster begins with schema {old}: {error}",
                    file.path().display()
                ),
            }
        }
        let copy = backup_copy::keep(file.path(), old, &present.cksum)
            .context("the copy that is to be kept cannot be made")?;
        tracing::info!(
            db,
            "{}: the standalone database becomes a cluster of {} rows, schema {}; the file is kept as {}",
            file.path().display(),
            version.row_count(),
            version.schema().version,
            copy.display()
        );
        Ok((version, file.into_lock()))
    }

    fn say_joining(&self, file: &ClusterFile) {
        let path = file.path();
        tracing::info!(
            db = self.side.short(),
            "{}: joins as server {} at {}",
            path.display(),
            file.replayed().header.identity.server_id,
            file.replayed().header.identity.local_address
        );
    }
}
