//! A database at work: one writer on the newest version, everybody else on the committed one.

mod job;
mod replacing;
mod replicated;
mod shared;

pub use job::{Answer, Job, JobKey};
pub use shared::{Executed, Ordered};

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use ovsdb::{Error, TableId, Uuid};
use ovsdb_engine::{Changes, Commit, History, Outcome, Version};
use parking_lot::Mutex;

use crate::counters::TransactionCounters;
use crate::locks::SessionId;
use crate::ordering::{Ordering, Proposal, Work};
use crate::report::{Rate, Recent};
use crate::table_log::TableLog;

/// Who wants to know that there is a new committed version.
pub type Watcher = Box<dyn Fn() + Send + Sync>;

/// A database that is being served.
pub struct Database {
    queue: Mutex<Queue>,
    /// Jobs that were executed in vain, by their order, before all that are in the queue.
    returned: Mutex<BTreeMap<u64, Job>>,
    writer: Mutex<Writer>,
    committed: ArcSwap<Commit>,
    history: Mutex<History>,
    ordering: Box<dyn Ordering>,
    watcher: Watcher,
    /// How many eras have failed: one failure often takes many proposals with it.
    failed_eras: AtomicU64,
    counters: TransactionCounters,
    /// Commits that change something.
    changes: Rate,
    table_log: TableLog,
    itself: Weak<Database>,
}

/// Jobs that nobody has looked at yet.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// How many there have been.
    count: u64,
}

impl Queue {
    fn push(&mut self, mut job: Job) {
        self.count += 1;
        job.order = self.count;
        self.jobs.push_back(job);
    }
}

/// A job that is to be executed.
struct Attempt {
    job: Job,
    /// Nobody has been told yet that it is blocked.
    first: bool,
}

impl Attempt {
    fn again(job: Job) -> Attempt {
        Attempt { job, first: false }
    }
}

/// Where jobs are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Here,
    /// By the server that orders transactions.
    Elsewhere,
    /// Nobody knows: they wait.
    Nowhere,
    /// Nowhere any more: this server has taken leave of the others.
    Over,
}

/// What only the one who holds the writer's lock touches.
struct Writer {
    head: Version,
    /// Proposals of this era may commit; a failure begins the next era.
    era: u64,
    blocked: Vec<Job>,
    route: Route,
    /// The term in which jobs are executed here; 0 where nobody else takes part.
    term: u64,
    /// A conversion is under way: jobs wait in the queue.
    converting: bool,
    /// It follows another server's: clients only read it.
    read_only: bool,
}

impl Database {
    /// A database that begins with `version`.
    pub fn new(version: Version, ordering: Box<dyn Ordering>, watcher: Watcher) -> Arc<Database> {
        let changes = Changes::none(version.schema().clone());
        let writer = Writer {
            head: version.clone(),
            era: 0,
            blocked: Vec::new(),
            route: match ordering.is_shared() {
                true => Route::Nowhere,
                false => Route::Here,
            },
            term: 0,
            converting: false,
            read_only: false,
        };
        Arc::new_cyclic(|itself| Database {
            queue: Mutex::default(),
            returned: Mutex::default(),
            writer: Mutex::new(writer),
            committed: ArcSwap::from_pointee(Commit {
                version,
                changes: changes.into(),
            }),
            history: Mutex::default(),
            ordering,
            watcher,
            failed_eras: AtomicU64::new(0),
            counters: TransactionCounters::default(),
            changes: Rate::new(),
            table_log: TableLog::default(),
            itself: itself.clone(),
        })
    }

    /// The newest version that is sure to last.
    pub fn committed(&self) -> Arc<Commit> {
        self.committed.load_full()
    }

    /// The newest sequence number that is sure to last.
    pub fn committed_sequence(&self) -> u64 {
        self.committed.load().version.sequence()
    }

    /// What has become of its transactions.
    pub fn counters(&self) -> &TransactionCounters {
        &self.counters
    }

    /// How many commits there were of late.
    pub fn recent_changes(&self) -> Recent {
        self.changes.recent()
    }

    /// The tables whose changes are written to the log.
    pub(crate) fn table_log(&self) -> &TableLog {
        &self.table_log
    }

    /// Reads the history.
    pub fn with_history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.history.lock())
    }

    /// Queues a job. Whoever finds the writer free works the queue off, so that without
    /// contention the caller executes its own job, with no other thread involved.
    pub fn submit(&self, job: Job) {
        self.queue.lock().push(job);
        self.work();
    }

    /// The same, for a caller that can do I/O: it may get work to do, at once and without a lock.
    pub fn submit_here(&self, job: Job) -> Option<Work> {
        self.queue.lock().push(job);
        self.work_on(true)
    }

    /// Tries a blocked job again, as it has timed out.
    pub fn retry(&self, key: JobKey) {
        let mut writer = self.writer.lock();
        let place = writer.blocked.iter().position(|job| job.key == key);
        // A conversion cancels it or, having failed, tries all blocked jobs again.
        if let Some(place) = place
            && !writer.converting
        {
            let job = writer.blocked.swap_remove(place);
            self.execute(&mut writer, Attempt::again(job), false);
        }
        drop(writer);
        self.work();
    }

    /// Forgets blocked jobs, which get no answer. True if there were any.
    pub fn forget(&self, mut which: impl FnMut(JobKey) -> bool) -> bool {
        let mut writer = self.writer.lock();
        let before = writer.blocked.len();
        writer.blocked.retain(|job| !which(job.key));
        let forgotten = writer.blocked.len() < before;
        let forgotten = self.ordering.forget(&mut which) || forgotten;
        drop(writer);
        self.work();
        forgotten
    }

    /// A session is over: its jobs get no answer, blocked or passed on.
    pub fn leave(&self, session: SessionId) {
        self.forget(|key| key.session == session);
        self.ordering.leave(session);
    }

    fn work(&self) {
        self.work_on(false);
    }

    /// Works the queue off; `does_io` if the caller can do I/O for what it executes.
    fn work_on(&self, does_io: bool) -> Option<Work> {
        let mut work = None;
        loop {
            let Some(mut writer) = self.writer.try_lock() else {
                // Whoever holds it looks at the queue again after letting go.
                return work;
            };
            if writer.converting || writer.route == Route::Nowhere {
                return work;
            }
            // A term may end in the middle.
            while writer.route != Route::Nowhere
                && let Some(job) = self.next_job()
            {
                let more = self.execute(&mut writer, Attempt { job, first: true }, does_io);
                work = work.or(more);
            }
            drop(writer);
            if self.queue.lock().jobs.is_empty() && self.returned.lock().is_empty() {
                return work;
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let returned = self.returned.lock().pop_first();
        let returned = returned.map(|(_, job)| job);
        returned.or_else(|| self.queue.lock().jobs.pop_front())
    }

    /// Executes a job, and then the blocked jobs that its changes may have released, and so on.
    fn execute(&self, writer: &mut Writer, attempt: Attempt, does_io: bool) -> Option<Work> {
        let mut work = None;
        let mut ready = VecDeque::from([attempt]);
        while let Some(attempt) = ready.pop_front() {
            let (changed, more) = self.execute_one(writer, attempt, does_io);
            work = work.or(more);
            if changed.is_empty() || writer.blocked.is_empty() {
                continue;
            }
            let (released, still_blocked): (Vec<_>, _) = std::mem::take(&mut writer.blocked)
                .into_iter()
                .partition(|job| {
                    let mut awaited = job.transaction.awaited_tables();
                    awaited.any(|table| changed.contains(&table))
                });
            writer.blocked = still_blocked;
            ready.extend(released.into_iter().map(Attempt::again));
        }
        work
    }

    /// Executes a job once; returns the tables that it has changed.
    fn execute_one(
        &self,
        writer: &mut Writer,
        attempt: Attempt,
        does_io: bool,
    ) -> (Vec<TableId>, Option<Work>) {
        let Attempt { job, first } = attempt;
        if job.is_abandoned() {
            return (Vec::new(), None);
        }
        if !Arc::ptr_eq(job.transaction.schema(), writer.head.schema()) {
            job.answer.canceled();
            return (Vec::new(), None);
        }
        match writer.route {
            Route::Here if job.passed_on_in.is_some_and(|term| term != writer.term) => {
                return (Vec::new(), None);
            }
            Route::Here if self.ordering.is_over(writer.term) => {
                // The head has what is in no log: nothing can be executed on it. Who decides where
                // jobs go will say so in a moment.
                writer.route = Route::Nowhere;
                if job.passed_on_in.is_none() {
                    self.take_back(job);
                }
                return (Vec::new(), None);
            }
            Route::Here => {}
            _ if job.passed_on_in.is_some() => return (Vec::new(), None),
            Route::Elsewhere => {
                self.pass_on(writer, job, first);
                return (Vec::new(), None);
            }
            Route::Nowhere => {
                self.take_back(job);
                return (Vec::new(), None);
            }
            Route::Over => {
                job.answer.unknown();
                return (Vec::new(), None);
            }
        }
        match job.execute_under(&writer.head, writer.read_only) {
            Outcome::Blocked { timeout } => {
                if first {
                    job.answer.blocked(timeout);
                }
                if job.passed_on_in.is_none() {
                    writer.blocked.push(job);
                }
                (Vec::new(), None)
            }
            Outcome::Done {
                version,
                changes,
                mut reply,
                durable,
                comment,
                ..
            } => {
                let changed: Vec<_> = changes.tables.iter().map(|table| table.table).collect();
                let shared = self.ordering.is_shared();
                let version = if shared && !changes.is_empty() {
                    version.with_id(job.id.unwrap_or_else(Uuid::new_v4))
                } else {
                    version
                };
                writer.head = version.clone();
                let commit = (!changes.is_empty()).then(|| {
                    let changes = changes.into();
                    Arc::new(Commit { version, changes })
                });
                let answer = job.answer.clone();
                let lost = shared.then(|| self.when_lost(job));
                let database = self.itself.clone();
                let era = writer.era;
                let proposed = commit.clone();
                let proposal = Proposal {
                    term: writer.term,
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
                        answer.done(reply.finish());
                    }),
                    lost,
                };
                if does_io {
                    return (changed, self.ordering.propose_here(proposal));
                }
                self.ordering.propose(proposal);
                (changed, None)
            }
        }
    }

    fn publish(&self, commit: Arc<Commit>) {
        // In this order: whoever sees the commit finds it in the history.
        self.history.lock().push(&commit);
        self.table_log.tell(&commit.changes);
        self.committed.store(commit);
        self.changes.count();
        (self.watcher)();
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

    /// An internal change that no client may make: rows of `_Server`.
    pub fn apply(
        &self,
        change: impl FnOnce(&Version) -> Result<(Version, Changes), Error>,
    ) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        let (version, changes) = change(&writer.head)?;
        writer.head = version.clone();
        if !changes.is_empty() {
            let changed: Vec<_> = changes.tables.iter().map(|table| table.table).collect();
            let changes = changes.into();
            self.publish(Arc::new(Commit { version, changes }));
            self.release(&mut writer, &changed);
        }
        drop(writer);
        self.work();
        Ok(())
    }
}
