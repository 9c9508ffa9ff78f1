//! The follower's side where the leader is of the old kind: one transaction after the other,
//! executed here and sent with the id of the version that it was executed on.
//!
//! The leader takes it only if that is still the log's last transaction. So it can be sent any
//! number of times: the next transaction in the log behind that version is either this one, or
//! this one never will be.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb_cluster::contents::now;
use ovsdb_cluster::wire::Body;
use ovsdb_cluster::wire::message::{CommandStatus, ExecuteCommandReply, ExecuteCommandRequest};
use ovsdb_engine::Outcome;
use parking_lot::Mutex;

use super::Clustered;
use crate::database::{Executed, Job};
use crate::file_form::write_changes;

/// How soon it is looked again whether one was executed that is just being executed.
const EXECUTING: Duration = Duration::from_millis(1);

struct Attempt {
    job: Job,
    prerequisite: Uuid,
    id: Uuid,
    data: Bytes,
    results: Vec<u8>,
}

impl Attempt {
    fn request(&self) -> ExecuteCommandRequest {
        ExecuteCommandRequest {
            data: self.data.clone(),
            prereq: self.prerequisite,
            result: self.id,
        }
    }
}

#[derive(Default)]
struct State {
    queue: BTreeMap<u64, Job>,
    attempt: Option<Attempt>,
    /// Somebody works on the queue.
    working: bool,
    /// The present one did not get to the leader.
    retry: bool,
}

/// Transactions for a leader of the old kind.
#[derive(Default)]
pub(super) struct OldLeader(Mutex<State>);

/// What the execution of a job has led to.
enum Next {
    /// It is over, or waits for a change.
    Nothing,
    Send(Box<Attempt>),
}

impl OldLeader {
    pub(super) fn push(&self, clustered: &Clustered, job: Job) {
        self.0.lock().queue.insert(job.order, job);
        self.work(clustered);
    }

    /// Executes jobs until one has to be sent.
    pub(super) fn work(&self, clustered: &Clustered) {
        loop {
            if self.0.lock().queue.is_empty() {
                return;
            }
            if clustered.is_open() {
                // Earlier ones may come back; it is gone on with when that is known.
                return;
            }
            let leader = *clustered.leader.lock();
            if leader.is_none_or(|(leader, _)| clustered.is_ours(leader)) {
                return self.give_back(clustered);
            }
            let job = {
                let mut state = self.0.lock();
                if state.working || state.attempt.is_some() {
                    return;
                }
                let Some((_, job)) = state.queue.pop_first() else {
                    return;
                };
                state.working = true;
                job
            };
            let next = execute(clustered, job);
            let mut state = self.0.lock();
            state.working = false;
            if let Next::Send(attempt) = next {
                state.attempt = Some(*attempt);
                drop(state);
                self.send_again(clustered);
                // It may have been overtaken meanwhile.
                let newest = clustered.database.get().map(|d| d.committed().version.id());
                if let Some(newest) = newest {
                    self.decide(newest);
                }
            }
        }
    }

    /// Sends the present one, again: the leader or the connection is another one. What is still to
    /// be executed goes another way if there is no leader of the old kind any more.
    pub(super) fn send_again(&self, clustered: &Clustered) {
        let leader = *clustered.leader.lock();
        if leader.is_none_or(|(leader, _)| clustered.is_ours(leader)) {
            self.give_back(clustered);
        }
        // The present one is sent in any case: a leader of ours takes it, too.
        let (Some((leader, _)), Some(node)) = (leader, clustered.node.get()) else {
            return;
        };
        let request = self.0.lock().attempt.as_ref().map(Attempt::request);
        if let Some(request) = request
            && let Err(error) =
                clustered.send_request(node, leader, &Body::ExecuteCommandRequest(request))
        {
            tracing::debug!(
                db = &*clustered.name,
                "{}: no execute_command_request: {error}",
                clustered.name
            );
            self.retry(clustered);
        }
    }

    pub(super) fn give_back(&self, clustered: &Clustered) {
        let Some(database) = clustered.database.get() else {
            return;
        };
        let mut state = self.0.lock();
        if state.queue.is_empty() {
            return;
        }
        let queue = std::mem::take(&mut state.queue);
        queue.into_values().for_each(|job| database.take_back(job));
        drop(state);
        database.resume_work();
        // What was asked for later has waited.
        clustered.to_send.notify_one();
    }

    /// This server is about to lead: what waits goes back, and the present one, which can only get into
    /// its own log, is to be the first there.
    pub(super) fn hand_over(&self, clustered: &Clustered, newest: Uuid) -> Option<Executed> {
        while self.0.lock().working {
            // Somebody is just executing one.
            std::thread::sleep(EXECUTING);
        }
        self.decide(newest);
        self.give_back(clustered);
        let state = self.0.lock();
        let attempt = state.attempt.as_ref()?;
        Some(Executed {
            prerequisite: attempt.prerequisite,
            id: attempt.id,
            data: attempt.data.clone(),
        })
    }

    /// Whether there is something that what is asked for later must not overtake.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.0.lock();
        state.attempt.is_some() || state.working || !state.queue.is_empty()
    }

    fn retry(&self, clustered: &Clustered) {
        self.0.lock().retry = true;
        clustered.to_send.notify_one();
    }

    /// Whether the present one is to be sent again in a while; true once.
    pub(super) fn take_retry(&self) -> bool {
        std::mem::take(&mut self.0.lock().retry)
    }

    /// What the leader says decides nothing, as the next transaction in the log does that. But who
    /// does not take it now may do so later.
    pub(super) fn reply(&self, clustered: &Clustered, reply: &ExecuteCommandReply) {
        tracing::trace!(db = &*clustered.name, "{}: {reply:?}", clustered.name);
        let refused = !matches!(
            reply.status,
            CommandStatus::Success | CommandStatus::Incomplete | CommandStatus::BadPrerequisite
        );
        let state = self.0.lock();
        let present = state.attempt.as_ref().map(|attempt| attempt.id);
        drop(state);
        if refused && present == Some(reply.result) {
            self.retry(clustered);
        }
    }

    /// The log has this transaction next.
    pub(super) fn applied(&self, clustered: &Clustered, id: Uuid) {
        if self.decide(id) {
            // What was asked for later has waited.
            clustered.to_send.notify_one();
        }
        self.work(clustered);
    }

    /// Ends the present one if the log has another transaction than the one it builds on. True if so.
    fn decide(&self, newest: Uuid) -> bool {
        let mut state = self.0.lock();
        let over = |attempt: &mut Attempt| attempt.prerequisite != newest;
        let Some(attempt) = state.attempt.take_if(over) else {
            return false;
        };
        if attempt.id == newest {
            drop(state);
            attempt.job.answer.done(attempt.results);
        } else {
            let job = attempt.job;
            state.queue.insert(job.order, job);
        }
        true
    }

    /// Nothing is sent any more: nobody will know here what becomes of these.
    pub(super) fn end(&self) {
        let mut state = self.0.lock();
        let attempt = state.attempt.take().map(|attempt| attempt.job);
        let queue = std::mem::take(&mut state.queue).into_values();
        let jobs: Vec<Job> = attempt.into_iter().chain(queue).collect();
        drop(state);
        jobs.into_iter().for_each(|job| job.answer.unknown());
    }

    /// Contents have come from elsewhere: nobody knows what became of the present one.
    pub(super) fn contents_replaced(&self) {
        if let Some(attempt) = self.0.lock().attempt.take() {
            attempt.job.answer.unknown();
        }
    }
}

fn execute(clustered: &Clustered, job: Job) -> Next {
    let Some(database) = clustered.database.get() else {
        job.answer.unknown();
        return Next::Nothing;
    };
    let version = database.committed().version.clone();
    if !std::sync::Arc::ptr_eq(job.transaction.schema(), version.schema()) {
        job.answer.canceled();
        return Next::Nothing;
    }
    match job.execute(&version) {
        Outcome::Blocked { .. } => {
            // The database keeps such jobs; its writer may be this thread.
            database.take_back(job);
            database.resume_work();
            Next::Nothing
        }
        Outcome::Done { changes, reply, .. } if changes.is_empty() => {
            job.answer.done(reply.finish());
            Next::Nothing
        }
        Outcome::Done {
            changes,
            reply,
            comment,
            ..
        } => {
            let mut data = b"[null,".to_vec();
            if !write_changes(&mut data, &changes, now(), comment.as_deref()) {
                data.extend_from_slice(b"null");
            }
            data.push(b']');
            Next::Send(Box::new(Attempt {
                job,
                prerequisite: version.id(),
                id: Uuid::new_v4(),
                data: data.into(),
                results: reply.finish(),
            }))
        }
    }
}
