//! A follower's transactions that its leader has, or is to get.
//!
//! Pure but for the jobs, which are handed out and not answered here.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::Uuid;

use super::passing::{PassedOn, Transactions};
use crate::database::Job;

/// How much goes into one message.
const MOST: usize = 512;
const MOST_BYTES: usize = 1 << 20;

struct Entry {
    job: Job,
    id: Uuid,
    /// The term in which it was sent first; 0 before.
    term: u64,
    /// The log has it.
    in_log: bool,
    /// The leader's answer came; it is given when the log up to this index is applied.
    answer: Option<(u64, Option<Vec<u8>>)>,
}

/// What a transaction has come to.
pub(super) enum End {
    /// It has these results.
    Done(Job, Vec<u8>),
    /// It was not executed: it is to be tried again.
    Again(Job),
    /// It was executed, but its results are lost.
    Unknown(Job),
}

/// A follower's transactions, by number.
pub(super) struct Waiting {
    incarnation: Uuid,
    next: u64,
    entries: BTreeMap<u64, Entry>,
    numbers: BTreeMap<Uuid, u64>,
    unsent: BTreeSet<u64>,
    answered: BTreeSet<(u64, u64)>,
    /// The leader has not taken a message.
    refused: bool,
}

impl Waiting {
    pub(super) fn new(incarnation: Uuid) -> Waiting {
        Waiting {
            incarnation,
            next: 1,
            entries: BTreeMap::new(),
            numbers: BTreeMap::new(),
            unsent: BTreeSet::new(),
            answered: BTreeSet::new(),
            refused: false,
        }
    }

    pub(super) fn push(&mut self, job: Job, id: Uuid) {
        let number = self.next;
        self.next += 1;
        self.numbers.insert(id, number);
        self.unsent.insert(number);
        let entry = Entry {
            job,
            id,
            term: 0,
            in_log: false,
            answer: None,
        };
        self.entries.insert(number, entry);
    }

    /// The next message for the leader of a term; none if there is nothing to say.
    pub(super) fn next_message(&mut self, term: u64) -> Option<Transactions> {
        let answered = self.entries.keys().next().copied().unwrap_or(self.next);
        let mut all = Vec::new();
        let mut bytes = 0;
        let mut sent = Vec::new();
        for number in &self.unsent {
            let Some(entry) = self.entries.get_mut(number) else {
                continue;
            };
            if all.len() >= MOST || bytes >= MOST_BYTES {
                break;
            }
            sent.push(*number);
            if entry.term != 0 && entry.term != term {
                // What became of it in its own term has to be known first.
                continue;
            }
            entry.term = term;
            bytes += entry.job.text.len();
            let elapsed = entry.job.arrived.elapsed().as_millis();
            all.push(PassedOn {
                number: *number,
                id: entry.id,
                elapsed: u64::try_from(elapsed).unwrap_or(u64::MAX),
                text: entry.job.text.clone(),
            });
        }
        for number in sent {
            self.unsent.remove(&number);
        }
        (!all.is_empty()).then_some(Transactions {
            incarnation: self.incarnation,
            term,
            answered,
            all,
        })
    }

    /// The connection is gone: what has no answer is sent again.
    pub(super) fn send_again(&mut self) {
        let unanswered = self.entries.iter().filter(|(_, e)| e.answer.is_none());
        self.unsent.extend(unanswered.map(|(number, _)| *number));
    }

    /// The leader has not taken a message, as it is no leader yet: all of it is to come again.
    pub(super) fn note_refusal(&mut self, incarnation: Uuid) {
        self.refused |= incarnation == self.incarnation;
    }

    /// Whether something is to be sent again; true once.
    pub(super) fn take_refusal(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// The leader of a term has answered; `results` are none where it was not executed.
    pub(super) fn answer(
        &mut self,
        incarnation: Uuid,
        term: u64,
        number: u64,
        index: u64,
        results: Option<Vec<u8>>,
    ) {
        if incarnation != self.incarnation {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&number)
            && entry.term == term
            && entry.answer.is_none()
        {
            entry.answer = Some((index, results));
            self.answered.insert((index, number));
            self.unsent.remove(&number);
        }
    }

    /// The log has a transaction with this id.
    pub(super) fn seen(&mut self, id: Uuid) {
        if let Some(number) = self.numbers.get(&id)
            && let Some(entry) = self.entries.get_mut(number)
        {
            entry.in_log = true;
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.numbers.remove(&entry.id);
        self.unsent.remove(&number);
        Some(entry)
    }

    /// The log is applied up to this index: these are over, in their order.
    pub(super) fn applied(&mut self, index: u64) -> Vec<End> {
        let mut ends = Vec::new();
        while let Some(&(at, number)) = self.answered.first()
            && at <= index
        {
            self.answered.pop_first();
            let Some(entry) = self.remove(number) else {
                continue;
            };
            ends.push(match entry.answer {
                Some((_, Some(results))) => End::Done(entry.job, results),
                _ => End::Again(entry.job),
            });
        }
        ends
    }

    /// An entry of this term is applied: what was sent in earlier terms and is not in the log by
    /// now never will be.
    pub(super) fn term_over(&mut self, term: u64) -> Vec<End> {
        self.end_where(|entry| entry.term != 0 && entry.term < term)
    }

    /// Contents have come from elsewhere: what has no answer is not known any more, but for what
    /// was never sent.
    pub(super) fn contents_replaced(&mut self) -> Vec<End> {
        let mut ends = Vec::new();
        let sent: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.term != 0 && entry.answer.is_none())
            .map(|(number, _)| *number)
            .collect();
        for number in sent {
            let entry = self.remove(number);
            ends.extend(entry.map(|entry| End::Unknown(entry.job)));
        }
        ends
    }

    /// Nobody is to be asked any more: what was not sent is given back.
    pub(super) fn take_unsent(&mut self) -> Vec<End> {
        self.end_where(|entry| entry.term == 0)
    }

    /// Everything; what is in the log has its results nevertheless, if they are known.
    pub(super) fn take_all(&mut self) -> Vec<End> {
        let again_or_over = self.end_where(|_| true).into_iter();
        again_or_over
            .map(|end| match end {
                End::Again(job) => End::Unknown(job),
                other => other,
            })
            .collect()
    }

    fn end_where(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<End> {
        let over: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| which(entry))
            .map(|(number, _)| *number)
            .collect();
        let mut ends = Vec::new();
        for number in over {
            let Some(entry) = self.remove(number) else {
                continue;
            };
            if let Some((index, _)) = entry.answer {
                self.answered.remove(&(index, number));
            }
            ends.push(match (entry.answer, entry.in_log) {
                (Some((_, Some(results))), true) => End::Done(entry.job, results),
                (_, true) => End::Unknown(entry.job),
                // An answer of a leader that is gone, about a log that has not come to be.
                (_, false) => End::Again(entry.job),
            });
        }
        ends
    }

    /// True if there is something to send.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }
}
