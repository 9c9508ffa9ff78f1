//! The databases of one service, with the work that they need now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ovsdb::Error;
use ovsdb_server::clustered::Clustered;
use ovsdb_server::database::Database;
use ovsdb_server::standalone::Standalone;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How often a database is asked whether there is something to do.
const ROUND: Duration = Duration::from_secs(1);

/// A database and its file.
#[derive(Clone)]
pub enum Kept {
    /// By this server alone.
    Alone(Alone),
    /// By a member of a cluster, which looks after its file itself.
    Member(Arc<Clustered>),
}

/// A standalone database and its file.
#[derive(Clone)]
pub struct Alone {
    /// Its contents.
    pub database: Arc<Database>,
    /// What keeps them.
    pub standalone: Arc<Standalone>,
}

impl Kept {
    /// Whether this server leads it, as `_Server` says it.
    pub fn leads(&self) -> bool {
        match self {
            Kept::Alone(_) => true,
            Kept::Member(member) => {
                let place = member.place();
                let place = place.borrow();
                place.leading.is_some() && place.connected
            }
        }
    }

    /// Rewrites the file in its shortest form, and waits until the new one is there.
    pub async fn compact(&self) -> Result<(), String> {
        match self {
            Kept::Member(member) => match member.node() {
                Some(node) => node.compact().await,
                None => Err("the server is starting".to_owned()),
            },
            Kept::Alone(alone) => {
                let (over, wait) = oneshot::channel();
                let alone = alone.clone();
                let begin = tokio::task::spawn_blocking(move || {
                    alone.compact(move |result| {
                        // Whoever asked may have gone.
                        let _ = over.send(result);
                    });
                });
                begin.await.map_err(|error| error.to_string())?;
                match wait.await {
                    Ok(result) => result.map_err(|error| error.to_string()),
                    Err(_) => Err("the compaction was given up".to_owned()),
                }
            }
        }
    }

    /// How the file is doing, for `ovsdb-server/get-db-storage-status`.
    pub fn storage_status(&self) -> String {
        let alone = match self {
            Kept::Member(member) => {
                let failure = member.node().and_then(|node| node.standing().failure);
                return match failure {
                    Some(error) => format!("status: {error}"),
                    None => "status: ok".to_owned(),
                };
            }
            Kept::Alone(alone) => alone,
        };
        let unwritten = alone.standalone.unwritten();
        match alone.standalone.status().failed {
            Some(error) => format!("status: {error}"),
            None if unwritten > 0 => {
                format!("status: {unwritten} transactions are not in the file yet")
            }
            None => "status: ok".to_owned(),
        }
    }
}

impl Alone {
    /// Rewrites the file in its shortest form. Blocks for as long as the writer is busy; `done` is
    /// called when the new file is there, or cannot be.
    fn compact(&self, done: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let standalone = Arc::clone(&self.standalone);
        let name = self.database.committed().version.schema().name.to_string();
        let before = standalone.status().size;
        self.database.compact(Box::new(move |result| {
            standalone.compacted(result.is_ok());
            if result.is_ok() {
                let after = standalone.status().size;
                tracing::info!(
                    db = name,
                    "{name}: compacted from {before} to {after} bytes"
                );
            }
            done(result);
        }));
    }
}

/// The databases that have files, by name.
#[derive(Default)]
pub struct Databases(Mutex<BTreeMap<String, Kept>>);

impl Databases {
    /// Adds one.
    pub fn add(&self, name: &str, kept: Kept) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), kept);
    }

    /// Forgets one.
    pub fn remove(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(name);
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<Kept> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<(String, Kept)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = all.iter();
        pairs
            .map(|(name, kept)| (name.clone(), kept.clone()))
            .collect()
    }

    /// Looks after the files, until it is cancelled.
    pub async fn maintain(self: Arc<Self>) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let databases = Arc::clone(&self);
            // The writer's lock may be held for long.
            let round = tokio::task::spawn_blocking(move || databases.round());
            if let Err(error) = round.await {
                tracing::error!("looking after the database files failed: {error}");
            }
        }
    }

    fn round(&self) {
        for (name, kept) in self.all_alone() {
            kept.standalone.tick();
            if kept.standalone.compaction_due() {
                compact_by_schedule(name, &kept);
            }
        }
    }

    fn all_alone(&self) -> Vec<(String, Alone)> {
        let alone = |(name, kept)| match kept {
            Kept::Alone(alone) => Some((name, alone)),
            Kept::Member(_) => None,
        };
        self.all().into_iter().filter_map(alone).collect()
    }

    /// Stops the members: they hand over what they lead, and close their files.
    pub async fn stop_members(&self) {
        let mut stopping = JoinSet::new();
        for (_, kept) in self.all() {
            if let Kept::Member(member) = kept {
                stopping.spawn(async move { member.stop().await });
            }
        }
        while stopping.join_next().await.is_some() {}
    }

    /// Writes what waits, syncs, and closes the standalone files. Blocks.
    pub fn close(&self) {
        for (name, kept) in self.all_alone() {
            if let Err(error) = kept.standalone.close() {
                tracing::error!(db = name, "{name}: closing the file failed: {error}");
            }
        }
    }
}

fn compact_by_schedule(name: String, kept: &Alone) {
    kept.compact(move |result| {
        if let Err(error) = result {
            tracing::warn!(db = name, "{name}: compaction failed: {error}");
        }
    });
}
