//! An active-backup standby: a standalone database whose contents follow those of another server, in its
//! own file (ovsdb(7), "Active-Backup Database Service Model").
//!
//! A [`Replication`] is one database as a backup: clients only read it. [`ActiveBackup`] has all
//! databases of a server that may be active or backup, and the commands that make them so. `follow`
//! is what is said with the active server, in the reference's order of questions, so that either can
//! be the other side of it.

mod active_backup;
mod excluded;
mod fitting;
mod follow;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use ovsdb::Uuid;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::follow::Follower;
use crate::database::Database;
use crate::upstream::{Settings, keep};

pub use active_backup::{ActiveBackup, Role, Source};
pub use excluded::ExcludedTables;

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The active server is not reached yet, or is being asked what it has.
    Connecting,
    /// Its contents are here, and what changes there follows; or did, before it was lost.
    Replicating,
    /// What it has cannot be taken.
    Failed,
}

impl Phase {
    const ALL: [Phase; 3] = [Phase::Connecting, Phase::Replicating, Phase::Failed];
}

/// The phase as its follower sets it and others see it.
#[derive(Debug, Default)]
struct Progress(AtomicU8);

impl Progress {
    fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    fn get(&self) -> Phase {
        Phase::ALL[usize::from(self.0.load(Ordering::Acquire)) % Phase::ALL.len()]
    }
}

/// A database as a backup. Dropped or stopped, it follows nobody any more, and clients may write.
pub struct Replication {
    database: Weak<Database>,
    settings: watch::Sender<Settings>,
    excluded: ExcludedTables,
    progress: Arc<Progress>,
    wake: Arc<Notify>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Replication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replication")
            .field("source", &self.settings.borrow().remotes.text())
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl Replication {
    /// Makes a database the backup of another server's database of the same name, but for some tables.
    /// `own` is the [id](crate::service::Service::id) of this server, which must not follow itself.
    /// `failed` is called, from another task, if what the other server has cannot be taken; nothing is
    /// followed any more then. Must be called in a runtime.
    pub fn start(
        database: &Arc<Database>,
        own: Uuid,
        settings: Settings,
        excluded: ExcludedTables,
        failed: Box<dyn FnOnce() + Send>,
    ) -> Replication {
        let (replication, mut follower) = Replication::prepare(database, own, settings, excluded);
        let settings = replication.settings.subscribe();
        let (progress, wake, stop) = (
            replication.progress.clone(),
            replication.wake.clone(),
            replication.stop.clone(),
        );
        tokio::spawn(async move {
            keep(settings, &mut follower, wake, stop).await;
            if progress.get() == Phase::Failed {
                failed();
            }
        });
        replication
    }

    /// A backup, and what it says to the active server.
    fn prepare(
        database: &Arc<Database>,
        own: Uuid,
        settings: Settings,
        excluded: ExcludedTables,
    ) -> (Replication, Follower) {
        database.set_read_only(true);
        let replication = Replication {
            database: Arc::downgrade(database),
            settings: watch::Sender::new(settings),
            excluded,
            progress: Arc::default(),
            wake: Arc::default(),
            stop: CancellationToken::new(),
        };
        let follower = Follower::new(
            database,
            own,
            replication.excluded.clone(),
            replication.progress.clone(),
            replication.wake.clone(),
            replication.stop.clone(),
        );
        (replication, follower)
    }

    /// A backup whose active server is whoever calls.
    #[cfg(feature = "testing")]
    pub fn heard(
        database: &Arc<Database>,
        own: Uuid,
        settings: Settings,
        excluded: ExcludedTables,
    ) -> (Replication, crate::upstream::testing::Heard) {
        let (replication, follower) = Replication::prepare(database, own, settings, excluded);
        (replication, crate::upstream::testing::Heard::new(follower))
    }

    /// Takes other settings into use. The present connection is kept if its remote is still among them.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(change);
        self.wake.notify_one();
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.progress.get()
    }

    /// As the reference's `ovsdb-server/sync-status` says it.
    pub fn status(&self) -> String {
        let settings = self.settings.borrow();
        let source = settings.remotes.text();
        match self.phase() {
            Phase::Connecting => format!("connecting: {source}"),
            Phase::Failed => format!("Replication to ({source}) failed"),
            Phase::Replicating => {
                let excluded = self.excluded.full_names();
                let exclude = if excluded.is_empty() { "" } else { "exclude: " };
                format!("replicating: {source}\n{exclude}{}", excluded.join(","))
            }
        }
    }

    /// Follows nobody any more; clients may write.
    pub fn stop(&self) {
        self.stop.cancel();
        if let Some(database) = self.database.upgrade() {
            database.set_read_only(false);
        }
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        self.stop();
    }
}
