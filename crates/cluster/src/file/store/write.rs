//! The changes to a file in use, one record or a few each.

use std::sync::Arc;

use ovsdb_log::{Batch, Done};

use super::memory::Memory;
use super::{Inner, Reason, Refused, Store};
use crate::entry::{Entry, Index, ServerId, Term};
use crate::file::entries;
use crate::file::record::{Fact, LEFT, Record, write_entry};

/// About how many bytes a record without an entry has.
const SMALL: usize = 150;

/// What a server says about a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ballot {
    /// It has come, and the server has not voted in it.
    Term(Term),
    /// The server votes in it.
    Vote {
        /// The term.
        term: Term,
        /// For whom.
        server: ServerId,
    },
    /// Somebody leads in it.
    Leader {
        /// The term.
        term: Term,
        /// Who.
        server: ServerId,
    },
}

impl Ballot {
    fn term(self) -> Term {
        match self {
            Ballot::Term(term) | Ballot::Vote { term, .. } | Ballot::Leader { term, .. } => term,
        }
    }
}

/// Which changes have to wait while a whole new log is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Those that only make sense behind the new log's snapshot.
    InLog,
    /// Those that do in the old log as well.
    Anywhere,
}

impl Store {
    /// Adds entries at the end of the log. Without entries, `done` is called when all before is on disk.
    pub fn append(&self, new: &[Arc<Entry>], done: Done) -> Result<(), Refused> {
        let memory = &mut *self.memory();
        if memory.snapshot.is_none() && !new.is_empty() {
            return invalid("the server has not joined a cluster", done);
        }
        if let Err(misfit) = memory.entries.fit(new) {
            return invalid(misfit, done);
        }
        let entries = new.to_vec();
        let committed = memory.commit_unwritten && !new.is_empty();
        let committed = committed.then_some(Record::from(Fact::CommitIndex(memory.commit_index)));
        let batch = Batch {
            size_hint: new.iter().map(|entry| entries::size(entry)).sum::<usize>() + SMALL,
            encode: Box::new(move |buffer| {
                if let Some(committed) = &committed {
                    buffer.record(|out| committed.write(out));
                }
                for entry in &entries {
                    buffer.record(|out| write_entry(out, entry));
                }
            }),
            durable: true,
            done,
        };
        self.inner.submit(memory, batch, Place::InLog)?;
        memory.commit_unwritten &= new.is_empty();
        for entry in new {
            memory.note_term(entry.term);
            memory.stale_tail = false;
            // It fits: that was checked before.
            let _ = memory.entries.push(entry.clone());
        }
        Ok(())
    }

    /// Takes back all entries behind that place. As in the reference nothing is written for it: in
    /// the file, the next entry replaces them. Until then a crash brings them back, which is as if it had come
    /// before they were taken back.
    pub fn truncate_behind(&self, index: Index) -> Result<(), Reason> {
        let memory = &mut *self.memory();
        if index < memory.commit_index {
            return Err(Reason::Invalid(format!(
                "entries behind index {index} are committed, up to {}",
                memory.commit_index
            )));
        }
        if index < memory.entries.last().index {
            memory.entries.truncate_behind(index);
            memory.stale_tail = true;
        }
        Ok(())
    }

    /// Notes a new term, a vote, a leader.
    pub fn save(&self, ballot: Ballot, done: Done) -> Result<(), Refused> {
        let memory = &mut *self.memory();
        if ballot.term() < memory.term {
            let text = format!("term {} is over, it is {}", ballot.term(), memory.term);
            return invalid(text, done);
        }
        let same_term = ballot.term() == memory.term;
        let (known, server) = match ballot {
            Ballot::Term(_) => (None, None),
            Ballot::Vote { server, .. } => (memory.vote, Some(server)),
            Ballot::Leader { server, .. } => (memory.leader, Some(server)),
        };
        match known.filter(|_| same_term) {
            Some(known) if Some(known) != server => {
                return invalid(format!("{ballot:?}, but it was {known} in that term"), done);
            }
            _ => {}
        }
        let news = !same_term || known != server;
        let facts = if news {
            ballot_facts(memory, ballot)
        } else {
            Vec::new()
        };
        self.inner
            .submit(memory, records(facts, SMALL, true, done), Place::Anywhere)?;
        memory.note_term(ballot.term());
        match ballot {
            Ballot::Term(_) => {}
            Ballot::Vote { server, .. } => memory.vote = Some(server),
            Ballot::Leader { server, .. } => memory.leader = Some(server),
        }
        Ok(())
    }

    /// Notes up to where entries are committed. That is written together with the next entries, or by
    /// [`Store::write_commit`]: who starts again learns it from the others anyway.
    pub fn commit(&self, index: Index) -> Result<(), Reason> {
        let memory = &mut *self.memory();
        let last = memory.entries.last().index;
        if index > last {
            let text = format!("index {index} cannot be committed, the log ends at {last}");
            return Err(Reason::Invalid(text));
        }
        if index <= memory.commit_index {
            return Ok(());
        }
        if let Some(error) = &memory.failed {
            return Err(Reason::Failed(error.clone()));
        }
        memory.commit_index = index;
        memory.commit_unwritten = true;
        Ok(())
    }

    /// Writes what [`Store::commit`] has noted, if it is not in the file yet; no sync waits for it.
    pub fn write_commit(&self) -> Result<(), Reason> {
        let memory = &mut *self.memory();
        if !memory.commit_unwritten {
            return Ok(());
        }
        let fact = vec![Fact::CommitIndex(memory.commit_index).into()];
        let batch = records(fact, SMALL, false, Box::new(|_| {}));
        self.inner
            .submit(memory, batch, Place::InLog)
            .map_err(|refused| refused.reason)?;
        memory.commit_unwritten = false;
        Ok(())
    }

    /// Notes an event ([`LEFT`] and others), and why.
    pub fn note(&self, note: &str, comment: Option<String>, done: Done) -> Result<(), Refused> {
        let memory = &mut *self.memory();
        let size = SMALL + note.len() + comment.as_ref().map_or(0, String::len);
        let record = Record {
            fact: Fact::Note(note.to_owned()),
            comment: comment.filter(|text| !text.is_empty()),
        };
        let batch = records(vec![record], size, true, done);
        self.inner.submit(memory, batch, Place::Anywhere)?;
        memory.left |= note == LEFT;
        Ok(())
    }

    /// Calls `waker` once when a change of that size may be taken again: at once, or on the
    /// log's thread.
    pub fn on_space(&self, size: usize, waker: Box<dyn FnOnce() + Send>) {
        let mut memory = self.memory();
        match &mut memory.held {
            Some(held) if held.is_full(size, &self.inner.options) => {
                held.on_space(waker);
            }
            _ => {
                drop(memory);
                self.inner.log.on_space(size, waker);
            }
        }
    }
}

impl Inner {
    fn submit(&self, memory: &mut Memory, batch: Batch, place: Place) -> Result<(), Refused> {
        if let Some(error) = &memory.failed {
            return Err(Refused {
                reason: Reason::Failed(error.clone()),
                done: batch.done,
            });
        }
        let result = match &mut memory.held {
            Some(held) if place == Place::InLog => {
                if held.is_full(batch.size_hint, &self.options) {
                    Err(ovsdb_log::Refused::Full(batch))
                } else {
                    held.push(batch);
                    Ok(())
                }
            }
            _ => self.log.try_submit(batch),
        };
        result.map_err(|refused| {
            let (reason, batch) = match refused {
                ovsdb_log::Refused::Full(batch) => (Reason::Full, batch),
                ovsdb_log::Refused::Failed(batch, error) => (Reason::Failed(error), batch),
                ovsdb_log::Refused::Closed(batch) => (Reason::Closed, batch),
            };
            Refused {
                reason,
                done: batch.done,
            }
        })
    }
}

/// The records of a ballot.
///
/// A leader's file must not replace entries (`check-cluster` would say that it did so while it led).
/// So entries that were taken back are taken back in the file too before the server leads, by writing the
/// last one again. If that is part of the snapshot, the leader's record, which only people read, is left out.
fn ballot_facts(memory: &Memory, ballot: Ballot) -> Vec<Record> {
    let (term, server) = match ballot {
        Ballot::Term(term) => return vec![Fact::Term(term).into()],
        Ballot::Vote { term, server } => return vec![Fact::Vote { term, server }.into()],
        Ballot::Leader { term, server } => (term, server),
    };
    let leader = Fact::Leader { term, server }.into();
    if !memory.stale_tail || server != memory.identity.server_id {
        return vec![leader];
    }
    let snapshot = memory.snapshot.as_ref().map_or(0, |s| s.index);
    let snapshot = memory.replacing.unwrap_or(0).max(snapshot);
    let last = memory.entries.last().index;
    match memory.entries.get(last).filter(|_| last > snapshot) {
        // The term first: the server may have led in the one before.
        Some(last) => vec![
            Fact::Term(term).into(),
            Fact::Entry((**last).clone()).into(),
            leader,
        ],
        None => vec![Fact::Term(term).into()],
    }
}

fn records(records: Vec<Record>, size: usize, durable: bool, done: Done) -> Batch {
    Batch {
        encode: Box::new(move |buffer| {
            for record in &records {
                buffer.record(|out| record.write(out));
            }
        }),
        size_hint: size,
        durable,
        done,
    }
}

fn invalid(why: impl ToString, done: Done) -> Result<(), Refused> {
    Err(Refused {
        reason: Reason::Invalid(why.to_string()),
        done,
    })
}
