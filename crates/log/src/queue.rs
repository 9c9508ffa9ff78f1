//! What waits for the log's thread, bounded in bytes and number.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::compact::{Built, Compaction};
use crate::{LogError, RecordBuffer};

/// Told once whether a batch is in the file (and on disk, where that was asked for).
pub type Done = Box<dyn FnOnce(Result<(), Arc<LogError>>) + Send>;

/// Records that belong together, such as those of a group of transactions.
pub struct Batch {
    /// Writes the records; runs once, on the log's thread. No records is fine: a barrier.
    pub encode: Box<dyn FnOnce(&mut RecordBuffer) + Send>,
    /// About how many bytes they will have; only the queue's bound depends on it.
    pub size_hint: usize,
    /// Whether `done` waits for the sync under [`SyncPolicy::Asked`](crate::SyncPolicy::Asked).
    pub durable: bool,
    /// Called on the log's thread, in the order of submission. Keep it short; it must not wait for the log.
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
    /// The log's thread waits for anything.
    parked: bool,
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
        let mut state = self.state();
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
        self.put(state, Item::Batch(batch));
        Ok(())
    }

    /// Puts something that is not bounded; gives it back if the log is closed or has failed.
    pub(crate) fn push(&self, item: Item, even_if_failed: bool) -> Result<(), Box<Returned>> {
        let state = self.state();
        if state.closed || (state.failed.is_some() && !even_if_failed) {
            let error = state.failed.clone().filter(|_| !state.closed);
            return Err(Box::new((item, error)));
        }
        self.put(state, item);
        Ok(())
    }

    fn put(&self, mut state: MutexGuard<'_, State>, item: Item) {
        let hurry = state.lingering && (item.is_urgent() || self.is_full(&state, 0));
        state.items.push_back(item);
        let wake = std::mem::take(&mut state.parked) || hurry;
        drop(state);
        if wake {
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

    /// Waits for work at most `patience` (`None`: for ever) and takes all there is. `false`: closed and empty.
    pub(crate) fn take(&self, into: &mut VecDeque<Item>, patience: Option<Duration>) -> bool {
        let mut state = self.state();
        while state.items.is_empty() && !state.closed {
            state.parked = true;
            match patience {
                None => {
                    state = self
                        .work
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner)
                }
                Some(patience) => {
                    let waited = self
                        .work
                        .wait_timeout(state, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = waited.0;
                    if waited.1.timed_out() {
                        break;
                    }
                }
            }
        }
        state.parked = false;
        if !self.linger.is_zero()
            && !state.closed
            && !state.items.is_empty()
            && !state.items.iter().any(Item::is_urgent)
        {
            state.lingering = true;
            let waited = self.work.wait_timeout(state, self.linger);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.lingering = false;
        }
        let going_on = !(state.closed && state.items.is_empty());
        std::mem::swap(&mut state.items, into);
        self.emptied(state);
        going_on
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
