//! Making the log short: a new snapshot in the file, beside running writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ovsdb_log::{CompactionSchedule, Model};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::life::{KEPT_ENTRIES, Life};
use super::{Inner, Node};
use crate::contents::now;
use crate::file::Reason;
use crate::file::create::write_data;
use crate::raft::state_machine::purge_through;

/// When to compact, by the reference's rules.
pub(super) struct Compaction {
    schedule: Mutex<CompactionSchedule>,
    opened: Instant,
    running: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Compaction {
    pub(super) fn new() -> Compaction {
        let opened = Instant::now();
        let schedule = CompactionSchedule::new(Model::Clustered, opened.elapsed(), random());
        Compaction {
            schedule: Mutex::new(schedule),
            opened,
            running: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    fn finished(&self, succeeded: bool) {
        let mut schedule = self.schedule.lock();
        schedule.finished(self.opened.elapsed(), succeeded, random());
    }
}

fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

impl Inner {
    /// Begins a compaction if it is time for one.
    pub(super) fn compact_if_due(self: &Arc<Self>, life: &Arc<Life>) {
        let status = life.store.status();
        if status.compacting || self.compaction.running.load(Ordering::Relaxed) {
            return;
        }
        let due = self.compaction.schedule.lock().due(
            self.compaction.opened.elapsed(),
            status.records,
            status.size,
            status.base,
            random(),
        );
        if due {
            let (inner, life) = (self.clone(), life.clone());
            tokio::spawn(async move {
                if let Err(error) = inner.compact(&life).await {
                    tracing::warn!(db = inner.db(), "compaction failed: {error}");
                }
            });
        }
    }

    /// Compacts, and waits until the new file is in place.
    async fn compact(&self, life: &Life) -> Result<(), String> {
        if self.compaction.running.swap(true, Ordering::AcqRel) {
            return Err("another compaction is under way".to_owned());
        }
        let before = life.store.status().size;
        let result = compact(life).await;
        self.compaction.running.store(false, Ordering::Release);
        self.compaction.finished(result.is_ok());
        if let Ok(index) = result {
            *self.compaction.last.lock() = Some(Instant::now());
            let after = life.store.status().size;
            tracing::info!(
                db = self.db(),
                before,
                after,
                "raft: the log is compacted up to entry {index}"
            );
        }
        result.map(drop)
    }
}

/// Gives the last entry that the new snapshot stands for.
async fn compact(life: &Life) -> Result<u64, String> {
    let contents = match life.raft.get_snapshot().await {
        Ok(Some(snapshot)) => snapshot.snapshot,
        Ok(None) => return Err("there are no contents".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let index = contents.meta.index;
    if life.store.snapshot().is_some_and(|s| s.index >= index) {
        // Nothing has happened since the last one.
        return Ok(index);
    }
    let (sender, receiver) = oneshot::channel();
    let begun = life.store.compact(
        index,
        Box::new(move |out| write_data(out, &contents.version, now(), None)),
        Box::new(move |result| {
            let _ = sender.send(result);
        }),
    );
    match begun {
        Ok(()) => {}
        Err(Reason::Busy) => return Err("another snapshot is being written".to_owned()),
        Err(Reason::Failed(error)) => return Err(error.to_string()),
        Err(Reason::Full | Reason::Closed) => return Err("the log is closed".to_owned()),
        Err(Reason::Invalid(why)) => return Err(why),
    }
    match receiver.await {
        Ok(result) => result.map(|_| ()).map_err(|error| error.to_string())?,
        Err(_) => return Err("the log has stopped".to_owned()),
    }
    // They fail only when it has stopped.
    let _ = life.raft.trigger().snapshot().await;
    let purge = purge_through(index, KEPT_ENTRIES);
    let _ = life.raft.trigger().purge_log(purge).await;
    Ok(index)
}

impl Node {
    /// How long ago the log was last written anew; none if that was not since the start.
    pub fn last_compaction(&self) -> Option<Duration> {
        self.inner.compaction.last.lock().map(|at| at.elapsed())
    }

    /// How the file is doing; none while it is not in use.
    pub fn file_status(&self) -> Option<ovsdb_log::Status> {
        Some(self.inner.life()?.store.status())
    }

    /// Where the file is.
    pub fn path(&self) -> &std::path::Path {
        &self.inner.path
    }

    /// Writes the log anew in its shortest form, and waits for it.
    pub async fn compact(&self) -> Result<(), String> {
        let Some(life) = self.inner.life() else {
            return Err("the server has not joined its cluster yet".to_owned());
        };
        self.inner.compact(&life).await
    }
}
