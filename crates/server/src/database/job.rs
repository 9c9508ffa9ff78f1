//! What the writer is asked for, and who asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb_engine::{Context, Outcome, Role, Transaction, Version};

use crate::locks::SessionId;

/// Names a job: the session that asks, and a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// The session.
    pub session: SessionId,
    /// The session's number for the request.
    pub number: u64,
}

/// A request for the writer.
pub struct Job {
    /// By what it can be tried again or forgotten.
    pub key: JobKey,
    /// Its place among all jobs of the database, which [`Database::submit`](super::Database::submit)
    /// gives it: wherever it comes back from, it goes before those that came later.
    pub order: u64,
    /// What to execute, parsed against the committed version's schema.
    pub transaction: Transaction,
    /// Only reads are allowed.
    pub read_only: bool,
    /// The role of the client that asks; without one it may change everything.
    pub role: Option<Arc<Role>>,
    /// When the request came.
    pub arrived: Instant,
    /// True if the session that asks owns the lock of a name.
    pub owns_lock: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Where the end is told.
    pub answer: Arc<dyn Answer>,
    /// The request's `params`, for another server; empty where nobody else takes part.
    pub text: Bytes,
    /// The transaction's id, where the asker has chosen it.
    pub id: Option<Uuid>,
    /// Another server has passed it on in this term: it is executed in no other one, and is not
    /// kept where a `wait` does not hold. That server knows what to do then.
    pub passed_on_in: Option<u64>,
}

/// A job that is executed later than this is no use to a client that has gone.
const USEFUL: Duration = Duration::from_secs(1);

impl Job {
    /// The client that asks may not do everything.
    pub(crate) fn is_limited(&self) -> bool {
        self.read_only || self.role.is_some()
    }

    /// Nobody waits for it any more. What a client asks for just before it goes is executed all the same,
    /// unless it has had to wait: its client may have asked elsewhere by then.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.answer.is_over() || self.answer.is_gone() && self.arrived.elapsed() > USEFUL
    }

    /// Executes it on a version of the database, which is not changed by that.
    pub(crate) fn execute(&self, version: &Version) -> Outcome {
        self.execute_under(version, false)
    }

    /// The same, perhaps of a database that clients only read.
    pub(super) fn execute_under(&self, version: &Version, read_only: bool) -> Outcome {
        self.execute_as(&self.transaction, version, read_only)
    }

    /// Executes this instead of its own transaction.
    pub(crate) fn execute_as(
        &self,
        transaction: &Transaction,
        version: &Version,
        read_only: bool,
    ) -> Outcome {
        let elapsed = self.arrived.elapsed().as_millis();
        let mut context = Context {
            read_only: self.read_only || read_only,
            role: self.role.as_deref(),
            elapsed: u64::try_from(elapsed).unwrap_or(u64::MAX),
            owns_lock: &*self.owns_lock,
            new_uuid: &mut Uuid::new_v4,
        };
        transaction.execute(version, &mut context)
    }
}

/// Who asked for a job.
pub trait Answer: Send + Sync {
    /// The job is done, with these results; what it changed is committed.
    fn done(&self, results: Vec<u8>);

    /// The same, but another server has executed it.
    fn done_by_leader(&self, results: Vec<u8>) {
        self.done(results);
    }

    /// Another server has refused it, with this error. Only a relay's jobs end so.
    fn refused(&self, error: Vec<u8>) {
        let _ = error;
        self.unknown();
    }

    /// A `wait` does not hold yet. It is tried again when one of its tables changes, and by
    /// [`Database::retry`](super::Database::retry). `timeout` is in milliseconds after the request came.
    fn blocked(&self, timeout: Option<u64>);

    /// The job was not executed and never will be: the database has got another schema.
    fn canceled(&self);

    /// Nobody here knows whether the job was executed. Who asked has to find out.
    fn unknown(&self);

    /// Who asked was told of an unknown outcome, and looks anew: nothing more is executed for it.
    fn is_over(&self) -> bool {
        false
    }

    /// Who asked has gone.
    fn is_gone(&self) -> bool {
        false
    }
}
