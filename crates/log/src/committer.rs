//! Committing: one write and one sync for a round of what was submitted.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::compact::{self, Built, Unsettled};
use crate::queue::{Item, Queue};
use crate::{Appender, Batch, LogError, RecordBuffer, SyncPolicy};

const IDLE: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_secs(1);

/// What can be asked without the committer.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) size: AtomicU64,
    pub(crate) base: AtomicU64,
    pub(crate) records: AtomicU64,
}

impl Figures {
    fn publish(&self, appender: &Appender) {
        self.size.store(appender.len(), Ordering::Release);
        self.base.store(appender.base(), Ordering::Release);
        self.records.store(appender.records(), Ordering::Release);
    }
}

/// Whoever has it is the one who writes.
pub(crate) struct Committer {
    appender: Appender,
    buffer: RecordBuffer,
    policy: SyncPolicy,
    queue: Arc<Queue>,
    figures: Arc<Figures>,
    compacting: Arc<AtomicBool>,
    /// When the oldest acknowledged bytes that are not synced were written.
    unsynced_since: Option<Instant>,
    /// What waited in the queue when a round failed, to be failed behind it.
    orphans: VecDeque<Item>,
    compactor: Option<JoinHandle<()>>,
    /// A compaction that is complete but for the folder's sync.
    unsettled: Option<Unsettled>,
}

impl Committer {
    pub(crate) fn new(
        appender: Appender,
        policy: SyncPolicy,
        queue: Arc<Queue>,
        figures: Arc<Figures>,
        compacting: Arc<AtomicBool>,
    ) -> Box<Committer> {
        let committer = Committer {
            buffer: RecordBuffer::new(appender.magic()),
            appender,
            policy,
            queue,
            figures,
            compacting,
            unsynced_since: None,
            orphans: VecDeque::new(),
            compactor: None,
            unsettled: None,
        };
        committer.publish();
        Box::new(committer)
    }

    /// How long the log's thread may wait for something to commit before it does a round without.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.unsynced_since {
            _ if self.appender.needs_repair() => Some(RETRY),
            Some(_) => Some(IDLE),
            None => None,
        }
    }

    /// Does a round: commits the items, or syncs what was written earlier if there are none.
    pub(crate) fn work(&mut self, items: &mut VecDeque<Item>) {
        if items.is_empty() {
            self.sync_in_background();
        }
        self.round(items);
        if self
            .unsynced_since
            .is_some_and(|since| since.elapsed() >= LATEST)
            && !self.appender.needs_repair()
        {
            self.sync_in_background();
        }
        self.publish();
        if !self.appender.needs_repair()
            && let Some(unsettled) = self.unsettled.take()
        {
            unsettled.settle(Ok(()), &self.compacting);
        }
    }

    /// Syncs, and gives a compaction under way up. Blocks until its thread has ended.
    pub(crate) fn finish(&mut self) -> Result<(), LogError> {
        // Before the lock goes: the thread still has its temporary file to remove.
        if let Some(compactor) = self.compactor.take() {
            let _ = compactor.join();
        }
        let synced = self.appender.sync();
        if let Some(unsettled) = self.unsettled.take() {
            let result = self.appender.repair();
            unsettled.settle(result, &self.compacting);
        }
        synced
    }

    /// What the lines about the file are in, whichever thread has the turn.
    pub(crate) fn span(&self) -> &Span {
        self.appender.span()
    }

    fn publish(&self) {
        self.figures.publish(&self.appender);
    }

    /// A failure fails nobody: what was acknowledged is kept in memory, and written again before the next append.
    fn sync_in_background(&mut self) {
        match self.appender.sync() {
            Ok(()) => self.unsynced_since = None,
            Err(error) => tracing::warn!(parent: self.span(), "{error}; trying again"),
        }
    }

    fn round(&mut self, items: &mut VecDeque<Item>) {
        let mut batches = Vec::with_capacity(items.len());
        while let Some(item) = items.pop_front() {
            match item {
                Item::Batch(batch) => batches.push(batch),
                // Both stand between what was submitted before and after them.
                Item::Compact(compaction) => match self.commit(std::mem::take(&mut batches)) {
                    Ok(()) => {
                        self.compactor = compact::start(
                            compaction,
                            &self.appender,
                            &self.queue,
                            &self.compacting,
                        );
                    }
                    Err(error) => {
                        self.refuse(Item::Compact(compaction), &error);
                        return self.fail_all(items, error);
                    }
                },
                Item::Built(built) => {
                    let committed = self.commit(std::mem::take(&mut batches));
                    self.publish();
                    self.complete(built);
                    if let Err(error) = committed {
                        return self.fail_all(items, error);
                    }
                }
            }
        }
        if let Err(error) = self.commit(batches) {
            self.fail_all(items, error);
        }
    }

    /// Writes, syncs and acknowledges; on an error the batches have been told, and the queue refuses.
    fn commit(&mut self, batches: Vec<Batch>) -> Result<(), Arc<LogError>> {
        if batches.is_empty() {
            return Ok(());
        }
        let start = self.appender.len();
        self.buffer.clear();
        let mut waiting = VecDeque::with_capacity(batches.len());
        let mut panicked = false;
        for Batch {
            encode,
            durable,
            done,
            ..
        } in batches
        {
            panicked =
                panicked || catch_unwind(AssertUnwindSafe(|| encode(&mut self.buffer))).is_err();
            waiting.push_back((start + self.buffer.len() as u64, durable, done));
        }
        let written = if panicked {
            Err(LogError::Encoder {
                file: self.appender.path().to_path_buf(),
            })
        } else if self.buffer.is_empty() {
            Ok(())
        } else {
            self.appender.append(&self.buffer)
        };
        let outcome = written.and_then(|()| {
            let mut acknowledged = start;
            if self.policy == SyncPolicy::Asked {
                while waiting.front().is_some_and(|(_, durable, _)| !durable) {
                    if let Some((end, _, done)) = waiting.pop_front() {
                        acknowledged = end;
                        call(done, Ok(()));
                    }
                }
                if waiting.is_empty() {
                    self.unsynced_since.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
            let synced = self.appender.sync();
            match &synced {
                Ok(()) => self.unsynced_since = None,
                Err(_) => {
                    self.unsynced_since.get_or_insert_with(Instant::now);
                    self.appender.roll_back(acknowledged);
                }
            }
            synced
        });
        self.publish();
        let outcome = outcome.map_err(Arc::new);
        // Refused before anybody is told: what the caller submits on hearing of it must not slip in.
        if let Err(error) = &outcome {
            self.orphans = self.queue.fail(error.clone());
        }
        for (_, _, done) in waiting {
            call(done, outcome.clone());
        }
        outcome
    }

    /// Fails the rest of a round and then what was submitted before the failure, in order.
    fn fail_all(&mut self, items: &mut VecDeque<Item>, error: Arc<LogError>) {
        let (rest, orphans) = (std::mem::take(items), std::mem::take(&mut self.orphans));
        for item in rest.into_iter().chain(orphans) {
            self.refuse(item, &error);
        }
    }

    fn refuse(&mut self, item: Item, error: &Arc<LogError>) {
        match item {
            Item::Batch(batch) => call(batch.done, Err(error.clone())),
            Item::Compact(compaction) => {
                self.compacting.store(false, Ordering::Release);
                (compaction.done)(Err(error.clone()));
            }
            // Holds acknowledged records only: nothing to give up.
            Item::Built(built) => self.complete(built),
        }
    }

    fn complete(&mut self, built: Built) {
        let publish = |appender: &Appender| self.figures.publish(appender);
        self.unsettled = compact::complete(built, &mut self.appender, &self.compacting, publish);
    }
}

fn call(done: crate::queue::Done, result: Result<(), Arc<LogError>>) {
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a callback of the log panicked");
    }
}
