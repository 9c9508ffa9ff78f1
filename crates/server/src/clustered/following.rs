//! The follower's side: transactions go to the leader, answers come back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb_cluster::wire::Body;
use ovsdb_cluster::wire::message::Own;
use ovsdb_cluster::wire::stream::SendError;

use super::Clustered;
use super::passing::{Answers, TRANSACTIONS, Verdict};
use crate::database::Job;

/// How soon a leader that takes nothing at the moment is tried again.
const RETRY: Duration = Duration::from_millis(20);

impl Clustered {
    /// Keeps a job until its leader has answered it.
    pub(super) fn pass_job_on(&self, job: Job) {
        let leader = *self.leader.lock();
        match leader {
            Some((leader, _)) if !self.is_ours(leader) => self.old_leader.push(self, job),
            _ => {
                let id = job.id.unwrap_or_else(Uuid::new_v4);
                self.waiting.lock().push(job, id);
                self.to_send.notify_one();
            }
        }
    }

    pub(super) fn receive_answers(&self, from: Uuid, data: &Bytes) {
        let Some(answers) = Answers::read(data) else {
            return self.remark(|| format!("server {from} sends answers that are none"));
        };
        let refuses = answers.all.is_empty();
        let newest = answers.all.iter().map(|answer| answer.index).max();
        if let (Some(newest), Some(node)) = (newest, self.node.get()) {
            node.note_committed(from, answers.term, newest);
        }
        let ends = {
            let mut waiting = self.waiting.lock();
            if refuses {
                waiting.note_refusal(answers.incarnation);
            }
            for answer in answers.all {
                let results = match answer.verdict {
                    Verdict::Results(results) => Some(results.to_vec()),
                    Verdict::NotExecuted => None,
                };
                let (incarnation, term) = (answers.incarnation, answers.term);
                waiting.answer(incarnation, term, answer.number, answer.index, results);
            }
            // Only now: what was applied meanwhile has not found these answers.
            waiting.applied(self.applied.load(std::sync::atomic::Ordering::Acquire))
        };
        self.end_all(ends);
        if refuses {
            self.to_send.notify_one();
        }
    }

    /// What has become of earlier transactions is not known yet.
    pub(super) fn is_open(&self) -> bool {
        self.flight.lock().is_open_before(u64::MAX) || self.waiting.lock().has_sent()
    }

    /// Sends what can be sent. True if there is more for later.
    fn send_waiting(&self) -> bool {
        let (Some((leader, term)), Some(node)) = (*self.leader.lock(), self.node.get()) else {
            // A new leader says so.
            return false;
        };
        if !self.is_ours(leader) {
            let ends = self.waiting.lock().take_unsent();
            self.end_all(ends);
            return self.waiting.lock().has_unsent();
        }
        // What waits for a leader of the old kind waits in turn for what is to be sent here.
        self.old_leader.give_back(self);
        if self.flight.lock().is_open_before(term) || self.old_leader.is_busy() {
            // Earlier ones may come back; it is gone on with when that is known.
            return false;
        }
        loop {
            let (message, ends) = self.waiting.lock().next_message(term);
            self.end_all(ends);
            let Some(message) = message else {
                return false;
            };
            let own = Body::Own(Own {
                kind: TRANSACTIONS.to_owned(),
                data: message.write(),
            });
            match self.send_request(node, leader, &own) {
                Ok(()) => {}
                Err(SendError::TooLong(length)) => {
                    let ends = self.waiting.lock().too_long(&message, length);
                    self.end_all(ends);
                }
                Err(_) => {
                    self.waiting.lock().send_again();
                    return true;
                }
            }
        }
    }
}

/// Sends transactions as they come.
pub(super) async fn send_all(clustered: Arc<Clustered>) {
    let stop = clustered.stop.clone();
    loop {
        tokio::select! {
            () = clustered.to_send.notified() => {}
            () = stop.cancelled() => return,
        }
        loop {
            let more = clustered.send_waiting();
            let refused = clustered.waiting.lock().take_refusal();
            let retry = clustered.old_leader.take_retry();
            if !(more || refused || retry) {
                break;
            }
            tokio::time::sleep(RETRY).await;
            if stop.is_cancelled() {
                return;
            }
            if refused {
                clustered.waiting.lock().send_again();
            }
            if retry {
                clustered.old_leader.send_again(&clustered);
            }
        }
    }
}
