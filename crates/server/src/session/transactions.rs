//! A session's transactions: answered in the order of their requests, but for those that wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb::json::Json;
use ovsdb::{Error, Tag, Uuid};
use ovsdb_engine::{Context, Outcome, Transaction};

use super::{Ending, HIGH_WATER, Handled, Request, Session, envelope};
use crate::database::{Job, JobKey};
use crate::locks::SessionId;
use crate::mailbox::JobAnswer;
use crate::service::{Served, Service};

/// How many transactions of a session may be under way; more are not read.
const MAX_PENDING: usize = 512;
/// How many bytes their requests may have, unless it is one.
const MAX_PENDING_BYTES: usize = 16 << 20;
/// How many of a session's transactions may wait; more are refused.
const MAX_BLOCKED: usize = 10_000;
/// Requests from this many bytes on, and those that walk this many rows, are executed where
/// that does not hold up other sessions.
pub(crate) const LARGE_REQUEST: usize = 64 << 10;
pub(crate) const MANY_ROWS: usize = 2_000;

/// What a request is answered.
enum Answer {
    Results(Vec<u8>),
    Error(Error),
    /// The string that RFC 7047 section 4.1.4 has.
    Canceled,
    /// Nothing: the client would not understand it.
    None,
}

/// A transaction under way.
struct Pending {
    number: u64,
    /// The request's id as JSON.
    id: Vec<u8>,
    length: usize,
    served: Arc<Served>,
    arrived: Instant,
    answer: Option<Answer>,
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

    /// There is room for another one.
    pub(super) fn take_more(&self) -> bool {
        self.pending.len() < MAX_PENDING && self.bytes < MAX_PENDING_BYTES
    }

    fn begin(&mut self, request: &Request<'_>, served: &Arc<Served>, arrived: Instant) -> u64 {
        self.next_number += 1;
        self.bytes += request.length;
        self.pending.push_back(Pending {
            number: self.next_number,
            id: request.id.source().to_vec(),
            length: request.length,
            served: served.clone(),
            arrived,
            answer: None,
        });
        self.next_number
    }

    /// Notes an answer, unless nobody waits for it any more.
    fn answer(&mut self, number: u64, answer: Answer) {
        if let Some(pending) = self.pending.iter_mut().find(|p| p.number == number) {
            pending.answer = Some(answer);
        }
    }

    fn next_answer(&mut self) -> Option<(Vec<u8>, Answer)> {
        if let Some(late) = self.late.pop_front() {
            return Some(late);
        }
        self.pending.front()?.answer.as_ref()?;
        let pending = self.pending.pop_front()?;
        self.bytes -= pending.length;
        Some((pending.id, pending.answer?))
    }

    /// A transaction waits: others need not be answered behind it.
    fn block(&mut self, number: u64, timeout: Option<u64>) {
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
        for name in service.names() {
            if let Some(served) = service.served(&name) {
                served.database.forget(|key| key.session == session);
            }
        }
    }
}

impl Session {
    pub(super) fn transact(&mut self, request: Request<'_>) -> Result<Handled, Ending> {
        let served = match self.find_database(&request) {
            Ok(_) if self.is_blocked(request.id) => {
                Err(self.syntax_error_of(&request, "duplicate request ID"))
            }
            // It may be found to wait, and then its id is taken.
            Ok(_) if self.is_pending(request.id) => return Ok(Handled::Later),
            found => found,
        };
        let served = match served {
            Ok(served) => served,
            // In order, as all answers.
            Err(_) if !self.transactions.all_answered() => return Ok(Handled::Later),
            Err(error) => {
                self.error(request.id.source(), &error)?;
                return Ok(Handled::Yes);
            }
        };
        if request.length >= LARGE_REQUEST {
            tokio::task::block_in_place(|| self.transact_in(&request, served))
        } else {
            self.transact_in(&request, served)
        }
    }

    fn transact_in(
        &mut self,
        request: &Request<'_>,
        served: Arc<Served>,
    ) -> Result<Handled, Ending> {
        let commit = served.database.committed();
        let schema = commit.version.schema();
        let transaction = Transaction::parse(request.params, schema, Uuid::new_v4);
        let walks = transaction.rows_walked(&commit.version) > MANY_ROWS;
        if transaction.only_reads() {
            if !self.transactions.all_answered() {
                return Ok(Handled::Later);
            }
            served.transactions.count();
            let results = if walks {
                tokio::task::block_in_place(|| self.read_only(transaction, &commit.version))
            } else {
                self.read_only(transaction, &commit.version)
            };
            self.flush_monitors()?;
            envelope::own_result(&mut self.outbox, request.id.source(), results);
            return Ok(Handled::Yes);
        }
        served.transactions.count();
        let arrived = Instant::now();
        let number = self.transactions.begin(request, &served, arrived);
        if self.transactions.blocked.len() >= MAX_BLOCKED {
            let details = format!("a session may have at most {MAX_BLOCKED} waiting transactions");
            let error = Error::new(Tag::ResourcesExhausted, details);
            self.transactions.answer(number, Answer::Error(error));
            self.send_answers()?;
            return Ok(Handled::Yes);
        }
        let mailbox = self.mailbox.clone();
        let job = Job {
            key: JobKey {
                session: self.id,
                number,
            },
            transaction,
            // What is reserved refuses writes by its name.
            read_only: false,
            arrived,
            owns_lock: self.owns_lock.clone(),
            answer: Arc::new(JobAnswer { mailbox, number }),
            text: if served.database.is_shared() {
                Bytes::copy_from_slice(request.params.source())
            } else {
                Bytes::new()
            },
            id: None,
            order: 0,
            passed_on_in: None,
        };
        // With more requests under way it is better to go on, and have them committed together.
        let waits = request.last && self.transactions.pending.len() == 1;
        let submit = || {
            if waits {
                return served.database.submit_here(job);
            }
            served.database.submit(job);
            None
        };
        let work = if walks {
            tokio::task::block_in_place(submit)
        } else {
            submit()
        };
        if let Some(work) = work {
            tokio::task::block_in_place(work);
        }
        Ok(Handled::Yes)
    }

    fn read_only(&self, transaction: Transaction, version: &ovsdb_engine::Version) -> Vec<u8> {
        let mut context = Context {
            read_only: true,
            elapsed: 0,
            owns_lock: &*self.owns_lock,
            new_uuid: &mut Uuid::new_v4,
        };
        match transaction.execute(version, &mut context) {
            Outcome::Done { reply, .. } => reply.finish(),
            // Only a `wait` blocks, and there is none.
            Outcome::Blocked { .. } => b"[]".to_vec(),
        }
    }

    /// Converts a database (ovsdb-server(7), "Database Schema Conversion").
    pub(super) fn convert(&mut self, request: Request<'_>) -> Result<Handled, Ending> {
        let Some(served) = self.lookup(&request)? else {
            return Ok(Handled::Yes);
        };
        let name = served.database.committed().version.schema().name.clone();
        let schema = if self.is_blocked(request.id) {
            Err(self.syntax_error_of(&request, "duplicate request ID"))
        } else {
            match (request.params.len(), request.params.element(1)) {
                (2, Some(schema)) => ovsdb::Schema::parse(schema),
                _ => Err(Error::syntax(request.params, "array expected")),
            }
        };
        let schema = schema.and_then(|schema| {
            if schema.name == name && served.reserved {
                let details = format!("conversion is not allowed for read-only database {name}");
                return Err(Error::new(Tag::NotAllowed, details));
            }
            if schema.name == name {
                return Ok(schema);
            }
            let details = format!(
                "new schema name ({}) does not match database name ({name})",
                schema.name
            );
            Err(Error::new(Tag::InvalidParameters, details))
        });
        match schema {
            Ok(schema) => {
                let number = self.transactions.begin(&request, &served, Instant::now());
                let (service, mailbox) = (self.service.clone(), self.mailbox.clone());
                tokio::task::block_in_place(|| {
                    service.convert(&served, Arc::new(schema), mailbox, number);
                });
            }
            Err(error) => {
                self.flush_monitors()?;
                envelope::error(&mut self.outbox, request.id.source(), &error);
            }
        }
        Ok(Handled::Yes)
    }

    fn is_blocked(&self, id: Json<'_>) -> bool {
        let blocked = &self.transactions.blocked;
        !blocked.is_empty() && {
            let canonical = id.canonical();
            blocked.iter().any(|b| same(&b.id, id, &canonical))
        }
    }

    fn is_pending(&self, id: Json<'_>) -> bool {
        let pending = &self.transactions.pending;
        pending.iter().any(|p| p.id == id.source())
    }

    /// Ends a waiting transaction (RFC 7047 section 4.1.4).
    pub(super) fn cancel(&mut self, params: Json<'_>) -> Result<Handled, Ending> {
        // Those before it may still be found to wait.
        if !self.transactions.all_answered() {
            return Ok(Handled::Later);
        }
        let (1, Some(id)) = (params.len(), params.element(0)) else {
            return Ok(Handled::Yes);
        };
        let canonical = id.canonical();
        let mut blocked = self.transactions.blocked.iter();
        let Some(blocked) = blocked.find(|b| same(&b.id, id, &canonical)) else {
            return Ok(Handled::Yes);
        };
        let (session, number) = (self.id, blocked.number);
        let key = JobKey { session, number };
        // It may have ended this very moment: then it is answered as usual.
        if blocked.served.database.forget(|other| other == key) {
            self.transaction_canceled(number)?;
        }
        Ok(Handled::Yes)
    }

    /// A transaction is found to wait.
    pub(super) fn transaction_blocked(
        &mut self,
        number: u64,
        timeout: Option<u64>,
    ) -> Result<(), Ending> {
        self.transactions.block(number, timeout);
        self.send_answers()
    }

    pub(super) fn transaction_done(&mut self, number: u64, results: Vec<u8>) -> Result<(), Ending> {
        self.finish(number, Answer::Results(results))
    }

    /// As in the reference, only clients that know of changing databases are told.
    pub(super) fn transaction_canceled(&mut self, number: u64) -> Result<(), Ending> {
        let answer = if self.change_aware {
            Answer::Canceled
        } else {
            Answer::None
        };
        self.finish(number, answer)
    }

    pub(super) fn conversion_done(
        &mut self,
        number: u64,
        result: Result<(), Error>,
    ) -> Result<(), Ending> {
        let answer = match result {
            Ok(()) => Answer::Results(b"{}".to_vec()),
            Err(error) => Answer::Error(error),
        };
        self.finish(number, answer)
    }

    fn finish(&mut self, number: u64, answer: Answer) -> Result<(), Ending> {
        match self.transactions.unblock(number) {
            Some(blocked) => self.transactions.late.push_back((blocked.id, answer)),
            None => self.transactions.answer(number, answer),
        }
        self.send_answers()
    }

    /// Sends the answers that are due, but no more than the client takes: with an answer goes
    /// what its monitors have to say before it.
    pub(super) fn send_answers(&mut self) -> Result<(), Ending> {
        while self.outbox.len() < HIGH_WATER
            && let Some((id, answer)) = self.transactions.next_answer()
        {
            self.send_answer(&id, answer)?;
        }
        Ok(())
    }

    fn send_answer(&mut self, id: &[u8], answer: Answer) -> Result<(), Ending> {
        // A client sees what its transaction did before it hears that it is done.
        self.flush_monitors()?;
        match answer {
            Answer::Results(results) => envelope::own_result(&mut self.outbox, id, results),
            Answer::Error(error) => envelope::error(&mut self.outbox, id, &error),
            Answer::Canceled => envelope::error_text(&mut self.outbox, id, "canceled"),
            Answer::None => {}
        }
        Ok(())
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

impl Transactions {
    /// Tries those again whose time is over; they end with "timed out".
    pub(super) fn retry_expired(&mut self, now: Instant, session: SessionId) {
        for (served, number) in self.expired(now) {
            served.database.retry(JobKey { session, number });
        }
    }
}
