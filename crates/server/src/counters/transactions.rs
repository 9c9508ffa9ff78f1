//! What has become of transactions.

use ovsdb::Tag;
use ovsdb_counters::{ByKind, Histogram, Kind};

use super::ErrorKind;

/// How a transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEnd {
    /// It is committed, whether it has changed something or not.
    Committed,
    /// It could only read, and has read.
    Read,
    /// It has failed, and changed nothing.
    Failed,
    /// It has asked for that itself.
    Aborted,
    /// What it was to wait for did not come in time.
    TimedOut,
    /// Its client has taken it back, or the schema has changed while it waited.
    Canceled,
    /// Its session was over before there was an answer. It may be committed nevertheless.
    Unanswered,
}

impl TransactionEnd {
    /// By the error among its results.
    pub(crate) fn of(error: Option<ErrorKind>) -> TransactionEnd {
        match error {
            None => TransactionEnd::Committed,
            Some(ErrorKind::Ovsdb(Tag::Aborted)) => TransactionEnd::Aborted,
            Some(ErrorKind::Ovsdb(Tag::TimedOut)) => TransactionEnd::TimedOut,
            Some(_) => TransactionEnd::Failed,
        }
    }
}

impl Kind for TransactionEnd {
    const ALL: &'static [TransactionEnd] = &[
        TransactionEnd::Committed,
        TransactionEnd::Read,
        TransactionEnd::Failed,
        TransactionEnd::Aborted,
        TransactionEnd::TimedOut,
        TransactionEnd::Canceled,
        TransactionEnd::Unanswered,
    ];

    fn place(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            TransactionEnd::Committed => "committed",
            TransactionEnd::Read => "read",
            TransactionEnd::Failed => "failed",
            TransactionEnd::Aborted => "aborted",
            TransactionEnd::TimedOut => "timed_out",
            TransactionEnd::Canceled => "canceled",
            TransactionEnd::Unanswered => "unanswered",
        }
    }
}

/// Which server has executed a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// This one.
    Here,
    /// The leader, whom this one has passed it on to.
    ByLeader,
}

/// What has become of a database's transactions.
#[derive(Debug, Default)]
pub struct TransactionCounters {
    /// Those of this server's clients that it has executed itself.
    pub here: ByKind<TransactionEnd>,
    /// Those of this server's clients that the leader has executed.
    pub by_leader: ByKind<TransactionEnd>,
    /// Those that this server has executed, as leader, for the clients of other members.
    pub for_members: ByKind<TransactionEnd>,
    /// From when a transaction of a client was taken up to when its answer was given to the
    /// connection; without those that had to wait for others to change something.
    pub latency: Histogram,
}

impl TransactionCounters {
    /// Counts the end of a client's transaction.
    pub(crate) fn count(&self, end: TransactionEnd, executed: Executed) {
        match executed {
            Executed::Here => self.here.count(end),
            Executed::ByLeader => self.by_leader.count(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_stands_at_its_place() {
        for (place, end) in TransactionEnd::ALL.iter().enumerate() {
            assert_eq!(end.place(), place);
        }
    }
}
