//! A running log: one thread, or a lone writer, commits all that was submitted meanwhile with one write and one sync.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::committer::{Committer, Figures};
use crate::compact::{Compacted, Compaction};
use crate::queue::{Item, Queue};
use crate::turn::Turn;
use crate::{Appender, Batch, Counters, LogError, RecordWriter, Refused};

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

/// A running log. Dropping it commits what waits, syncs, and frees the lock.
pub struct Log {
    path: PathBuf,
    queue: Arc<Queue>,
    figures: Arc<Figures>,
    compacting: Arc<AtomicBool>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
    span: Span,
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
    /// Starts the log's thread. What it has to say is in the present [`Span`].
    pub fn start(mut appender: Appender, options: Options) -> Result<Log, LogError> {
        let span = Span::current();
        appender.set_span(span.clone());
        let path = appender.path().to_path_buf();
        let counters = appender.counters.clone();
        let linger = match options.sync {
            SyncPolicy::Always => Duration::ZERO,
            SyncPolicy::Asked => LINGER,
        };
        let queue = Arc::new(Queue::new(options.max_bytes, options.max_batches, linger));
        let (figures, compacting) = (
            Arc::new(Figures::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let committer = Committer::new(
            appender,
            options.sync,
            queue.clone(),
            figures.clone(),
            compacting.clone(),
        );
        let for_thread = queue.clone();
        let thread = std::thread::Builder::new()
            .name("ovsdb-log".to_owned())
            .spawn(move || run(committer, &for_thread))
            .map_err(|answer| LogError::Thread {
                file: path.clone(),
                answer,
            })?;
        Ok(Log {
            path,
            queue,
            figures,
            compacting,
            counters,
            thread: Mutex::new(Some(thread)),
            span,
        })
    }

    /// The file's path: absolute, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has counted so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Hands a batch over without waiting.
    pub fn try_submit(&self, batch: Batch) -> Result<(), Refused> {
        self.queue.submit(batch)
    }

    /// The same, for a caller that can wait for I/O: where it is quicker than to wake the log's thread,
    /// the caller gets the turn to commit, and is expected to take it at once.
    pub fn submit_here(&self, batch: Batch) -> Result<Option<Turn>, Refused> {
        self.queue.submit_here(batch)
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
        let (began, counters) = (Instant::now(), self.counters.clone());
        let compaction = Compaction {
            snapshot: Box::new(snapshot),
            done: Box::new(move |result| {
                counters.rewritten(began, &result);
                done(result);
            }),
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
        // Dropped by a `done`, which runs where the log is being committed: that cannot be waited for.
        if self.queue.is_turn_of_this_thread() {
            return Ok(());
        }
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match thread {
            // The same, on the log's own thread.
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
            tracing::error!(parent: &self.span, "{error}");
        }
    }
}

/// The log's thread: commits whatever nobody commits in a turn.
fn run(mut committer: Box<Committer>, queue: &Queue) -> Result<(), LogError> {
    let _span = committer.span().clone().entered();
    let mut items = VecDeque::new();
    loop {
        let going_on;
        (committer, going_on) = queue.take(committer, &mut items);
        if !going_on {
            return committer.finish();
        }
        committer.work(&mut items);
    }
}
