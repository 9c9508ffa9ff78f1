//! A session's transactions under way, and those that wait: which answers are due, in which order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ovsdb::Error;
use ovsdb::json::Json;

use super::Request;
use crate::counters::{Executed, TransactionEnd};
use crate::database::JobKey;
use crate::locks::SessionId;
use crate::service::{Served, Service};

/// How many transactions of a session may be under way; more are not read.
const MAX_PENDING: usize = 512;
/// How many bytes their requests may have, unless it is one.
const MAX_PENDING_BYTES: usize = 16 << 20;
/// How many of a session's transactions may wait; more are refused.
pub(super) const MAX_BLOCKED: usize = 10_000;

/// What a request is answered.
pub(super) enum Answer {
    Results(Vec<u8>),
    Error(Error),
    /// An error that is already JSON.
    RawError(Vec<u8>),
    /// The string that RFC 7047 section 4.1.4 has.
    Canceled,
    /// Nothing: the client would not understand it.
    None,
}

/// As what a transaction is counted that has its answer, and by whom it was executed.
pub(super) type Counted = (TransactionEnd, Executed);

/// A transaction under way, or a conversion.
struct Pending {
    number: u64,
    /// The request's id as JSON.
    id: Vec<u8>,
    length: usize,
    served: Arc<Served>,
    arrived: Instant,
    answer: Option<Answer>,
    is_transaction: bool,
}

/// A transaction that waits for the database to change.
struct Blocked {
    number: u64,
    id: Vec<u8>,
    served: Arc<Served>,
    deadline: Option<Instant>,
}

/// A session's transactions under way.
#[derive(Default)]
pub(super) struct Transactions {
    next_number: u64,
    pending: VecDeque<Pending>,
    bytes: usize,
    blocked: Vec<Blocked>,
    /// Answers of those that have waited.
    late: VecDeque<(Vec<u8>, Answer)>,
}

impl Transactions {
    /// Every request has its answer, but for those that wait.
    pub(super) fn all_answered(&self) -> bool {
        self.pending.is_empty() && self.late.is_empty()
    }

    /// How many there are, with those that wait.
    pub(super) fn count(&self) -> usize {
        self.pending.len() + self.blocked.len()
    }

    /// There is room for another one.
    pub(super) fn take_more(&self) -> bool {
        self.pending.len() < MAX_PENDING && self.bytes < MAX_PENDING_BYTES
    }

    pub(super) fn begin(
        &mut self,
        request: &Request<'_>,
        served: &Arc<Served>,
        arrived: Instant,
        is_transaction: bool,
    ) -> u64 {
        self.next_number += 1;
        self.bytes += request.length;
        self.pending.push_back(Pending {
            number: self.next_number,
            id: request.id.source().to_vec(),
            length: request.length,
            served: served.clone(),
            arrived,
            answer: None,
            is_transaction,
        });
        self.next_number
    }

    /// Notes an answer, unless nobody waits for it any more.
    pub(super) fn finish(&mut self, number: u64, answer: Answer, counted: Option<Counted>) {
        if let Some(blocked) = self.unblock(number) {
            count(&blocked.served, counted);
            self.late.push_back((blocked.id, answer));
        } else if let Some(pending) = self.pending.iter_mut().find(|p| p.number == number) {
            pending.answer = Some(answer);
            count(&pending.served, counted);
        }
    }

    /// The next answer that is due. `now` is looked up once, if it is needed.
    pub(super) fn next_answer(&mut self, now: &mut Option<Instant>) -> Option<(Vec<u8>, Answer)> {
        if let Some(late) = self.late.pop_front() {
            return Some(late);
        }
        self.pending.front()?.answer.as_ref()?;
        let pending = self.pending.pop_front()?;
        self.bytes -= pending.length;
        if pending.is_transaction {
            let now = *now.get_or_insert_with(Instant::now);
            let took = now.saturating_duration_since(pending.arrived);
            pending.served.database.counters().latency.observe(took);
        }
        Some((pending.id, pending.answer?))
    }

    /// The session is over: what has no answer gets none any more.
    fn count_unanswered(&self) {
        let unanswered = |pending: &&Pending| pending.answer.is_none() && pending.is_transaction;
        let pending = self.pending.iter().filter(unanswered);
        let served = pending.map(|pending| &pending.served);
        for served in served.chain(self.blocked.iter().map(|blocked| &blocked.served)) {
            count(served, Some((TransactionEnd::Unanswered, Executed::Here)));
        }
    }

    /// A transaction waits: others need not be answered behind it.
    pub(super) fn block(&mut self, number: u64, timeout: Option<u64>) {
        let place = self.pending.iter().position(|p| p.number == number);
        let Some(pending) = place.and_then(|place| self.pending.remove(place)) else {
            return;
        };
        self.bytes -= pending.length;
        let deadline =
            timeout.and_then(|ms| pending.arrived.checked_add(Duration::from_millis(ms)));
        self.blocked.push(Blocked {
            number,
            id: pending.id,
            served: pending.served,
            deadline,
        });
    }

    fn unblock(&mut self, number: u64) -> Option<Blocked> {
        let place = self.blocked.iter().position(|b| b.number == number)?;
        Some(self.blocked.swap_remove(place))
    }

    /// When the first wait times out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.blocked.iter().filter_map(|b| b.deadline).min()
    }

    /// As many wait as may.
    pub(super) fn is_full_of_blocked(&self) -> bool {
        self.blocked.len() >= MAX_BLOCKED
    }

    /// There is one under way, and no other.
    pub(super) fn is_one(&self) -> bool {
        self.pending.len() == 1
    }

    /// The transaction with this id that waits.
    pub(super) fn find_blocked(&self, id: Json<'_>) -> Option<(Arc<Served>, u64)> {
        if self.blocked.is_empty() {
            return None;
        }
        let canonical = id.canonical();
        let mut blocked = self.blocked.iter();
        let found = blocked.find(|blocked| same(&blocked.id, id, &canonical))?;
        Some((found.served.clone(), found.number))
    }

    /// Those that wait in a database that is gone.
    pub(super) fn blocked_in_vain(&self) -> Vec<(Arc<Served>, u64)> {
        let gone = self.blocked.iter();
        let gone = gone.filter(|blocked| blocked.served.removed.load(Ordering::Acquire));
        gone.map(|blocked| (blocked.served.clone(), blocked.number))
            .collect()
    }

    /// One with this id is under way.
    pub(super) fn is_pending(&self, id: Json<'_>) -> bool {
        self.pending.iter().any(|p| p.id == id.source())
    }

    /// Tries those again whose time is over; they end with "timed out".
    pub(super) fn retry_expired(&mut self, now: Instant, session: SessionId) {
        for (served, number) in self.expired(now) {
            served.database.retry(JobKey { session, number });
        }
    }

    fn expired(&mut self, now: Instant) -> Vec<(Arc<Served>, u64)> {
        let mut expired = Vec::new();
        for blocked in &mut self.blocked {
            if blocked.deadline.is_some_and(|deadline| deadline <= now) {
                blocked.deadline = None;
                expired.push((blocked.served.clone(), blocked.number));
            }
        }
        expired
    }

    /// Takes a session's waiting transactions out of their databases.
    pub(super) fn forget(&mut self, service: &Service, session: SessionId) {
        if self.blocked.is_empty() && self.pending.is_empty() {
            return;
        }
        self.count_unanswered();
        for name in service.names() {
            if let Some(served) = service.served(&name) {
                served.database.leave(session);
            }
        }
    }
}

/// Counts a transaction.
pub(super) fn count(served: &Served, counted: Option<Counted>) {
    if let Some((end, executed)) = counted {
        served.database.counters().count(end, executed);
    }
}

/// True if two ids are the same JSON value.
fn same(source: &[u8], id: Json<'_>, canonical: &str) -> bool {
    if source == id.source() {
        return true;
    }
    // Numbers and strings have several notations.
    let wrapped = [b"[".as_slice(), source, b"]"].concat();
    ovsdb::json::Document::parse(wrapped).is_ok_and(|document| {
        document
            .root()
            .element(0)
            .is_some_and(|other| other.canonical() == canonical)
    })
}
