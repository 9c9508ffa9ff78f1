//! openraft's log storage on a clustered file.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::types::{LogId, RaftEntry, TypeConfig, from_raft, to_raft};
use crate::entry::{Entry, Index};
use crate::file::{Ballot, Position, Reason, Refused, Store};

/// openraft's vote.
pub type Vote = openraft::impls::Vote<super::LeaderId>;

/// About how many bytes of entries are read at once for a peer.
const READ_AT_ONCE: usize = 1 << 20;
/// What a change needs to be tried again after the file had no room for it, in bytes.
const ROOM: usize = 4096;

/// A clustered file as openraft's log.
#[derive(Debug, Clone)]
pub struct LogStore {
    store: Arc<Store>,
}

impl LogStore {
    /// The log of a file in use.
    pub fn new(store: Arc<Store>) -> LogStore {
        LogStore { store }
    }

    fn entries(&self, from: Index, until: Index, max_bytes: usize) -> io::Result<Vec<RaftEntry>> {
        let entries = self.store.range(from..until, max_bytes);
        let raft = |entry: Arc<Entry>| to_raft(Entry::clone(&entry)).map_err(io::Error::other);
        entries.into_iter().map(raft).collect()
    }

    /// Makes a change when there is room for it, and waits until it is on disk.
    async fn settle(
        &self,
        change: impl Fn(ovsdb_log::Done) -> Result<(), Refused>,
    ) -> io::Result<()> {
        loop {
            let (sender, receiver) = oneshot::channel();
            let done: ovsdb_log::Done = Box::new(move |result| {
                // Whoever waited may be gone.
                let _ = sender.send(result);
            });
            match change(done) {
                Ok(()) => {
                    let lost = |_| io::Error::other("the log has stopped");
                    return receiver.await.map_err(lost)?.map_err(io::Error::other);
                }
                Err(refused) => self.wait_or_fail(refused.reason).await?,
            }
        }
    }

    /// Waits for room where that is what was missing.
    async fn wait_or_fail(&self, reason: Reason) -> io::Result<()> {
        match reason {
            Reason::Full => {
                let (sender, receiver) = oneshot::channel();
                let waker = Box::new(move || {
                    let _ = sender.send(());
                });
                self.store.on_space(ROOM, waker);
                // A waker that is dropped means that the log has stopped, which the next try tells.
                let _ = receiver.await;
                Ok(())
            }
            Reason::Busy => Err(io::Error::other("another snapshot is being written")),
            Reason::Failed(error) => Err(io::Error::other(error)),
            Reason::Closed => Err(io::Error::other("the log is closed")),
            Reason::Invalid(why) => Err(io::Error::other(why)),
        }
    }

    /// The vote that the file says.
    ///
    /// A leader's own record is read as its vote: after a restart it must be elected anew, as
    /// nobody knows what the others have done meanwhile.
    fn vote(&self) -> Option<Vote> {
        let term = self.store.term();
        let own = self.store.identity().server_id;
        match (self.store.leader(), self.store.vote()) {
            (Some(leader), _) if leader != own => Some(Vote::new_committed(term, leader)),
            (Some(leader), _) => Some(Vote::new(term, leader)),
            (None, Some(vote)) => Some(Vote::new(term, vote)),
            (None, None) if term > 0 => Some(Vote::new(term, Uuid::nil())),
            (None, None) => None,
        }
    }
}

fn log_id(position: Position) -> Option<LogId> {
    (position.index > 0).then(|| LogId::new(position.term, position.index))
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<RaftEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let until = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(until) => *until,
            Bound::Unbounded => u64::MAX,
        };
        self.entries(from, until, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote())
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> io::Result<Vec<RaftEntry>> {
        self.entries(start, end, READ_AT_ONCE)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let (before, last) = self.store.ends();
        Ok(LogState {
            last_purged_log_id: log_id(before),
            last_log_id: log_id(last),
        })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (term, server) = (vote.leader_id.term, vote.leader_id.server);
        let ballot = if server.is_nil() {
            Ballot::Term(term)
        } else if vote.committed {
            Ballot::Leader { term, server }
        } else {
            Ballot::Vote { term, server }
        };
        self.settle(|done| self.store.save(ballot, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else {
            return Ok(());
        };
        match self.store.commit(committed.index) {
            Ok(()) => Ok(()),
            Err(reason) => self.wait_or_fail(reason).await,
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let index = self.store.commit_index();
        let term = self.store.term_at(index);
        Ok(term
            .filter(|_| index > 0)
            .map(|term| LogId::new(term, index)))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Arc<Entry>> = entries
            .into_iter()
            .map(|entry| Arc::new(from_raft(entry)))
            .collect();
        let mut done: ovsdb_log::Done = Box::new(move |result| {
            callback.io_completed(result.map_err(io::Error::other));
        });
        loop {
            match self.store.append(&entries, done) {
                Ok(()) => return Ok(()),
                Err(refused) => {
                    done = refused.done;
                    self.wait_or_fail(refused.reason).await?;
                }
            }
        }
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let index = last.map_or(0, |last| last.index);
        match self.store.truncate_behind(index) {
            Ok(()) => Ok(()),
            Err(reason) => self.wait_or_fail(reason).await,
        }
    }

    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        self.store.purge(through.index);
        Ok(())
    }
}
