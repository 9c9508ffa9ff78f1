//! Group commit: one thread a log, one write and one sync for all that was submitted meanwhile.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::compact::{self, Built, Compacted, Compaction, Unsettled};
use crate::create::RecordWriter;
use crate::queue::{Item, Queue};
use crate::{Appender, Batch, LogError, RecordBuffer, Refused};

/// What a batch's `done` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Every batch for the sync.
    Always,
    /// Durable batches (and those behind them in the same round) for the sync, the others for the write;
    /// these are synced when the log has been idle for 2 ms, and 10 ms after the write at the latest.
    Asked,
}

/// How a log works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What acknowledgements wait for.
    pub sync: SyncPolicy,
    /// How many bytes may wait, by the batches' own estimates (twice as many can be in memory).
    pub max_bytes: usize,
    /// How many batches may wait.
    pub max_batches: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sync: SyncPolicy::Always,
            max_bytes: 16 << 20,
            max_batches: 8192,
        }
    }
}

/// How a log is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// The file's length in bytes.
    pub size: u64,
    /// What it was after the last compaction.
    pub base: u64,
    /// Records read and written since the file was opened.
    pub records: u64,
    /// Whether a compaction is under way.
    pub compacting: bool,
    /// Why batches are refused until [`Log::resume`], if they are.
    pub failed: Option<Arc<LogError>>,
}

/// How long a write that nobody waits for may wait for others.
const LINGER: Duration = Duration::from_micros(200);
const IDLE: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Figures {
    size: AtomicU64,
    base: AtomicU64,
    records: AtomicU64,
}

/// A running log. Dropping it commits what waits, syncs, and frees the lock.
pub struct Log {
    path: PathBuf,
    queue: Arc<Queue>,
    figures: Arc<Figures>,
    compacting: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("path", &self.path)
            .field("status", &self.status())
            .finish()
    }
}

impl Log {
    /// Starts the log's thread.
    pub fn start(appender: Appender, options: Options) -> Result<Log, LogError> {
        let path = appender.path().to_path_buf();
        let linger = match options.sync {
            SyncPolicy::Always => Duration::ZERO,
            SyncPolicy::Asked => LINGER,
        };
        let queue = Arc::new(Queue::new(options.max_bytes, options.max_batches, linger));
        let (figures, compacting) = (
            Arc::new(Figures::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let mut worker = Worker {
            buffer: RecordBuffer::new(appender.magic()),
            appender,
            policy: options.sync,
            queue: queue.clone(),
            figures: figures.clone(),
            compacting: compacting.clone(),
            unsynced_since: None,
            orphans: VecDeque::new(),
            compactor: None,
            unsettled: None,
        };
        worker.publish();
        let thread = std::thread::Builder::new()
            .name("ovsdb-log".to_owned())
            .spawn(move || worker.run())
            .map_err(|answer| LogError::Thread {
                file: path.clone(),
                answer,
            })?;
        Ok(Log {
            path,
            queue,
            figures,
            compacting,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The file's path: absolute, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a batch over without waiting.
    pub fn try_submit(&self, batch: Batch) -> Result<(), Refused> {
        self.queue.submit(batch)
    }

    /// Calls `waker` once when a batch of that size may fit again: at once, or from the log's thread.
    pub fn on_space(&self, size_hint: usize, waker: Box<dyn FnOnce() + Send>) {
        self.queue.on_space(size_hint, waker);
    }

    /// Takes batches again after a failure. Call it when every submitted batch has been `done` and the
    /// state is back at the last one that succeeded. The file is repaired with the next batch, which
    /// fails in turn if that does not work yet.
    pub fn resume(&self) {
        self.queue.resume();
    }

    /// Replaces the file by what `snapshot` writes (on another thread) and everything that is submitted
    /// from now on. The snapshot must be the state after exactly the batches submitted so far; if one of
    /// them fails, so does the compaction. `done` is called on one of the log's threads.
    ///
    /// A schema conversion becomes durable the same way; hold later batches back until `done` then.
    pub fn begin_compaction(
        &self,
        snapshot: impl FnOnce(&mut RecordWriter) -> Result<(), LogError> + Send + 'static,
        done: impl FnOnce(Result<Compacted, Arc<LogError>>) + Send + 'static,
    ) -> Result<(), Arc<LogError>> {
        if self.compacting.swap(true, Ordering::AcqRel) {
            return Err(Arc::new(LogError::CompactionRunning {
                file: self.path.clone(),
            }));
        }
        let compaction = Compaction {
            snapshot: Box::new(snapshot),
            done: Box::new(done),
        };
        self.queue
            .push(Item::Compact(compaction), false)
            .map_err(|refused| {
                self.compacting.store(false, Ordering::Release);
                refused.1.unwrap_or_else(|| {
                    Arc::new(LogError::Closed {
                        file: self.path.clone(),
                    })
                })
            })
    }

    /// Sizes and state.
    pub fn status(&self) -> Status {
        Status {
            size: self.figures.size.load(Ordering::Acquire),
            base: self.figures.base.load(Ordering::Acquire),
            records: self.figures.records.load(Ordering::Acquire),
            compacting: self.compacting.load(Ordering::Acquire),
            failed: self.queue.failed(),
        }
    }

    /// Commits what waits, syncs and stops; a compaction under way is given up, once
    /// its snapshot has been written (so a snapshot must not own the log).
    pub fn close(&self) -> Result<(), LogError> {
        self.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match thread {
            // Dropped by a `done`: the thread cannot wait for itself.
            Some(thread) if thread.thread().id() == std::thread::current().id() => Ok(()),
            Some(thread) => thread.join().unwrap_or_else(|_| {
                Err(LogError::Closed {
                    file: self.path.clone(),
                })
            }),
            None => Ok(()),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("{error}");
        }
    }
}

struct Worker {
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

impl Worker {
    fn run(&mut self) -> Result<(), LogError> {
        let mut items = VecDeque::new();
        loop {
            let patience = match self.unsynced_since {
                _ if self.appender.needs_repair() => Some(RETRY),
                Some(_) => Some(IDLE),
                None => None,
            };
            if !self.queue.take(&mut items, patience) {
                // Before the lock goes: the thread still has its temporary file to remove.
                if let Some(compactor) = self.compactor.take() {
                    let _ = compactor.join();
                }
                let synced = self.appender.sync();
                if let Some(unsettled) = self.unsettled.take() {
                    let result = self.appender.repair();
                    unsettled.settle(result, &self.compacting);
                }
                return synced;
            }
            if items.is_empty() {
                self.sync_in_background();
            }
            self.round(&mut items);
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
    }

    fn publish(&self) {
        self.figures
            .size
            .store(self.appender.len(), Ordering::Release);
        self.figures
            .base
            .store(self.appender.base(), Ordering::Release);
        self.figures
            .records
            .store(self.appender.records(), Ordering::Release);
    }

    /// A failure fails nobody: what was acknowledged is kept in memory, and written again before the next append.
    fn sync_in_background(&mut self) {
        match self.appender.sync() {
            Ok(()) => self.unsynced_since = None,
            Err(error) => tracing::warn!("{error}; trying again"),
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
        self.unsettled = compact::complete(built, &mut self.appender, &self.compacting);
    }
}

fn call(done: crate::queue::Done, result: Result<(), Arc<LogError>>) {
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a callback of the log panicked");
    }
}
