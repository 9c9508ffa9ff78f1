//! The standalone databases of one service, with the work that they need now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ovsdb::Error;
use ovsdb_server::database::Database;
use ovsdb_server::standalone::Standalone;

/// How often a database is asked whether there is something to do.
const ROUND: Duration = Duration::from_secs(1);

/// A database and its file.
#[derive(Clone)]
pub struct Kept {
    /// Its contents.
    pub database: Arc<Database>,
    /// What keeps them.
    pub standalone: Arc<Standalone>,
}

impl Kept {
    /// Rewrites the file in its shortest form. Blocks for as long as the writer is busy; `done` is
    /// called when the new file is there, or cannot be.
    pub fn compact(&self, done: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let standalone = Arc::clone(&self.standalone);
        self.database.compact(Box::new(move |result| {
            standalone.compacted(result.is_ok());
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
        for (name, kept) in self.all() {
            kept.standalone.tick();
            if kept.standalone.compaction_due() {
                compact_by_schedule(name, &kept);
            }
        }
    }

    /// Writes what waits, syncs, and closes the files. Blocks.
    pub fn close(&self) {
        for (name, kept) in self.all() {
            if let Err(error) = kept.standalone.close() {
                tracing::error!("{name}: closing the file failed: {error}");
            }
        }
    }
}

fn compact_by_schedule(name: String, kept: &Kept) {
    let before = kept.standalone.status().size;
    let standalone = Arc::clone(&kept.standalone);
    kept.compact(move |result| match result {
        Ok(()) => {
            let after = standalone.status().size;
            tracing::info!("{name}: compacted from {before} to {after} bytes");
        }
        Err(error) => tracing::warn!("{name}: compaction failed: {error}"),
    });
}
