//! What waits for the log's thread, bounded in bytes and number.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use crate::committer::Committer;
use crate::compact::{Built, Compaction};
use crate::turn::Turn;
use crate::{LogError, RecordBuffer};

/// After so many rounds of one batch each, a writer seems to be alone.
const ALONE: u32 = 4;

/// Told once whether a batch is in the file (and on disk, where that was asked for).
pub type Done = Box<dyn FnOnce(Result<(), Arc<LogError>>) + Send>;

/// Records that belong together, such as those of a group of transactions.
pub struct Batch {
    /// Writes the records; runs once, where the log is committed. No records is fine: a barrier.
    pub encode: Box<dyn FnOnce(&mut RecordBuffer) + Send>,
    /// About how many bytes they will have; only the queue's bound depends on it.
    pub size_hint: usize,
    /// Whether `done` waits for the sync under [`SyncPolicy::Asked`](crate::SyncPolicy::Asked).
    pub durable: bool,
    /// Called on the log's thread or the one that has the [`Turn`](crate::Turn), in the order of
    /// submission. Keep it short; it must not wait for the log.
    pub done: Done,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("size_hint", &self.size_hint)
            .field("durable", &self.durable)
            .finish()
    }
}

/// Why a batch was not taken; it comes back, its `done` uncalled.
#[derive(Debug)]
pub enum Refused {
    /// The queue is full: [`Log::on_space`](crate::Log::on_space) tells when it is not.
    Full(Batch),
    /// An earlier batch failed, and [`Log::resume`](crate::Log::resume) has not been called since.
    Failed(Batch, Arc<LogError>),
    /// The log is closed.
    Closed(Batch),
}

pub(crate) enum Item {
    Batch(Batch),
    Compact(Compaction),
    Built(Built),
}

/// An item that was not taken, and the failure that the log waits in, if it is not closed.
pub(crate) type Returned = (Item, Option<Arc<LogError>>);

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    failed: Option<Arc<LogError>>,
    closed: bool,
    /// Here while the log's thread waits for anything and nobody else commits.
    idle: Option<Box<Committer>>,
    /// The log's thread waits for the committer itself.
    wanted: bool,
    /// The thread that commits in a turn.
    turn_of: Option<ThreadId>,
    /// How many rounds in a row had one batch, or one in a turn with nothing behind it.
    lone_rounds: u32,
    /// The log's thread waits for more, or for something urgent.
    lingering: bool,
    waiting_for_space: Vec<Box<dyn FnOnce() + Send>>,
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    max_bytes: usize,
    max_items: usize,
    linger: Duration,
}

impl Item {
    /// Somebody waits for it.
    fn is_urgent(&self) -> bool {
        match self {
            Item::Batch(batch) => batch.durable,
            Item::Compact(_) | Item::Built(_) => true,
        }
    }
}

impl Queue {
    /// A queue with these bounds. What nobody waits for is taken together with what comes in the time
    /// of `linger` after it, so that not each of many small writes wakes the log's thread.
    pub(crate) fn new(max_bytes: usize, max_items: usize, linger: Duration) -> Queue {
        Queue {
            max_bytes,
            max_items,
            linger,
            ..Queue::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, state: &State, more: usize) -> bool {
        // An empty queue takes a batch of any size, or a large one could never get through.
        !state.items.is_empty()
            && (state.bytes + more > self.max_bytes || state.items.len() >= self.max_items)
    }

    pub(crate) fn submit(&self, batch: Batch) -> Result<(), Refused> {
        let state = self.admit(self.state(), batch)?;
        self.wake(state);
        Ok(())
    }

    /// Submits for somebody who can commit: gives the turn if somebody waits for the batch, the log is
    /// idle, and others seem not to come meanwhile.
    pub(crate) fn submit_here(self: &Arc<Self>, batch: Batch) -> Result<Option<Turn>, Refused> {
        let mut state = self.state();
        let alone = state.items.is_empty() && state.lone_rounds >= ALONE;
        let here = alone && (batch.durable || self.linger.is_zero());
        state = self.admit(state, batch)?;
        if here && let Some(committer) = state.idle.take() {
            return Ok(Some(Turn::new(self.clone(), committer)));
        }
        self.wake(state);
        Ok(None)
    }

    fn admit<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        batch: Batch,
    ) -> Result<MutexGuard<'a, State>, Refused> {
        if state.closed {
            return Err(Refused::Closed(batch));
        }
        if let Some(error) = &state.failed {
            return Err(Refused::Failed(batch, error.clone()));
        }
        if self.is_full(&state, batch.size_hint) {
            return Err(Refused::Full(batch));
        }
        state.bytes += batch.size_hint;
        state.items.push_back(Item::Batch(batch));
        Ok(state)
    }

    /// Puts something that is not bounded; gives it back if the log is closed or has failed.
    pub(crate) fn push(&self, item: Item, even_if_failed: bool) -> Result<(), Box<Returned>> {
        let mut state = self.state();
        if state.closed || (state.failed.is_some() && !even_if_failed) {
            let error = state.failed.clone().filter(|_| !state.closed);
            return Err(Box::new((item, error)));
        }
        state.items.push_back(item);
        self.wake(state);
        Ok(())
    }

    /// Wakes the log's thread, if it waits and the last item is one to wake it for.
    fn wake(&self, state: MutexGuard<'_, State>) {
        // Whoever put the first one in has woken it.
        let first = state.items.len() == 1 && state.idle.is_some();
        let urgent = state.items.back().is_some_and(Item::is_urgent);
        let hurry = state.lingering && (urgent || self.is_full(&state, 0));
        drop(state);
        if first || hurry {
            self.work.notify_one();
        }
    }

    pub(crate) fn on_space(&self, size: usize, waker: Box<dyn FnOnce() + Send>) {
        let mut state = self.state();
        if self.is_full(&state, size) && !state.closed && state.failed.is_none() {
            state.waiting_for_space.push(waker);
        } else {
            drop(state);
            waker();
        }
    }

    /// Waits for work, as long as the committer has patience, and takes all there is; somebody may have
    /// a turn with the committer meanwhile. `false`: closed and empty.
    pub(crate) fn take(
        &self,
        mut committer: Box<Committer>,
        into: &mut VecDeque<Item>,
    ) -> (Box<Committer>, bool) {
        let mut state = self.state();
        while state.items.is_empty() && !state.closed {
            let patience = committer.patience();
            state.idle = Some(committer);
            let timed_out;
            (state, timed_out) = self.wait(state, patience);
            committer = loop {
                match state.idle.take() {
                    Some(committer) => break committer,
                    None => state.wanted = true,
                }
                state = self.wait(state, None).0;
            };
            if timed_out {
                break;
            }
        }
        match state.items.len() {
            0 => {}
            1 => state.lone_rounds = state.lone_rounds.saturating_add(1),
            _ => state.lone_rounds = 0,
        }
        if !self.linger.is_zero()
            && !state.closed
            && !state.items.is_empty()
            && !state.items.iter().any(Item::is_urgent)
        {
            state.lingering = true;
            state = self.wait(state, Some(self.linger)).0;
            state.lingering = false;
        }
        let going_on = !(state.closed && state.items.is_empty());
        std::mem::swap(&mut state.items, into);
        self.emptied(state);
        (committer, going_on)
    }

    /// Waits to be woken; true if that took longer than it may.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        patience: Option<Duration>,
    ) -> (MutexGuard<'a, State>, bool) {
        let Some(patience) = patience else {
            let state = self.work.wait(state);
            return (state.unwrap_or_else(PoisonError::into_inner), false);
        };
        let waited = self.work.wait_timeout(state, patience);
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, result.timed_out())
    }

    /// Takes all there is for a turn; not if there is more to do than to commit.
    pub(crate) fn take_in_turn(&self, into: &mut VecDeque<Item>) -> bool {
        let mut state = self.state();
        if !state.items.iter().all(|i| matches!(i, Item::Batch(_))) {
            return false;
        }
        if state.items.len() > 1 {
            state.lone_rounds = 0;
        }
        state.turn_of = Some(std::thread::current().id());
        std::mem::swap(&mut state.items, into);
        self.emptied(state);
        true
    }

    /// A turn is over.
    pub(crate) fn give_back(&self, committer: Box<Committer>) {
        let mut state = self.state();
        state.turn_of = None;
        let crowded = !state.items.is_empty();
        if crowded {
            state.lone_rounds = 0;
        }
        let wanted = std::mem::take(&mut state.wanted);
        let wake = wanted || crowded || state.closed || committer.patience().is_some();
        state.idle = Some(committer);
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// True if this thread has a turn, and is taking it.
    pub(crate) fn is_turn_of_this_thread(&self) -> bool {
        self.state().turn_of == Some(std::thread::current().id())
    }

    fn emptied(&self, mut state: MutexGuard<'_, State>) {
        state.bytes = 0;
        let wakers = std::mem::take(&mut state.waiting_for_space);
        drop(state);
        wakers.into_iter().for_each(|waker| waker());
    }

    /// Refuses batches from now on, and takes those that are waiting: both under one lock, as what is
    /// submitted after a `resume` must not fail with them.
    pub(crate) fn fail(&self, error: Arc<LogError>) -> VecDeque<Item> {
        let mut state = self.state();
        state.failed = Some(error);
        let waiting = std::mem::take(&mut state.items);
        self.emptied(state);
        waiting
    }

    pub(crate) fn resume(&self) {
        self.state().failed = None;
    }

    pub(crate) fn failed(&self) -> Option<Arc<LogError>> {
        self.state().failed.clone()
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.work.notify_all();
    }
}
