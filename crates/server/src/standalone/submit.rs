//! Giving the log what has been proposed, as far as it takes it.

use std::sync::Arc;

use ovsdb_log::{Batch, LogError, Refused, SyncPolicy, Turn};

use super::keeper::Standalone;
use super::record::{io_error, write_whole};
use super::state::{Item, Replacing, State, Write};

/// What the calling thread may be asked to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thread {
    /// Nothing but what is quick.
    Any,
    /// To commit, when it has no lock any more.
    DoesIo,
}

impl Standalone {
    /// Gives the log what it takes. What it is given by a thread that can do I/O may be left to that
    /// one to commit.
    pub(super) fn submit_all(self: &Arc<Self>, thread: Thread, state: &mut State) -> Option<Turn> {
        let mut turn = None;
        if !state.has_work() || state.no_space || state.is_converting() {
            return turn;
        }
        if state.log_failed {
            if state.in_log > 0 {
                // It still reports batches; after the last one it goes on here.
                return turn;
            }
            self.log.resume();
            state.log_failed = false;
        }
        if !state.unwritten.is_empty() && !self.submit_unwritten(state) {
            return turn;
        }
        state.retry = false;
        while let Some(item) = state.overflow.pop_front() {
            let refused = match item {
                Item::Write(write) => self.submit_write(thread, state, write, &mut turn),
                Item::Compact(..) | Item::Convert(..) => self.begin_replacing(state, item),
            };
            if let Some(item) = refused {
                state.overflow.push_front(item);
                break;
            }
            if state.is_converting() {
                break;
            }
        }
        turn
    }

    /// All in one batch, so that the file has all of them or none. True if the log has taken it.
    fn submit_unwritten(self: &Arc<Self>, state: &mut State) -> bool {
        let records = state.unwritten.clone();
        let itself = self.clone();
        let batch = Batch {
            encode: Box::new(move |buffer| {
                records.iter().for_each(|record| record.encode(buffer));
            }),
            // They have had their share of the queue before.
            size_hint: 0,
            durable: false,
            done: Box::new(move |result| itself.change(|state| state.retried(result))),
        };
        match self.log.try_submit(batch) {
            Ok(()) => {
                state.in_log += 1;
                state.retrying = std::mem::take(&mut state.unwritten);
                return true;
            }
            Err(Refused::Full(_)) => wait_for_space(state, 0),
            Err(Refused::Failed(..)) => state.log_failed = true,
            Err(Refused::Closed(_)) => {
                state.retry = false;
                state.fail_overflow(io_error(&self.closed()));
            }
        }
        false
    }

    /// Gives the write back if it is too early for it.
    fn submit_write(
        self: &Arc<Self>,
        thread: Thread,
        state: &mut State,
        write: Write,
        turn: &mut Option<Turn>,
    ) -> Option<Item> {
        let (number, durable) = (write.number, write.durable);
        let (itself, to_encode, record) =
            (self.clone(), write.record.clone(), write.record.clone());
        let batch = Batch {
            encode: Box::new(move |buffer| to_encode.encode(buffer)),
            size_hint: write.size,
            durable,
            done: Box::new(move |result| {
                itself.change(|state| state.reported(number, record, result));
            }),
        };
        let submitted = match thread {
            Thread::DoesIo => self.log.submit_here(batch),
            Thread::Any => self.log.try_submit(batch).map(|()| None),
        };
        match submitted {
            Ok(its_turn) => {
                state.in_log += 1;
                if its_turn.is_some() {
                    *turn = its_turn;
                }
                if self.sync == SyncPolicy::Asked && !durable {
                    state.acknowledge_early(number);
                }
                None
            }
            Err(Refused::Full(_)) => {
                wait_for_space(state, write.size);
                Some(Item::Write(write))
            }
            Err(Refused::Failed(..)) => {
                state.log_failed = true;
                Some(Item::Write(write))
            }
            Err(Refused::Closed(_)) => {
                state.fail(number, io_error(&self.closed()));
                None
            }
        }
    }

    /// Begins a compaction or a conversion; gives it back if it is too early for it.
    fn begin_replacing(self: &Arc<Self>, state: &mut State, item: Item) -> Option<Item> {
        let (version, comment, replacing) = match item {
            Item::Convert(..) if state.replacing.is_some() => return Some(item),
            Item::Convert(version, number) => {
                let schema = version.schema().clone();
                let replacing = Replacing::Conversion(number, schema);
                (version, "converted to another schema", replacing)
            }
            Item::Compact(version, done) => (version, "compacted", Replacing::Compaction(done)),
            Item::Write(_) => return Some(item),
        };
        if state.replacing.is_some() {
            if let Replacing::Compaction(done) = replacing {
                let file = self.log.path().to_path_buf();
                let error = io_error(&LogError::CompactionRunning { file });
                state.told.push((done, Err(error)));
            }
            return None;
        }
        let (itself, snapshot) = (self.clone(), version.clone());
        let begun = self.log.begin_compaction(
            move |writer| write_whole(writer, &snapshot, comment),
            move |result| {
                let result = result.map(|_| ()).map_err(|error| io_error(&error));
                itself.change(|state| state.replaced(result));
            },
        );
        state.replacing = Some(replacing);
        let error = begun.err()?;
        if matches!(
            *error,
            LogError::CompactionRunning { .. } | LogError::Closed { .. }
        ) {
            state.replaced(Err(io_error(&error)));
            return None;
        }
        // The log has failed; it reports why by the batches that it has.
        state.log_failed = true;
        Some(match state.replacing.take()? {
            Replacing::Compaction(done) => Item::Compact(version, done),
            Replacing::Conversion(number, _) => Item::Convert(version, number),
        })
    }

    fn closed(&self) -> LogError {
        LogError::Closed {
            file: self.log.path().to_path_buf(),
        }
    }
}

fn wait_for_space(state: &mut State, size: usize) {
    state.no_space = true;
    state.space_wanted = Some(size);
}
