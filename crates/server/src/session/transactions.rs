//! A session's transactions: answered in the order of their requests, but for those that wait.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ovsdb::json::Json;
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::{Context, Outcome, Transaction};

use super::under_way::{Answer, Counted, MAX_BLOCKED, count};
use super::{Ending, HIGH_WATER, Handled, Request, Session, envelope};
use crate::counters::{ErrorKind, Executed, TransactionEnd, error_of};
use crate::database::{Job, JobKey};
use crate::mailbox::JobAnswer;
use crate::service::Served;

/// Requests from this many bytes on, and those that walk this many rows, are executed where
/// that does not hold up other sessions.
pub(crate) const LARGE_REQUEST: usize = 64 << 10;
pub(crate) const MANY_ROWS: usize = 2_000;

impl Session {
    pub(super) fn transact(&mut self, request: Request<'_>) -> Result<Handled, Ending> {
        let served = match self.find_database(&request) {
            Ok(_) if self.transactions.find_blocked(request.id).is_some() => {
                Err(self.syntax_error_of(&request, "duplicate request ID"))
            }
            // It may be found to wait, and then its id is taken.
            Ok(_) if self.transactions.is_pending(request.id) => return Ok(Handled::Later),
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
        let arrived = Instant::now();
        let commit = served.database.committed();
        let schema = commit.version.schema();
        let transaction = Transaction::parse(request.params, schema, Uuid::new_v4);
        let walks = transaction.rows_walked(&commit.version) > MANY_ROWS;
        if transaction.only_reads() {
            if !self.transactions.all_answered() {
                return Ok(Handled::Later);
            }
            served.transactions.count();
            let (results, failure) = if walks {
                tokio::task::block_in_place(|| self.read_only(transaction, &commit.version))
            } else {
                self.read_only(transaction, &commit.version)
            };
            self.flush_monitors()?;
            envelope::own_result(&mut self.outbox, request.id.source(), results);
            let end = match failure.map(ErrorKind::Ovsdb) {
                None => TransactionEnd::Read,
                error => self.end_of(error),
            };
            count(&served, Some((end, Executed::Here)));
            let counters = served.database.counters();
            counters.latency.observe(arrived.elapsed());
            return Ok(Handled::Yes);
        }
        served.transactions.count();
        let number = self.transactions.begin(request, &served, arrived, true);
        if self.transactions.is_full_of_blocked() {
            let details = format!("a session may have at most {MAX_BLOCKED} waiting transactions");
            let error = Error::new(Tag::ResourcesExhausted, details);
            self.finish_with_error(number, error, true)?;
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
            read_only: self.is_read_only(),
            role: self.role.clone(),
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
        let waits = request.last && self.transactions.is_one();
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

    fn read_only(
        &self,
        transaction: Transaction,
        version: &ovsdb_engine::Version,
    ) -> (Vec<u8>, Option<Tag>) {
        let mut context = Context {
            read_only: true,
            role: self.role.as_deref(),
            elapsed: 0,
            owns_lock: &*self.owns_lock,
            new_uuid: &mut Uuid::new_v4,
        };
        match transaction.execute(version, &mut context) {
            Outcome::Done { reply, failure, .. } => (reply.finish(), failure),
            // Only a `wait` blocks, and there is none.
            Outcome::Blocked { .. } => (b"[]".to_vec(), None),
        }
    }

    /// Converts a database (ovsdb-server(7), "Database Schema Conversion").
    pub(super) fn convert(&mut self, request: Request<'_>) -> Result<Handled, Ending> {
        let Some(served) = self.lookup(&request)? else {
            return Ok(Handled::Yes);
        };
        let schema = self.schema_to_convert_to(&request, &served);
        match schema {
            Ok(schema) => {
                let now = Instant::now();
                let number = self.transactions.begin(&request, &served, now, false);
                let (service, mailbox) = (self.service.clone(), self.mailbox.clone());
                tokio::task::block_in_place(|| {
                    service.convert(&served, Arc::new(schema), mailbox, number);
                });
            }
            Err(error) => self.error(request.id.source(), &error)?,
        }
        Ok(Handled::Yes)
    }

    /// What a `convert` asks for, if the client may.
    fn schema_to_convert_to(
        &self,
        request: &Request<'_>,
        served: &Served,
    ) -> Result<Schema, Error> {
        if self.transactions.find_blocked(request.id).is_some() {
            return Err(self.syntax_error_of(request, "duplicate request ID"));
        }
        let name = served.database.committed().version.schema().name.clone();
        if let Some(role) = &self.role {
            return Err(role.conversion_error(&name));
        }
        let read_only = || {
            let details = format!("conversion is not allowed for read-only database {name}");
            Error::new(Tag::NotAllowed, details)
        };
        if self.is_read_only() {
            return Err(read_only());
        }
        let (2, Some(schema)) = (request.params.len(), request.params.element(1)) else {
            return Err(Error::syntax(request.params, "array expected"));
        };
        let schema = Schema::parse(schema)?;
        if schema.name == name {
            return match served.reserved {
                true => Err(read_only()),
                false => Ok(schema),
            };
        }
        let details = format!(
            "new schema name ({}) does not match database name ({name})",
            schema.name
        );
        Err(Error::new(Tag::InvalidParameters, details))
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
        let Some((served, number)) = self.transactions.find_blocked(id) else {
            return Ok(Handled::Yes);
        };
        let session = self.id;
        let key = JobKey { session, number };
        // It may have ended this very moment: then it is answered as usual.
        if served.database.forget(|other| other == key) {
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

    pub(super) fn transaction_done(
        &mut self,
        number: u64,
        results: Vec<u8>,
        executed: Executed,
    ) -> Result<(), Ending> {
        let end = self.end_of(error_of(&results));
        self.finish(number, Answer::Results(results), Some((end, executed)))
    }

    /// Another server has refused a transaction.
    pub(super) fn transaction_refused(
        &mut self,
        number: u64,
        error: Vec<u8>,
    ) -> Result<(), Ending> {
        self.count_error(ErrorKind::Other);
        let end = match &*error {
            b"\"canceled\"" => TransactionEnd::Canceled,
            _ => TransactionEnd::Failed,
        };
        let counted = Some((end, Executed::ByLeader));
        self.finish(number, Answer::RawError(error), counted)
    }

    /// A transaction has this error among its results, or none.
    fn end_of(&self, error: Option<ErrorKind>) -> TransactionEnd {
        if let Some(error) = error {
            self.count_error(error);
        }
        TransactionEnd::of(error)
    }

    /// As in the reference, only clients that know of changing databases are told.
    pub(super) fn transaction_canceled(&mut self, number: u64) -> Result<(), Ending> {
        let answer = if self.change_aware {
            Answer::Canceled
        } else {
            Answer::None
        };
        let end = TransactionEnd::Canceled;
        self.finish(number, answer, Some((end, Executed::Here)))
    }

    pub(super) fn conversion_done(
        &mut self,
        number: u64,
        result: Result<(), Error>,
    ) -> Result<(), Ending> {
        match result {
            Ok(()) => self.finish(number, Answer::Results(b"{}".to_vec()), None),
            Err(error) => self.finish_with_error(number, error, false),
        }
    }

    fn finish_with_error(
        &mut self,
        number: u64,
        error: Error,
        is_transaction: bool,
    ) -> Result<(), Ending> {
        let end = self.end_of(Some(ErrorKind::Ovsdb(error.tag)));
        let counted = is_transaction.then_some((end, Executed::Here));
        self.finish(number, Answer::Error(error), counted)
    }

    fn finish(
        &mut self,
        number: u64,
        answer: Answer,
        counted: Option<Counted>,
    ) -> Result<(), Ending> {
        self.transactions.finish(number, answer, counted);
        self.send_answers()
    }

    /// Sends the answers that are due, but no more than the client takes: with an answer goes
    /// what its monitors have to say before it.
    pub(super) fn send_answers(&mut self) -> Result<(), Ending> {
        let mut now = None;
        while self.outbox.len() < HIGH_WATER
            && let Some((id, answer)) = self.transactions.next_answer(&mut now)
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
            Answer::RawError(error) => envelope::raw_error(&mut self.outbox, id, error),
            Answer::Canceled => envelope::error_text(&mut self.outbox, id, "canceled"),
            Answer::None => {}
        }
        Ok(())
    }
}
