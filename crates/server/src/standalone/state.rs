//! What the keeper of a file remembers between the calls of the writer and of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use ovsdb::{Error, Schema};
use ovsdb_engine::Version;
use ovsdb_log::LogError;
use tracing::Span;

use super::line::Line;
use super::record::{Record, io_error};
use crate::ordering::Done;

/// What the log is to be given, in order.
pub(super) enum Item {
    Write(Write),
    /// Rewrites the file under the same schema. Not in line: nobody waits for it.
    Compact(Version, Done),
    /// Rewrites it under another schema; the number is its place in the line.
    Convert(Version, u64),
}

pub(super) struct Write {
    /// Its place in the line.
    pub(super) number: u64,
    pub(super) record: Arc<Record>,
    pub(super) size: usize,
    pub(super) durable: bool,
}

/// The rewriting that the log is at.
pub(super) enum Replacing {
    Compaction(Done),
    Conversion(u64, Arc<Schema>),
}

/// Everything under the keeper's mutex.
pub(super) struct State {
    pub(super) line: Line,
    /// What its lines in the log are in.
    pub(super) span: Span,
    /// Some thread is telling outcomes; the others leave it to that one.
    pub(super) telling: bool,
    /// Outcomes to tell outside of the line.
    pub(super) told: Vec<(Done, Result<(), Error>)>,
    /// What the log has not taken yet. Sessions bound it, as each has so many requests in flight.
    pub(super) overflow: VecDeque<Item>,
    /// The log is full: nothing to do until it says that there is space.
    pub(super) no_space: bool,
    /// For how many bytes that space is to be asked.
    pub(super) space_wanted: Option<usize>,
    /// How many batches the log has taken and not reported.
    pub(super) in_log: usize,
    /// It has failed; it can be resumed when it has reported all batches.
    pub(super) log_failed: bool,
    /// Why everything fails that is proposed before the writer has gone back.
    pub(super) failed: Option<Error>,
    /// The writes below this number are acknowledged (those that have not failed).
    pub(super) acknowledged: u64,
    /// Acknowledged, and then not written: the file must have these before anything newer. The
    /// log's queue bounds them.
    pub(super) unwritten: Vec<Arc<Record>>,
    /// The unwritten ones that the log has got once more.
    pub(super) retrying: Vec<Arc<Record>>,
    /// Somebody asks for that even if nothing new is to be written.
    pub(super) retry: bool,
    pub(super) replacing: Option<Replacing>,
    /// The schema that proposals follow: that of the file, or that of a conversion on its way.
    pub(super) schema: Arc<Schema>,
    pub(super) schema_in_file: Arc<Schema>,
    pub(super) last_failure: Option<Arc<LogError>>,
}

impl State {
    pub(super) fn new(schema: Arc<Schema>) -> State {
        State {
            line: Line::default(),
            span: Span::current(),
            telling: false,
            told: Vec::new(),
            overflow: VecDeque::new(),
            no_space: false,
            space_wanted: None,
            in_log: 0,
            log_failed: false,
            failed: None,
            acknowledged: 0,
            unwritten: Vec::new(),
            retrying: Vec::new(),
            retry: false,
            replacing: None,
            schema: schema.clone(),
            schema_in_file: schema,
            last_failure: None,
        }
    }

    pub(super) fn is_converting(&self) -> bool {
        matches!(self.replacing, Some(Replacing::Conversion(..)))
    }

    /// Nothing is on its way to the file, or only behind a rewriting, which may take for ever where
    /// the disk fails.
    pub(super) fn is_idle(&self) -> bool {
        self.in_log == 0 && (self.overflow.is_empty() || self.replacing.is_some())
    }

    /// Whether the log has work to get.
    pub(super) fn has_work(&self) -> bool {
        !self.overflow.is_empty() || self.retry && !self.unwritten.is_empty()
    }

    /// Acknowledges a write that the log has just taken, before it is written: only if all before it
    /// are acknowledged, and none of those failed to get into the file.
    pub(super) fn acknowledge_early(&mut self, number: u64) {
        if self.unwritten.is_empty()
            && self.retrying.is_empty()
            && self.line.is_settled_before(number)
        {
            self.acknowledge(number);
        }
    }

    fn acknowledge(&mut self, number: u64) {
        if self.line.settle(number, Ok(())) {
            self.acknowledged = number + 1;
        }
    }

    /// The log tells how a write went.
    pub(super) fn reported(
        &mut self,
        number: u64,
        record: Arc<Record>,
        result: Result<(), Arc<LogError>>,
    ) {
        self.in_log -= 1;
        match result {
            Ok(()) => self.acknowledge(number),
            Err(error) => {
                if number < self.acknowledged {
                    self.unwritten.push(record);
                } else {
                    self.fail(number, io_error(&error));
                }
                self.note_failure(error);
            }
        }
    }

    /// The log tells how writing what was acknowledged went.
    pub(super) fn retried(&mut self, result: Result<(), Arc<LogError>>) {
        self.in_log -= 1;
        let records = std::mem::take(&mut self.retrying);
        match result {
            Ok(()) => tracing::info!(
                parent: &self.span,
                "{} transactions that were acknowledged earlier are in the file now",
                records.len()
            ),
            Err(error) => {
                self.unwritten = records;
                // What waits stands behind these, also what the log has not taken yet: or it would
                // be tried again without end.
                match self.line.first_unsettled() {
                    Some(first) => self.fail(first, io_error(&error)),
                    None => self.drop_overflow(&io_error(&error)),
                }
                self.note_failure(error);
            }
        }
    }

    fn note_failure(&mut self, error: Arc<LogError>) {
        self.log_failed = true;
        self.last_failure = Some(error);
    }

    /// The log tells how a rewriting went.
    pub(super) fn replaced(&mut self, result: Result<(), Error>) {
        match self.replacing.take() {
            None => {}
            Some(Replacing::Compaction(done)) => self.told.push((done, result)),
            Some(Replacing::Conversion(number, schema)) => match result {
                Ok(()) => {
                    self.schema_in_file = schema;
                    self.acknowledge(number);
                }
                Err(error) => self.conversion_failed(number, error),
            },
        }
    }

    /// Everything is as it was before; if nothing was proposed on top of it, the writer need not
    /// go back.
    fn conversion_failed(&mut self, number: u64, error: Error) {
        if self.line.settle(number, Err(error.clone())) {
            self.schema = self.schema_in_file.clone();
            if self.line.fail_behind(number, &error) {
                self.give_up(error);
            }
        }
    }

    /// A write fails, and everything behind it.
    pub(super) fn fail(&mut self, number: u64, error: Error) {
        if self.line.settle(number, Err(error.clone())) {
            self.line.fail_behind(number, &error);
            self.give_up(error);
        }
    }

    /// Everything fails that the log has not taken.
    pub(super) fn fail_overflow(&mut self, error: Error) {
        let first = self.overflow.iter().find_map(|item| match item {
            Item::Write(write) => Some(write.number),
            Item::Convert(_, number) => Some(*number),
            Item::Compact(..) => None,
        });
        match first {
            Some(first) => self.fail(first, error),
            None => self.drop_overflow(&error),
        }
    }

    /// Nothing that waits can be written any more, as it stands on what has failed.
    fn give_up(&mut self, error: Error) {
        self.drop_overflow(&error);
        self.schema = self.schema_in_file.clone();
        self.failed = Some(error);
    }

    /// Those in line have their outcomes; the others are told here.
    fn drop_overflow(&mut self, error: &Error) {
        for item in self.overflow.drain(..) {
            if let Item::Compact(_, done) = item {
                self.told.push((done, Err(error.clone())));
            }
        }
    }
}
