//! The place where transactions are ordered and become durable.

use std::sync::Arc;

use ovsdb::{Error, Schema, Tag};
use ovsdb_engine::{Commit, Transaction, Version};

use crate::database::{Job, JobKey};
use crate::locks::SessionId;

/// Called once, when what was proposed is durable or has failed.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// I/O for a proposal, left to its proposer. Dropped instead of called, it is done elsewhere.
pub type Work = Box<dyn FnOnce() + Send>;

/// What the writer has executed and wants to be kept.
pub struct Proposal {
    /// In which term it was executed; 0 where nobody else takes part.
    pub term: u64,
    /// The commit; none for a reply that depends on earlier proposals and changes nothing.
    pub commit: Option<Arc<Commit>>,
    /// The transaction's comments, for the log.
    pub comment: Option<String>,
    /// The request asked for durability (`commit` with `durable`).
    pub durable: bool,
    /// What to do when it is kept.
    pub done: Done,
    /// What to do instead where it is not; only where the ordering [is shared](Ordering::is_shared).
    pub lost: Option<Lost>,
}

/// What became of a proposal that another server's order has left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It was not kept and never will be.
    NotKept,
    /// Nobody here knows.
    Unknown,
}

/// Called once, instead of [`Done`].
pub type Lost = Box<dyn FnOnce(Loss) + Send>;

/// Keeps proposals: a log with one writer, or a cluster.
///
/// Proposals come one by one in the order of their execution, each on top of the one before, and
/// are done in that order. When one fails, all behind it fail, too, until [`Ordering::resume`].
pub trait Ordering: Send + Sync {
    /// Takes a proposal. Must not block on I/O; `done` may be called before it returns.
    fn propose(&self, proposal: Proposal);

    /// The same, for a caller that can do I/O where that is quicker than to have it done by another
    /// thread: it gets work to do, then, at once and without a lock. `done`s are called by it.
    fn propose_here(&self, proposal: Proposal) -> Option<Work> {
        self.propose(proposal);
        None
    }

    /// The writer has gone back to what was last kept and will propose on top of that.
    fn resume(&self);

    /// Replaces all that is kept by the contents of `version`, the state after exactly what has been
    /// proposed so far: a compaction, or, where its schema is another one, a conversion. `term` is
    /// as in a [`Proposal`]. `done` is called once; on an error everything is as it was.
    fn replace(&self, term: u64, version: Version, done: Done);

    /// Other servers take part: transactions have ids, can be lost, and may have to be passed on.
    fn is_shared(&self) -> bool {
        false
    }

    /// Transactions of this term have been lost: nothing more can be executed in it.
    fn is_over(&self, _term: u64) -> bool {
        false
    }

    /// Which server executes what is passed on.
    fn orderer(&self) -> Orderer {
        Orderer::Leader
    }

    /// Transactions of this session were passed on and have no answer yet.
    fn has_passed_on(&self, _session: SessionId) -> bool {
        false
    }

    /// Passes a job on to the server that orders transactions. Only called while the database
    /// follows another server's order.
    fn pass_on(&self, job: Job) {
        job.answer.unknown();
    }

    /// Nobody waits any more for those of the jobs that were to be passed on: what was not yet is
    /// dropped. True if there were any.
    fn forget(&self, _which: &mut dyn FnMut(JobKey) -> bool) -> bool {
        false
    }

    /// A session is over: nobody waits for any of its jobs.
    fn leave(&self, _session: SessionId) {}

    /// Has the contents converted by the server that orders transactions, whichever that is. `done`
    /// hears of it when this server has them. Only where the ordering [is shared](Ordering::is_shared).
    fn have_converted(&self, _schema: Arc<Schema>, done: Done) {
        done(Err(Error::new(Tag::NotAllowed, "nobody else takes part")));
    }
}

/// Which server executes what is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orderer {
    /// The leader of the cluster that this server is a member of.
    Leader,
    /// The server that this database is a copy of.
    Source {
        /// It can be asked at this moment.
        reached: bool,
    },
}

impl Orderer {
    /// A transaction is executed here first, on contents that may be old: it is not passed on then if
    /// it only reads, waits, or fails.
    pub(crate) fn wants_trial(self, transaction: &Transaction) -> bool {
        match self {
            Orderer::Leader => false,
            Orderer::Source { reached } => !reached || !transaction.writes(),
        }
    }

    /// It hears what the client that asks may do, and sees to it. Where it does not, a transaction of
    /// a client with limits is executed here first in any case.
    pub(crate) fn hears_limits(self) -> bool {
        self == Orderer::Leader
    }

    /// What has changed nothing here need not be passed on.
    pub(crate) fn trusts_trial(self, transaction: &Transaction, failure: Option<Tag>) -> bool {
        match self {
            Orderer::Leader => true,
            Orderer::Source { .. } => failure.is_some() || !transaction.writes(),
        }
    }
}

/// Keeps nothing: for databases that live in memory, such as `_Server`.
#[derive(Debug, Default)]
pub struct Unbacked;

impl Ordering for Unbacked {
    fn propose(&self, proposal: Proposal) {
        (proposal.done)(Ok(()));
    }

    fn resume(&self) {}

    fn replace(&self, _: u64, _: Version, done: Done) {
        done(Ok(()));
    }
}
