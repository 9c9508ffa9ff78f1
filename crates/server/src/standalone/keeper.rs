//! The keeper of a file: takes proposals, gives them to the log, and tells their ends in order.
//!
//! Under [`SyncPolicy::Asked`] most proposals are acknowledged as soon as the log has taken them. Should
//! their write fail they are seen and answered already, so they are kept in memory and written
//! before anything else; until that has worked nothing more is acknowledged unwritten.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::Version;
use ovsdb_log::{CompactionSchedule, Log, LogError, Model, Status, SyncPolicy, Turn};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::line::Kind;
use super::record::Record;
use super::state::{Item, State, Write};
use super::submit::Thread;
use crate::ordering::{Done, Ordering, Proposal, Work};

/// Keeps a database in its file.
pub struct Standalone {
    pub(super) log: Log,
    pub(super) sync: SyncPolicy,
    state: Mutex<State>,
    /// Notified when nothing is on its way to the file.
    idle: Condvar,
    schedule: Mutex<Schedule>,
    itself: Weak<Standalone>,
}

struct Schedule {
    rules: CompactionSchedule,
    opened: Instant,
    asked: bool,
    last: Option<Instant>,
}

impl std::fmt::Debug for Standalone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standalone")
            .field("log", &self.log)
            .field("sync", &self.sync)
            .finish_non_exhaustive()
    }
}

impl Standalone {
    pub(super) fn new(log: Log, sync: SyncPolicy, schema: Arc<Schema>) -> Arc<Standalone> {
        let opened = Instant::now();
        let rules = CompactionSchedule::new(Model::Standalone, opened.elapsed(), random());
        Arc::new_cyclic(|itself| Standalone {
            log,
            sync,
            state: Mutex::new(State::new(schema)),
            idle: Condvar::new(),
            schedule: Mutex::new(Schedule {
                rules,
                opened,
                asked: false,
                last: None,
            }),
            itself: itself.clone(),
        })
    }

    /// The file: absolute, links resolved.
    pub fn path(&self) -> &Path {
        self.log.path()
    }

    /// The file's figures.
    pub fn status(&self) -> Status {
        self.log.status()
    }

    /// What has happened to the file.
    pub fn counters(&self) -> &Arc<ovsdb_log::Counters> {
        self.log.counters()
    }

    /// How many acknowledged transactions are not in the file, as writing them has failed.
    pub fn unwritten(&self) -> usize {
        let state = self.state.lock();
        state.unwritten.len() + state.retrying.len()
    }

    /// True if the reference's rules say that the file should be compacted now. Cheap; ask every
    /// few seconds. The answer is `true` once; say with [`Standalone::compacted`] how it went.
    pub fn compaction_due(&self) -> bool {
        let status = self.log.status();
        let mut schedule = self.schedule.lock();
        if schedule.asked || status.compacting {
            return false;
        }
        let now = schedule.opened.elapsed();
        schedule.asked =
            schedule
                .rules
                .due(now, status.records, status.size, status.base, random());
        schedule.asked
    }

    /// A compaction, asked for or by schedule, is over.
    pub fn compacted(&self, succeeded: bool) {
        let mut schedule = self.schedule.lock();
        let now = schedule.opened.elapsed();
        schedule.rules.finished(now, succeeded, random());
        schedule.asked = false;
        if succeeded {
            schedule.last = Some(Instant::now());
        }
    }

    /// How long ago the file was last compacted; none if it was not since it was opened.
    pub fn last_compaction(&self) -> Option<Duration> {
        self.schedule.lock().last.map(|last| last.elapsed())
    }

    /// Tries again to write what was acknowledged before its write failed. Call it about once a second.
    pub fn tick(&self) {
        if !self.state.lock().unwritten.is_empty() {
            self.change(|state| state.retry = true);
        }
    }

    /// Writes what waits, syncs, and closes the file. A compaction or conversion under way is given
    /// up, and so is what waits for it. Blocks; not to be called by a `done`.
    pub fn close(&self) -> Result<(), LogError> {
        // The first round may end with failed writes, which the second one tries again.
        for _ in 0..2 {
            self.change(|state| state.retry = true);
            let mut state = self.state.lock();
            while !state.is_idle() {
                self.idle.wait(&mut state);
            }
        }
        self.log.close()?;
        let state = self.state.lock();
        match (&state.last_failure, state.unwritten.len()) {
            (Some(failure), lost @ 1..) => Err(LogError::Io {
                file: self.log.path().to_path_buf(),
                action: format!("cannot write {lost} acknowledged transactions"),
                answer: match failure.io_error() {
                    Some(source) => std::io::Error::new(source.kind(), source.to_string()),
                    None => std::io::Error::other(failure.to_string()),
                },
            }),
            _ => Ok(()),
        }
    }

    /// Changes the state, and then does all that has become possible by it.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.change_on(Thread::Any, change);
    }

    fn change_on(&self, thread: Thread, change: impl FnOnce(&mut State)) -> Option<Turn> {
        let mut state = self.state.lock();
        change(&mut state);
        self.go_on(thread, state)
    }

    fn go_on(&self, thread: Thread, mut state: MutexGuard<'_, State>) -> Option<Turn> {
        let itself = self.itself.upgrade()?;
        let turn = itself.submit_all(thread, &mut state);
        tell(&mut state);
        if state.is_idle() {
            self.idle.notify_all();
        }
        let space_wanted = state.space_wanted.take();
        drop(state);
        // Without the mutex, as the answer may come at once.
        if let Some(size) = space_wanted {
            self.log
                .on_space(size, Box::new(move || itself.has_space()));
        }
        turn
    }

    fn has_space(&self) {
        let mut state = self.state.lock();
        state.no_space = false;
        self.go_on(Thread::Any, state);
    }

    fn propose_on(&self, thread: Thread, proposal: Proposal) -> Option<Turn> {
        let Proposal {
            commit,
            comment,
            durable,
            done,
            ..
        } = proposal;
        let Some(commit) = commit else {
            return self.change_on(thread, |state| {
                let outcome = state.failed.clone().map(Err);
                state.line.join(Kind::Barrier, outcome, done);
            });
        };
        let schema = commit.changes.schema.clone();
        let record = Arc::new(Record::new(commit, comment));
        let size = record.size_hint();
        self.change_on(thread, |state| {
            let outcome = state.failed.clone().map(Err);
            let fails = outcome.is_some();
            let number = state.line.join(Kind::Write, outcome, done);
            if fails {
                return;
            }
            if same_schema(&schema, &state.schema) {
                state.overflow.push_back(Item::Write(Write {
                    number,
                    record,
                    size,
                    durable,
                }));
            } else {
                let error = "the transaction follows a schema that the database does not have";
                state.fail(number, Error::new(Tag::OvsdbError, error));
            }
        })
    }
}

impl Ordering for Arc<Standalone> {
    fn propose(&self, proposal: Proposal) {
        self.propose_on(Thread::Any, proposal);
    }

    fn propose_here(&self, proposal: Proposal) -> Option<Work> {
        let turn = self.propose_on(Thread::DoesIo, proposal)?;
        Some(Box::new(move || turn.take()))
    }

    fn resume(&self) {
        self.change(|state| state.failed = None);
    }

    /// A compaction is done on one of the log's threads, whenever it is ready. A conversion is done
    /// in order like a proposal; writes that are proposed behind it wait for it, and must follow the
    /// new schema. If it fails, so do they, and only then the writer has to
    /// [`resume`](Ordering::resume). What only reads the new contents cannot be told from other
    /// reads: it must not be proposed before the conversion is done.
    fn replace(&self, _: u64, version: Version, done: Done) {
        self.change(|state| {
            if let Some(error) = state.failed.clone() {
                state.told.push((done, Err(error)));
            } else if same_schema(version.schema(), &state.schema) {
                state.overflow.push_back(Item::Compact(version, done));
            } else {
                state.schema = version.schema().clone();
                let number = state.line.join(Kind::Write, None, done);
                state.overflow.push_back(Item::Convert(version, number));
            }
        });
    }
}

fn same_schema(a: &Arc<Schema>, b: &Arc<Schema>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// Tells the outcomes that there are, with the mutex given up meanwhile.
fn tell(state: &mut MutexGuard<'_, State>) {
    for (done, outcome) in std::mem::take(&mut state.told) {
        MutexGuard::unlocked(state, || call(done, outcome));
    }
    if state.telling {
        return;
    }
    state.telling = true;
    while let Some((done, outcome)) = state.line.next() {
        MutexGuard::unlocked(state, || call(done, outcome));
    }
    state.telling = false;
}

fn call(done: Done, outcome: Result<(), Error>) {
    if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
        tracing::error!("what was to be done after a transaction panicked");
    }
}

fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}
