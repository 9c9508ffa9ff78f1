//! A follower's transactions that its leader has, or is to get, in the order of the requests.
//!
//! What a session has asked for later must not overtake what it has asked for before, however often
//! the leader changes. So what comes to a new leader waits until it is known what became of all that
//! was sent to the one before, and what has to be executed again goes first.
//!
//! Pure but for the jobs, which are handed out and not answered here.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{Error, Tag, Uuid};

use super::again::{self, Around};
use super::passing::{Limits, PassedOn, Transactions};
use crate::database::Job;
use crate::locks::SessionId;

/// How much goes into one message, unless it is one transaction.
const MOST: usize = 512;
const MOST_BYTES: usize = 1 << 20;

/// A job's place among all, see [`Job::order`].
type Order = u64;

struct Entry {
    job: Job,
    id: Uuid,
    /// The term in which it was sent, and its number there.
    sent: Option<(u64, u64)>,
    /// The log has it.
    in_log: bool,
    /// Where it is in the log, while the leader's answer may be lost.
    around: Option<Around>,
    /// The leader's answer came; it is given when the log up to this index is applied.
    answer: Option<(u64, Option<Vec<u8>>)>,
}

impl Entry {
    fn is_lost(&self) -> bool {
        self.in_log && !matches!(self.answer, Some((_, Some(_))))
    }

    /// Finds the results in the log, where the leader's answer is lost.
    fn recover(&mut self) {
        if self.is_lost()
            && let Some(around) = self.around.take()
            && let Some(results) = again::results(&self.job, self.id, &around)
        {
            self.answer = Some((0, Some(results)));
        }
    }
}

/// What a transaction has come to.
pub enum End {
    /// It has these results.
    Done(Job, Vec<u8>),
    /// It was not executed: it is to be tried again.
    Again(Job),
    /// It was executed, but its results are lost; or it cannot be executed in its order any more.
    Unknown(Job),
}

/// A follower's transactions.
pub struct Waiting {
    incarnation: Uuid,
    /// The next number; none is used twice.
    next: u64,
    entries: BTreeMap<Order, Entry>,
    ids: BTreeMap<Uuid, Order>,
    numbers: BTreeMap<u64, Order>,
    /// Those that are to be sent.
    unsent: BTreeSet<Order>,
    /// Numbers that are to be sent again to the same leader.
    again: BTreeSet<u64>,
    answered: BTreeSet<(u64, Order)>,
    /// How many were sent in each term, and how many each session has.
    terms: BTreeMap<u64, usize>,
    sessions: BTreeMap<SessionId, usize>,
    /// The leader has not taken a message.
    refused: bool,
}

fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn discount<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(number) = counts.get_mut(&key) {
        *number -= 1;
        if *number == 0 {
            counts.remove(&key);
        }
    }
}

impl Waiting {
    /// None yet. The follower is told from its earlier lives by `incarnation`.
    pub fn new(incarnation: Uuid) -> Waiting {
        Waiting {
            incarnation,
            next: 1,
            entries: BTreeMap::new(),
            ids: BTreeMap::new(),
            numbers: BTreeMap::new(),
            unsent: BTreeSet::new(),
            again: BTreeSet::new(),
            answered: BTreeSet::new(),
            terms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            refused: false,
        }
    }

    /// One more, under an id of its own.
    pub fn push(&mut self, job: Job, id: Uuid) {
        let order = job.order;
        self.ids.insert(id, order);
        self.unsent.insert(order);
        count(&mut self.sessions, job.key.session);
        let entry = Entry {
            job,
            id,
            sent: None,
            in_log: false,
            around: None,
            answer: None,
        };
        self.entries.insert(order, entry);
    }

    /// Whether a session has a transaction here.
    pub fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Whether something was sent, and is not over.
    pub fn has_sent(&self) -> bool {
        !self.terms.is_empty()
    }

    /// True if there is something to send.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || !self.again.is_empty()
    }

    /// The next message for the leader of a term; none if there is nothing to say yet. Those that
    /// need a lock which their session has lost meanwhile are not sent.
    pub fn next_message(&mut self, term: u64) -> (Option<Transactions>, Vec<End>) {
        let answered = self.numbers.keys().next().copied().unwrap_or(self.next);
        let mut message = Transactions {
            incarnation: self.incarnation,
            term,
            answered,
            all: Vec::new(),
        };
        let mut ends = Vec::new();
        let mut bytes = 0;
        while let Some(number) = self.again.first().copied() {
            let order = self.numbers.get(&number).copied();
            if let Some(order) = order
                && let Some(entry) = self.entries.get(&order)
                && entry.job.is_abandoned()
            {
                // Nobody needs to know what has become of it.
                self.remove(order);
                continue;
            }
            let entry = order.and_then(|order| self.entries.get(&order));
            // What became of it in its own term has to be known first.
            if let Some(entry) = entry.filter(|entry| entry.sent == Some((term, number))) {
                if !has_room(&message, bytes, entry) {
                    return (Some(message), ends);
                }
                bytes += entry.job.text.len();
                message.all.push(passed_on(entry, number));
            }
            self.again.remove(&number);
        }
        // Whoever comes later waits for what was sent to other leaders.
        let open = self.terms.keys().any(|sent| *sent != term);
        while !open && let Some(order) = self.unsent.first().copied() {
            let Some(entry) = self.entries.get_mut(&order) else {
                self.unsent.remove(&order);
                continue;
            };
            let job = &entry.job;
            let misses_lock = job
                .transaction
                .asserted_locks()
                .any(|lock| !(job.owns_lock)(lock));
            if misses_lock || job.is_abandoned() {
                let entry = self.remove(order);
                ends.extend(entry.map(|entry| End::Again(entry.job)));
                continue;
            }
            if !has_room(&message, bytes, entry) {
                break;
            }
            self.unsent.remove(&order);
            let number = self.next;
            self.next += 1;
            entry.sent = Some((term, number));
            self.numbers.insert(number, order);
            count(&mut self.terms, term);
            bytes += entry.job.text.len();
            message.all.push(passed_on(entry, number));
        }
        ((!message.all.is_empty()).then_some(message), ends)
    }

    /// The message, which has one transaction, is longer than any leader takes: that ends with an
    /// error, and the others go on.
    pub fn too_long(&mut self, message: &Transactions, length: usize) -> Vec<End> {
        let details = format!("a transaction of {length} bytes is too long for the leader");
        let error = Error::new(Tag::ResourcesExhausted, details);
        let mut ends = Vec::new();
        for one in &message.all {
            let order = self.numbers.get(&one.number).copied();
            if let Some(entry) = order.and_then(|order| self.remove(order)) {
                let mut results = b"[".to_vec();
                error.write_json(&mut results);
                results.push(b']');
                ends.push(End::Done(entry.job, results));
            }
        }
        ends
    }

    /// The connection is gone: what has no answer is sent again.
    pub fn send_again(&mut self) {
        let unanswered = self.entries.values().filter(|entry| entry.answer.is_none());
        let numbers = unanswered.filter_map(|entry| entry.sent.map(|(_, number)| number));
        self.again.extend(numbers);
    }

    /// The leader has not taken a message, as it is no leader yet: all of it is to come again.
    pub fn note_refusal(&mut self, incarnation: Uuid) {
        self.refused |= incarnation == self.incarnation;
    }

    /// Whether something is to be sent again; true once.
    pub fn take_refusal(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// The leader of a term has answered; `results` are none where it was not executed.
    pub fn answer(
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
        if let Some(order) = self.numbers.get(&number)
            && let Some(entry) = self.entries.get_mut(order)
            && entry.sent == Some((term, number))
            && entry.answer.is_none()
        {
            entry.answer = Some((index, results));
            self.answered.insert((index, *order));
            self.again.remove(&number);
        }
    }

    /// The log has a transaction with this id, there.
    pub fn seen(&mut self, id: Uuid, around: Option<Around>) {
        if let Some(order) = self.ids.get(&id)
            && let Some(entry) = self.entries.get_mut(order)
        {
            entry.in_log = true;
            entry.around = around.filter(|_| entry.answer.is_none());
        }
    }

    /// Forgets that it was sent.
    fn take_back(&mut self, order: Order) {
        let Some(entry) = self.entries.get_mut(&order) else {
            return;
        };
        if let Some((index, _)) = entry.answer.take() {
            self.answered.remove(&(index, order));
        }
        if let Some((term, number)) = entry.sent.take() {
            self.numbers.remove(&number);
            self.again.remove(&number);
            discount(&mut self.terms, term);
        }
    }

    fn remove(&mut self, order: Order) -> Option<Entry> {
        let answer = self.entries.get(&order)?.answer.clone();
        self.take_back(order);
        let mut entry = self.entries.remove(&order)?;
        entry.answer = answer;
        self.ids.remove(&entry.id);
        self.unsent.remove(&order);
        discount(&mut self.sessions, entry.job.key.session);
        Some(entry)
    }

    /// The log is applied up to this index: these are over, in their order.
    pub fn applied(&mut self, index: u64) -> Vec<End> {
        let mut ends = Vec::new();
        while let Some(&(at, order)) = self.answered.first()
            && at <= index
        {
            self.answered.pop_first();
            let Some(entry) = self.remove(order) else {
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
    /// now never will be, and is to be sent again.
    ///
    /// What is in the log has lost its results, if they have not come and are not found by executing it
    /// once more. Its session ends, and with it all that it has asked for: what did not get into the log
    /// before that cannot be executed behind it.
    pub fn term_over(&mut self, term: u64) -> Vec<End> {
        if self.terms.keys().next().is_none_or(|first| *first >= term) {
            return Vec::new();
        }
        let is_over = |entry: &Entry| entry.sent.is_some_and(|(sent, _)| sent < term);
        let over = self.entries.iter().filter(|(_, entry)| is_over(entry));
        let over: Vec<Order> = over.map(|(order, _)| *order).collect();
        for order in &over {
            if let Some(entry) = self.entries.get_mut(order) {
                entry.recover();
            }
        }
        let lost = over.iter().filter_map(|order| self.entries.get(order));
        let lost = lost.filter(|entry| entry.is_lost());
        let lost: BTreeSet<SessionId> = lost.map(|entry| entry.job.key.session).collect();
        let mut ends = self.end_sessions(&lost);
        for order in over {
            match self.entries.get(&order) {
                Some(entry) if entry.in_log => {
                    if let Some(entry) = self.remove(order)
                        && let Some((_, Some(results))) = entry.answer
                    {
                        ends.push(End::Done(entry.job, results));
                    }
                }
                // An answer of a leader that is gone was about a log that has not come to be.
                Some(_) => {
                    self.take_back(order);
                    self.unsent.insert(order);
                }
                None => {}
            }
        }
        ends
    }

    /// All of these sessions that is not in the log with its results has an unknown outcome.
    fn end_sessions(&mut self, sessions: &BTreeSet<SessionId>) -> Vec<End> {
        let is_theirs = |entry: &Entry| {
            let kept = entry.in_log && !entry.is_lost();
            sessions.contains(&entry.job.key.session) && !kept
        };
        let theirs = self.entries.iter().filter(|(_, entry)| is_theirs(entry));
        let theirs: Vec<Order> = match sessions.is_empty() {
            true => Vec::new(),
            false => theirs.map(|(order, _)| *order).collect(),
        };
        let ends = theirs.into_iter().filter_map(|order| self.remove(order));
        ends.map(|entry| End::Unknown(entry.job)).collect()
    }

    /// Contents have come from elsewhere: what was sent and has no answer is not known any more, and
    /// so all of its session.
    pub fn contents_replaced(&mut self) -> Vec<End> {
        let unanswered = |entry: &&Entry| entry.sent.is_some() && entry.answer.is_none();
        let sessions = self.entries.values().filter(unanswered);
        let sessions = sessions.map(|entry| entry.job.key.session).collect();
        self.end_sessions(&sessions)
    }

    /// Nobody is to be asked any more: what was not sent is given back.
    pub fn take_unsent(&mut self) -> Vec<End> {
        let unsent: Vec<Order> = self.unsent.iter().copied().collect();
        let ends = unsent.into_iter().filter_map(|order| self.remove(order));
        ends.map(|entry| End::Again(entry.job)).collect()
    }

    /// Everything: this server takes leave, and will not know what becomes of it.
    pub fn take_all(&mut self) -> Vec<End> {
        let all: Vec<Order> = self.entries.keys().copied().collect();
        let ends = all.into_iter().filter_map(|order| self.remove(order));
        let end = |mut entry: Entry| {
            entry.recover();
            match (entry.answer, entry.in_log) {
                (Some((_, Some(results))), true) => End::Done(entry.job, results),
                _ => End::Unknown(entry.job),
            }
        };
        ends.map(end).collect()
    }
}

fn has_room(message: &Transactions, bytes: usize, entry: &Entry) -> bool {
    let all = &message.all;
    all.is_empty() || all.len() < MOST && bytes + entry.job.text.len() <= MOST_BYTES
}

fn passed_on(entry: &Entry, number: u64) -> PassedOn {
    let elapsed = entry.job.arrived.elapsed().as_millis();
    PassedOn {
        number,
        id: entry.id,
        elapsed: u64::try_from(elapsed).unwrap_or(u64::MAX),
        limits: Limits {
            read_only: entry.job.read_only,
            role: entry.job.role.clone(),
        },
        text: entry.job.text.clone(),
    }
}

#[cfg(test)]
mod tests;
