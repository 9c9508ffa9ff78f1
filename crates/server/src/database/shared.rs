//! A database that several servers share: whoever leads executes, the others follow.

use std::sync::Arc;

use bytes::Bytes;
use ovsdb::{Error, Schema, Uuid};
use ovsdb_cluster::contents::{self, Applied};
use ovsdb_engine::{Changes, Commit, Outcome, Version};
use parking_lot::MutexGuard;

use super::{Attempt, Database, Job, Route, Writer};
use crate::ordering::{Done, Loss, Lost, Proposal};

impl Database {
    /// Several servers share the database, see [`Ordering`](crate::ordering::Ordering::is_shared).
    pub fn is_shared(&self) -> bool {
        self.ordering.is_shared()
    }

    /// This server orders transactions from now on, in this term, behind all that is committed: first
    /// what is executed already, then what has waited.
    pub fn lead(&self, term: u64, first: Option<Executed>) {
        let mut writer = self.writer.lock();
        if !self.enter(&mut writer, Route::Here, term) {
            return;
        }
        if let Some(first) = first {
            // What becomes of it shows the log.
            self.order_next(writer, first, |_| {});
            writer = self.writer.lock();
        }
        self.try_blocked(&mut writer);
        drop(writer);
        self.work();
    }

    /// Another server does, and takes what is passed on to it.
    pub fn follow(&self) {
        self.take_route(Route::Elsewhere, 0);
    }

    /// Nobody is known to order transactions: they wait.
    pub fn stand_by(&self) {
        self.take_route(Route::Nowhere, 0);
    }

    /// Nobody will any more, as far as this server is concerned. Whoever waits hears so, now and
    /// from now on: that client has to look for another server.
    pub fn end_work(&self) {
        self.take_route(Route::Over, 0);
    }

    fn take_route(&self, route: Route, term: u64) {
        let mut writer = self.writer.lock();
        if self.enter(&mut writer, route, term) {
            self.try_blocked(&mut writer);
            drop(writer);
            self.work();
        }
    }

    /// Goes on behind what is committed; false if it is all over.
    fn enter(&self, writer: &mut Writer, route: Route, term: u64) -> bool {
        if writer.route == Route::Over {
            return false;
        }
        writer.head = self.committed().version.clone();
        writer.era += 1;
        writer.route = route;
        writer.term = term;
        true
    }

    /// What this server has proposed as a leader is committed after it has ceased to be one.
    pub fn catch_up(&self) {
        let mut writer = self.writer.lock();
        // Who leads again begins behind all that is committed.
        if writer.route != Route::Here {
            writer.head = self.committed().version.clone();
            self.try_blocked(&mut writer);
        }
        drop(writer);
        self.work();
    }

    /// The head is another one: what was blocked on the one before may not be now.
    fn try_blocked(&self, writer: &mut Writer) {
        // A conversion sees to them itself.
        if writer.route != Route::Nowhere && !writer.converting {
            for job in std::mem::take(&mut writer.blocked) {
                self.execute(writer, Attempt::again(job), false);
            }
        }
    }

    /// What another server has ordered is committed.
    pub fn apply_foreign(&self, version: Version, changes: Changes) {
        let mut writer = self.writer.lock();
        if writer.route == Route::Here {
            // Somebody else orders now; who decides that will say so in a moment.
            writer.route = Route::Nowhere;
        }
        writer.head = version.clone();
        let changed: Vec<_> = changes.tables.iter().map(|table| table.table).collect();
        let changes = changes.into();
        self.publish(Arc::new(Commit { version, changes }));
        if !changed.is_empty() && !writer.blocked.is_empty() {
            self.release(&mut writer, &changed);
        }
        // Who found the writer taken meanwhile relies on this.
        drop(writer);
        self.work();
    }

    /// Tries blocked jobs again that wait for one of these tables.
    pub(super) fn release(&self, writer: &mut Writer, changed: &[ovsdb::TableId]) {
        let (released, blocked): (Vec<_>, _) = std::mem::take(&mut writer.blocked)
            .into_iter()
            .partition(|job| {
                let mut awaited = job.transaction.awaited_tables();
                awaited.any(|table| changed.contains(&table))
            });
        writer.blocked = blocked;
        for job in released {
            self.execute(writer, Attempt::again(job), false);
        }
    }

    /// Everything is replaced by what the other servers have. True if the schema is another one:
    /// sessions have to be told then.
    pub fn replace_foreign(&self, version: Version) -> bool {
        let mut writer = self.writer.lock();
        if writer.route == Route::Here {
            writer.route = Route::Nowhere;
        }
        let committed = self.committed();
        let old = &committed.version;
        let version = version.with_sequence(old.sequence() + 1);
        if version.schema() == old.schema() {
            let version = version.with_schema(old.schema().clone());
            let changes = Changes::between(old, &version);
            writer.head = version.clone();
            self.history.lock().clear();
            let changed: Vec<_> = changes.tables.iter().map(|table| table.table).collect();
            let changes = changes.into();
            self.publish(Arc::new(Commit { version, changes }));
            self.release(&mut writer, &changed);
            drop(writer);
            self.work();
            return false;
        }
        writer.head = version.clone();
        self.history.lock().clear();
        let changes = Changes::none(version.schema().clone()).into();
        self.committed.store(Arc::new(Commit { version, changes }));
        (self.watcher)();
        for job in writer.blocked.drain(..) {
            job.answer.canceled();
        }
        drop(writer);
        self.work();
        true
    }

    /// Orders a transaction that another server has executed. `done` hears of it.
    pub fn order(&self, executed: Executed, done: impl FnOnce(Ordered) + Send + 'static) {
        self.order_next(self.writer.lock(), executed, done);
    }

    fn order_next(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        executed: Executed,
        done: impl FnOnce(Ordered) + Send + 'static,
    ) {
        let Executed {
            prerequisite,
            id,
            data,
        } = executed;
        let leads = writer.route == Route::Here && !self.ordering.is_over(writer.term);
        if !leads || writer.converting {
            drop(writer);
            self.work();
            return done(Ordered::NotHere);
        }
        if writer.head.id() != prerequisite {
            drop(writer);
            self.work();
            return done(Ordered::Mismatch);
        }
        let (version, changes) = match contents::apply(Some(&writer.head), &data, id) {
            Ok(Applied::Changed(version, changes)) => (version, changes),
            Ok(Applied::Replaced(version)) => {
                let version = version.with_sequence(writer.head.sequence() + 1);
                let schema = version.schema().clone();
                let done = Box::new(move |result| {
                    done(match result {
                        Ok(()) => Ordered::Converted(schema),
                        Err(_) => Ordered::Lost,
                    });
                });
                return self.replace(writer, version, done);
            }
            Err(error) => {
                drop(writer);
                self.work();
                return done(Ordered::Wrong(error));
            }
        };
        let version = match changes.is_empty() {
            true => version.with_sequence(writer.head.sequence() + 1),
            false => version,
        };
        writer.head = version.clone();
        let commit = Arc::new(Commit {
            version,
            changes: changes.into(),
        });
        let database = self.itself.clone();
        let proposed = commit.clone();
        let finish = Arc::new(parking_lot::Mutex::new(Some(done)));
        let lost = finish.clone();
        let kept: Done = Box::new(move |result| {
            if let (Ok(()), Some(database)) = (&result, database.upgrade()) {
                database.publish(proposed);
            }
            if let Some(done) = finish.lock().take() {
                done(match result {
                    Ok(()) => Ordered::Kept,
                    Err(error) => Ordered::Wrong(error),
                });
            }
        });
        self.ordering.propose(Proposal {
            term: writer.term,
            commit: Some(commit),
            comment: None,
            durable: true,
            done: kept,
            lost: Some(Box::new(move |_| {
                if let Some(done) = lost.lock().take() {
                    done(Ordered::Lost);
                }
            })),
        });
        drop(writer);
        self.work();
    }

    /// Passes a job on, after those reasons to keep it that only this server knows.
    pub(super) fn pass_on(&self, writer: &mut Writer, job: Job, first: bool) {
        let mut locks = job.transaction.asserted_locks();
        let misses_lock = locks.any(|lock| !(job.owns_lock)(lock));
        drop(locks);
        // Where an earlier one of its session is on its way, this server's contents are too old for it.
        let is_behind = self.ordering.has_passed_on(job.key.session);
        let orderer = self.ordering.orderer();
        let trial = job.transaction.may_block() || orderer.wants_trial(&job.transaction);
        let must_try = job.is_limited() && !orderer.hears_limits();
        if !misses_lock && !must_try && (is_behind || !trial) {
            return self.ordering.pass_on(job);
        }
        match job.execute(&writer.head) {
            Outcome::Blocked { timeout } => {
                if first {
                    job.answer.blocked(timeout);
                }
                writer.blocked.push(job);
            }
            Outcome::Done {
                changes,
                reply,
                failure,
                ..
            } if changes.is_empty() && orderer.trusts_trial(&job.transaction, failure) => {
                job.answer.done(reply.finish());
            }
            Outcome::Done { .. } => self.ordering.pass_on(job),
        }
    }

    /// What happens if a job's proposal is lost.
    pub(super) fn when_lost(&self, job: Job) -> Lost {
        let database = self.itself.clone();
        Box::new(move |loss| match (loss, database.upgrade()) {
            // The server that has passed it on finds out by itself.
            _ if job.passed_on_in.is_some() => {}
            (Loss::NotKept, Some(database)) => database.take_back(job),
            _ => job.answer.unknown(),
        })
    }

    /// A job that was not executed, or in vain, is executed again before all that came later.
    pub fn take_back(&self, job: Job) {
        self.returned.lock().insert(job.order, job);
    }

    /// Works on what was taken back, if it can be executed now.
    pub fn resume_work(&self) {
        self.work();
    }
}

/// A transaction that was executed where it could not be ordered.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The version that it was executed on: it counts behind that one or not at all.
    pub prerequisite: Uuid,
    /// Its own.
    pub id: Uuid,
    /// What it changes, as it is in the log.
    pub data: Bytes,
}

/// What became of a transaction that another server has executed.
#[derive(Debug)]
pub enum Ordered {
    /// It is committed.
    Kept,
    /// It is committed, and the contents have this schema now.
    Converted(Arc<Schema>),
    /// This server does not lead.
    NotHere,
    /// It was executed on another version than the newest one.
    Mismatch,
    /// It was not kept, or nobody knows.
    Lost,
    /// It cannot be applied.
    Wrong(Error),
}
