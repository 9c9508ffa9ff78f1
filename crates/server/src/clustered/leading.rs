//! The leader's side of what followers pass on.

use std::sync::Arc;
use std::sync::atomic::Ordering as AtomicOrdering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_cluster::wire::Body;
use ovsdb_cluster::wire::message::{
    CommandStatus, ExecuteCommandReply, ExecuteCommandRequest, Own,
};
use ovsdb_cluster::wire::stream::Held;
use ovsdb_engine::Transaction;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::Clustered;
use super::again::row_ids;
use super::passing::{ANSWERS, Answer, Answers, PassedOn, Transactions, Verdict};
use crate::counters::{TransactionEnd, error_of};
use crate::database::{Database, Executed, Job, JobKey, Ordered};
use crate::locks::SessionId;
use crate::session::{LARGE_REQUEST, MANY_ROWS};

/// Jobs of followers belong to no session here.
const NO_SESSION: SessionId = SessionId::MAX;
/// An old follower gives up after a while without a word: it gets one so often.
const PROGRESS: Duration = Duration::from_millis(300);

/// A follower, the message that it has passed transactions on in, and its memory.
pub(super) type PassedOnBy = (Uuid, Bytes, Held);

/// A follower that has passed a transaction on.
struct Asker {
    clustered: Arc<Clustered>,
    follower: Uuid,
    incarnation: Uuid,
    term: u64,
    number: u64,
}

impl Asker {
    fn say(&self, verdict: Verdict) {
        let clustered = &self.clustered;
        let answer = Answer {
            number: self.number,
            index: clustered.applied.load(AtomicOrdering::Acquire),
            verdict,
        };
        let mut executing = clustered.executing.lock();
        let is_new = executing.answer(self.follower, self.incarnation, self.term, answer);
        drop(executing);
        // What is said while entries are applied is sent behind them.
        if is_new && !clustered.applying.load(AtomicOrdering::Acquire) {
            clustered.to_answer.notify_one();
        }
    }
}

impl crate::database::Answer for Asker {
    fn done(&self, results: Vec<u8>) {
        if let Some(database) = self.clustered.database.get() {
            let end = TransactionEnd::of(error_of(&results));
            database.counters().for_members.count(end);
        }
        self.say(Verdict::Results(results.into()));
    }

    fn blocked(&self, _: Option<u64>) {
        self.say(Verdict::NotExecuted);
    }

    fn canceled(&self) {
        self.say(Verdict::NotExecuted);
    }

    fn unknown(&self) {}
}

impl Clustered {
    /// Has executed what a follower has passed on, aside: it may be much, and who calls has the
    /// leader's signs of life to give.
    pub(super) fn receive_transactions(&self, from: Uuid, data: Bytes, held: Held) {
        if let Err(TrySendError::Full((from, data, _))) =
            self.passed_on.try_send((from, data, held))
            && let Some(transactions) = Transactions::read(&data)
        {
            self.refuse(from, &transactions);
        }
    }

    /// Only members pass transactions on: ids can be made up, and of each something is kept.
    fn is_member(&self, server: Uuid) -> bool {
        self.node.get().is_some_and(|node| node.is_member(server))
    }

    /// A log line that others can cause, if there are not too many.
    pub(super) fn remark(&self, text: impl FnOnce() -> String) {
        if self.node.get().is_some_and(|node| node.may_log()) {
            tracing::warn!(db = &*self.name, "{}: {}", self.name, text());
        }
    }

    fn execute(&self, from: Uuid, data: &Bytes) {
        let Some(transactions) = Transactions::read(data) else {
            self.remark(|| format!("server {from} passes on what are no transactions"));
            return;
        };
        // Not by its place: the database has to know, too, or it would leave them out.
        // One that has lost the majority takes nothing new: its client would be told that it has failed, and
        // it would come to pass all the same one day.
        let leads = self.led.load(AtomicOrdering::Acquire) == transactions.term
            && self.place.borrow().connected
            && self.is_member(from);
        let (Some(itself), Some(database), true) =
            (self.itself.upgrade(), self.database.get(), leads)
        else {
            return self.refuse(from, &transactions);
        };
        let (incarnation, term) = (transactions.incarnation, transactions.term);
        let (new, refuses) = {
            let mut executing = self.executing.lock();
            let new = executing.receive(from, &transactions);
            (new, executing.refuses(from))
        };
        if refuses {
            self.take_none(from, &transactions);
        }
        // Answers that were lost are there already.
        self.answer();
        for one in transactions.all {
            if new.contains(&one.number) {
                let asker = Asker {
                    clustered: itself.clone(),
                    follower: from,
                    incarnation,
                    term,
                    number: one.number,
                };
                match self.job(one, asker) {
                    Ok(job) if walks_far(&job, database) => {
                        tokio::task::block_in_place(|| database.submit(job));
                    }
                    Ok(job) => database.submit(job),
                    Err(asker) => asker.say(Verdict::NotExecuted),
                }
            }
        }
    }

    /// These cannot be taken now.
    fn refuse(&self, from: Uuid, transactions: &Transactions) {
        if self.is_member(from) {
            self.executing.lock().refuse(from, transactions);
        }
        self.take_none(from, transactions);
    }

    /// The follower may be early, as it knows a leader before that has applied what it leads
    /// on: it is to send all again.
    fn take_none(&self, to: Uuid, transactions: &Transactions) {
        let answers = Answers {
            incarnation: transactions.incarnation,
            term: transactions.term,
            all: Vec::new(),
        };
        self.send_answers(to, &answers);
    }

    fn send_answers(&self, to: Uuid, answers: &Answers) {
        let own = Body::Own(Own {
            kind: ANSWERS.to_owned(),
            data: answers.write(),
        });
        // Where it is lost, the follower asks again.
        let sent = self.node.get().map(|node| match answers.all.is_empty() {
            true => node.send(to, &own),
            false => self.send_reply(node, to, &own),
        });
        if let Some(Err(error)) = sent {
            tracing::debug!(
                db = &*self.name,
                "{}: no answers to {to}: {error}",
                self.name
            );
        }
    }

    /// Sends the answers that are there.
    pub(super) fn answer(&self) {
        loop {
            let message = self.executing.lock().next_message();
            let Some((to, answers)) = message else {
                return;
            };
            if !answers.all.is_empty() {
                self.send_answers(to, &answers);
            }
        }
    }

    fn job(&self, one: PassedOn, asker: Asker) -> Result<Job, Asker> {
        let (Some(database), Ok(document)) =
            (self.database.get(), Document::parse(one.text.clone()))
        else {
            return Err(asker);
        };
        let schema = database.committed().version.schema().clone();
        let transaction = Transaction::parse(document.root(), &schema, row_ids(one.id));
        let now = Instant::now();
        let arrived = now.checked_sub(Duration::from_millis(one.elapsed));
        Ok(Job {
            key: JobKey {
                session: NO_SESSION,
                number: one.number,
            },
            transaction,
            read_only: one.limits.read_only,
            role: one.limits.role,
            arrived: arrived.unwrap_or(now),
            // The follower has asked its sessions.
            owns_lock: Arc::new(|_| true),
            order: 0,
            passed_on_in: Some(asker.term),
            answer: Arc::new(asker),
            text: Bytes::new(),
            id: Some(one.id),
        })
    }

    /// A follower of the old kind has executed a transaction, and wants it in the log.
    pub(super) fn execute_command(&self, from: Uuid, request: ExecuteCommandRequest) {
        let ExecuteCommandRequest {
            data,
            prereq,
            result,
        } = request;
        let (Some(itself), Some(database)) = (self.itself.upgrade(), self.database.get()) else {
            return;
        };
        let replies = itself.clone();
        let over = Arc::new(tokio::sync::Notify::new());
        let ended = over.clone();
        let database = database.clone();
        let progress = itself.clone();
        let Ok(permit) = self.commands.clone().try_acquire_owned() else {
            return self.reply_command(from, result, CommandStatus::NotLeader, 0);
        };
        tokio::spawn(async move {
            // It may have to be told several times that its transaction is under way.
            loop {
                tokio::select! {
                    () = ended.notified() => return,
                    () = progress.stop.cancelled() => return,
                    () = tokio::time::sleep(PROGRESS) => {
                        progress.reply_command(from, result, CommandStatus::Incomplete, 0);
                    }
                }
            }
        });
        tokio::task::spawn_blocking(move || {
            let executed = Executed {
                prerequisite: prereq,
                id: result,
                data,
            };
            database.order(executed, move |ordered| {
                over.notify_one();
                drop(permit);
                let index = replies.applied.load(AtomicOrdering::Acquire);
                let (status, index) = match ordered {
                    Ordered::Kept => (CommandStatus::Success, index),
                    Ordered::Converted(schema) => {
                        replies.service.schema_changed(schema);
                        (CommandStatus::Success, index)
                    }
                    Ordered::NotHere => (CommandStatus::NotLeader, 0),
                    Ordered::Mismatch => (CommandStatus::BadPrerequisite, 0),
                    Ordered::Lost => (CommandStatus::LostLeadership, 0),
                    Ordered::Wrong(error) => {
                        tracing::warn!(
                            db = &*replies.name,
                            "{}: a transaction of server {from} cannot be applied: {error}",
                            replies.name
                        );
                        (CommandStatus::IoError, 0)
                    }
                };
                replies.reply_command(from, result, status, index);
            });
        });
    }

    fn reply_command(&self, to: Uuid, result: Uuid, status: CommandStatus, commit_index: u64) {
        let reply = Body::ExecuteCommandReply(ExecuteCommandReply {
            result,
            status,
            commit_index,
        });
        if let Some(node) = self.node.get()
            && let Err(error) = self.send_reply(node, to, &reply)
        {
            tracing::debug!(
                db = &*self.name,
                "{}: no execute_command_reply to {to}: {error}",
                self.name
            );
        }
    }
}

fn walks_far(job: &Job, database: &Database) -> bool {
    let version = &database.committed().version;
    job.transaction.rows_walked(version) > MANY_ROWS
}

/// Executes what followers have passed on, as it comes.
pub(super) async fn execute_all(
    clustered: Arc<Clustered>,
    mut passed_on: mpsc::Receiver<PassedOnBy>,
) {
    let stop = clustered.stop.clone();
    loop {
        let next = tokio::select! {
            next = passed_on.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some((from, data, _held)) = next else {
            return;
        };
        // Making room for other tasks costs more than a short transaction.
        if data.len() >= LARGE_REQUEST {
            tokio::task::block_in_place(|| clustered.execute(from, &data));
        } else {
            clustered.execute(from, &data);
        }
    }
}

/// Sends answers as they come.
pub(super) async fn answer_all(clustered: Arc<Clustered>) {
    let stop = clustered.stop.clone();
    loop {
        tokio::select! {
            () = clustered.to_answer.notified() => {}
            () = stop.cancelled() => return,
        }
        clustered.answer();
    }
}
