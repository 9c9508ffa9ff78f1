//! A database at work: one writer on the newest version, everybody else on the committed one.

use std::collections::VecDeque;
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use ovsdb::{Error, TableId, Uuid};
use ovsdb_engine::{Changes, Commit, Context, History, Outcome, Transaction, Version};
use parking_lot::Mutex;

use crate::ordering::{Done, Ordering, Proposal};

/// A request for the writer.
pub struct Job {
    /// What to execute, parsed against the committed version's schema.
    pub transaction: Transaction,
    /// Only reads are allowed.
    pub read_only: bool,
    /// When the request came.
    pub arrived: Instant,
    /// True if the session that asks owns the lock of a name.
    pub owns_lock: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Where the end is told.
    pub answer: Arc<dyn Answer>,
}

/// Who asked for a job.
pub trait Answer: Send + Sync {
    /// The job is done: its results, and the sequence number of the version that a reader must
    /// have seen before.
    fn done(&self, results: Vec<u8>, sequence: u64);

    /// A `wait` does not hold yet. It is tried again when one of its tables changes, and by
    /// [`Database::retry`]. `timeout` is in milliseconds after the request came.
    fn blocked(&self, timeout: Option<u64>);
}

/// Who wants to know that there is a new committed version.
pub type Watcher = Box<dyn Fn(&Commit) + Send + Sync>;

/// A database that is being served.
pub struct Database {
    queue: Mutex<VecDeque<Job>>,
    writer: Mutex<Writer>,
    committed: ArcSwap<Commit>,
    history: Mutex<History>,
    ordering: Box<dyn Ordering>,
    watcher: Watcher,
    /// How many eras have failed: one failure often takes many proposals with it.
    failed_eras: AtomicU64,
    itself: Weak<Database>,
}

/// What only the one who holds the writer's lock touches.
struct Writer {
    head: Version,
    /// Proposals of this era may commit; a failure begins the next era.
    era: u64,
    blocked: Vec<Job>,
}

impl Database {
    /// A database that begins with `version`.
    pub fn new(version: Version, ordering: Box<dyn Ordering>, watcher: Watcher) -> Arc<Database> {
        let changes = Changes::none(version.schema().clone());
        let writer = Writer {
            head: version.clone(),
            era: 0,
            blocked: Vec::new(),
        };
        Arc::new_cyclic(|itself| Database {
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            committed: ArcSwap::from_pointee(Commit { version, changes }),
            history: Mutex::default(),
            ordering,
            watcher,
            failed_eras: AtomicU64::new(0),
            itself: itself.clone(),
        })
    }

    /// The newest version that is sure to last.
    pub fn committed(&self) -> Arc<Commit> {
        self.committed.load_full()
    }

    /// Reads the history.
    pub fn with_history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.history.lock())
    }

    /// Queues a job. Whoever finds the writer free works the queue off, so that without
    /// contention the caller executes its own job, with no other thread involved.
    pub fn submit(&self, job: Job) {
        self.queue.lock().push_back(job);
        self.work();
    }

    /// Tries the blocked jobs again: one of them has timed out, or a session has gone.
    pub fn retry(&self) {
        let mut writer = self.writer.lock();
        let blocked = std::mem::take(&mut writer.blocked);
        for job in blocked {
            self.execute(&mut writer, job);
        }
        drop(writer);
        self.work();
    }

    fn work(&self) {
        loop {
            let Some(mut writer) = self.writer.try_lock() else {
                // Whoever holds it looks at the queue again after letting go.
                return;
            };
            while let Some(job) = self.next_job() {
                self.execute(&mut writer, job);
            }
            drop(writer);
            if self.queue.lock().is_empty() {
                return;
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        self.queue.lock().pop_front()
    }

    /// Executes a job, and then the blocked jobs that its changes may have released, and so on.
    fn execute(&self, writer: &mut Writer, job: Job) {
        let mut ready = VecDeque::from([job]);
        while let Some(job) = ready.pop_front() {
            let changed = self.execute_one(writer, job);
            if changed.is_empty() {
                continue;
            }
            let (released, still_blocked) = std::mem::take(&mut writer.blocked)
                .into_iter()
                .partition(|job| {
                    let mut awaited = job.transaction.awaited_tables();
                    awaited.any(|table| changed.contains(&table))
                });
            writer.blocked = still_blocked;
            ready.extend::<Vec<Job>>(released);
        }
    }

    /// Executes a job once; returns the tables that it has changed.
    fn execute_one(&self, writer: &mut Writer, job: Job) -> Vec<TableId> {
        let elapsed = job.arrived.elapsed().as_millis();
        let mut context = Context {
            read_only: job.read_only,
            elapsed: u64::try_from(elapsed).unwrap_or(u64::MAX),
            owns_lock: &*job.owns_lock,
            new_uuid: &mut Uuid::new_v4,
        };
        match job.transaction.execute(&writer.head, &mut context) {
            Outcome::Blocked { timeout } => {
                job.answer.blocked(timeout);
                writer.blocked.push(job);
                Vec::new()
            }
            Outcome::Done {
                version,
                changes,
                mut reply,
                durable,
                comment,
            } => {
                let changed: Vec<_> = changes.tables.iter().map(|table| table.table).collect();
                writer.head = version.clone();
                let sequence = version.sequence();
                let commit = (!changes.is_empty()).then(|| Arc::new(Commit { version, changes }));
                let answer = job.answer;
                let database = self.itself.clone();
                let era = writer.era;
                let proposed = commit.clone();
                self.ordering.propose(Proposal {
                    commit,
                    comment,
                    durable,
                    done: Box::new(move |result| {
                        let Some(database) = database.upgrade() else {
                            return;
                        };
                        match result {
                            Ok(()) => {
                                if let Some(commit) = proposed {
                                    database.publish(commit);
                                }
                            }
                            Err(error) => {
                                reply.error(&error);
                                database.roll_back_later(era);
                            }
                        }
                        answer.done(reply.finish(), sequence);
                    }),
                });
                changed
            }
        }
    }

    fn publish(&self, commit: Arc<Commit>) {
        self.committed.store(commit.clone());
        self.history.lock().push(commit.clone());
        (self.watcher)(&commit);
    }

    /// Brings the head back to what is committed after a failure, once for all that failed.
    fn roll_back_later(&self, era: u64) {
        let failed = &self.failed_eras;
        if failed.fetch_max(era + 1, atomic::Ordering::AcqRel) > era {
            return;
        }
        let Some(database) = self.itself.upgrade() else {
            return;
        };
        // The failure may be told by the thread that holds the writer: another one must wait for
        // it.
        std::thread::spawn(move || {
            let mut writer = database.writer.lock();
            if writer.era != era {
                return;
            }
            writer.era += 1;
            writer.head = database.committed().version.clone();
            database.ordering.resume();
            drop(writer);
            database.work();
        });
    }

    /// Rewrites what is kept in its shortest form.
    pub fn compact(&self, done: Done) {
        let writer = self.writer.lock();
        self.ordering.replace(writer.head.clone(), done);
    }

    /// An internal change that no client may make: rows of `_Server`.
    pub fn apply(
        &self,
        change: impl FnOnce(&Version) -> Result<(Version, Changes), Error>,
    ) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        let (version, changes) = change(&writer.head)?;
        writer.head = version.clone();
        if !changes.is_empty() {
            self.publish(Arc::new(Commit { version, changes }));
        }
        drop(writer);
        self.work();
        Ok(())
    }
}
