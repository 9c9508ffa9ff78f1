//! What other members send, as calls of openraft, and its answers as replies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::sync::mpsc;

use super::asking::NO_MAJORITY;
use super::expelled::NO_MEMBER;
use super::life::Life;
use super::{Inner, chance};
use crate::entry::{Entry, Index, ServerId, Term};
use crate::failure_test::FailureTest;
use crate::raft::{LogId, RaftEntry, TypeConfig, Vote, to_raft};
use crate::wire::message::{AppendReply, AppendRequest, AppendResult};
use crate::wire::stream::{Held, LinkId};
use crate::wire::{Body, Head, Message};

/// So many append requests of a peer may wait; it sends what is left out again.
const WAITING_APPENDS: usize = 128;
/// No cluster comes to later terms or more entries: there is always room for the next ones.
const MOST: u64 = 1 << 62;

impl Inner {
    /// A message for a member with a log.
    pub(super) fn on_message(
        self: &Arc<Self>,
        life: &Arc<Life>,
        link: LinkId,
        message: Message,
        held: Held,
    ) {
        let from = message.head.from;
        if is_beyond(&message.body) {
            self.remark(|| {
                format!(
                    "{} of server {from} is beyond all terms",
                    message.body.method()
                )
            });
            return self.wire.peers.close(link);
        }
        if let Body::VoteRequest(_) = &message.body
            && !self.wire.peers.is_member(from)
        {
            self.answer_stranger(life, link, from);
        }
        if !self.may_ask(life, from, &message.body) {
            return self.remark(|| {
                let method = message.body.method();
                format!("{method} of server {from}, which is no member, is ignored")
            });
        }
        let (inner, life_of) = (self.clone(), life.clone());
        match message.body {
            Body::AppendRequest(_) => self.queue_append(life, message, held),
            Body::AppendReply(_) | Body::InstallSnapshotReply(_) => {
                self.wire.replies.take(from, message.body);
            }
            Body::VoteReply(reply) => {
                let body = Body::VoteReply(reply.clone());
                if !reply.is_prevote {
                    self.wire.replies.take_higher_vote(from, reply.term, &body);
                }
                self.wire.replies.take(from, body);
            }
            Body::VoteRequest(request) => {
                self.work_on(inner.on_vote_request(life_of, from, request));
            }
            Body::InstallSnapshotRequest(request) => {
                self.take_snapshot(life, link, from, request, held);
            }
            Body::BecomeLeader(request) => {
                self.work_on(inner.on_become_leader(life_of, from, request.term));
            }
            Body::AddServerRequest(request) => {
                self.take_newcomer(life, link, from, request.address)
            }
            Body::AddServerReply(reply) => {
                if self.is_joining(life) {
                    self.on_add_server_reply(reply, message.head.comment.as_deref());
                }
            }
            Body::RemoveServerRequest(request) => {
                self.work_on(inner.on_remove_server(life_of, from, request.server_id));
            }
            Body::RemoveServerReply(reply) => self.on_remove_server_reply(life, &reply),
            Body::ExecuteCommandRequest(request) => self.replica.command(from, request),
            Body::ExecuteCommandReply(reply) => {
                self.on_committed(from, life.vote().leader_id.term, reply.commit_index);
                self.replica.command_reply(from, reply);
            }
            Body::Own(own) if own.kind == NO_MEMBER => {
                self.on_no_member(life, link, from, &own.data);
            }
            Body::Own(own) => self.replica.received(from, own, held),
            Body::HelloRequest(_) => {}
        }
    }

    /// A leader has said, beside its append requests, that all up to an index is committed. An entry's index and term tell
    /// which one it is, so what this server's log has of that leader's entries is known to be committed now, and
    /// not only with the next append request.
    pub(super) fn on_committed(&self, from: ServerId, term: Term, index: Index) {
        let Some(life) = self.life() else {
            return;
        };
        let vote = Vote::new_committed(term, from);
        let index = index.min(life.store.ends().1.index);
        let is_news = index > life.store.commit_index();
        if !is_news || life.store.term_at(index) != Some(term) || life.vote() != vote {
            return;
        }
        let at = LogId::new(term, index);
        let request = AppendEntriesRequest {
            vote,
            prev_log_id: Some(at),
            entries: Vec::new(),
            leader_commit: Some(at),
        };
        tokio::spawn(async move {
            // Where it fails, so does the append request.
            let _ = life.raft.append_entries(request).await;
        });
    }

    /// Works on what a peer asks for, beside all else. Where too much is under way already it is
    /// left out: whoever needs it asks again.
    fn work_on(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(permit) = self.at_work.clone().try_acquire_owned() {
            tokio::spawn(async move {
                work.await;
                drop(permit);
            });
        }
    }

    /// Whether a server may ask for this. A leader that this one follows may, member or not: this
    /// one's log may be older than its being a member. While there is a leader no other server from
    /// outside is listened to as one, or as a candidate: ids can be made up.
    fn may_ask(&self, life: &Life, from: ServerId, body: &Body) -> bool {
        let needs_place = match body {
            Body::AppendRequest(_)
            | Body::VoteRequest(_)
            | Body::InstallSnapshotRequest(_)
            | Body::BecomeLeader(_) => true,
            Body::ExecuteCommandRequest(_) => return self.wire.peers.is_member(from),
            _ => false,
        };
        if !needs_place || self.wire.peers.is_member(from) {
            return true;
        }
        let leader = life.vote();
        if leader.committed && leader.leader_id.server == from {
            return true;
        }
        // One alone may have been given an old file: the others know better.
        !self.has_leader(life) || life.members().len() <= 1
    }

    /// A log line that others can cause, if there are not too many.
    pub(super) fn remark(&self, text: impl FnOnce() -> String) {
        if self.wire.peers.may_log() {
            tracing::warn!(db = self.db(), "raft: {}", text());
        }
    }

    fn queue_append(self: &Arc<Self>, life: &Arc<Life>, message: Message, held: Held) {
        // Others than members share one queue.
        let from = Some(message.head.from).filter(|from| self.wire.peers.is_member(*from));
        let mut queues = life.appends.lock();
        let queue = queues.entry(from).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WAITING_APPENDS);
            let work = append_all(self.clone(), Arc::downgrade(life), receiver);
            tokio::spawn(work);
            sender
        });
        // What does not fit comes again.
        let _ = queue.try_send((message, held));
    }

    async fn append(&self, life: &Life, head: &Head, request: AppendRequest) {
        let from = head.from;
        let (prev_log_index, prev_log_term) = (request.prev_log_index, request.prev_log_term);
        let n_entries = request.log.len() as u64;
        let (term, leader_commit) = (request.term, request.leader_commit);
        if n_entries > 0 {
            let test = FailureTest::CrashAfterReceivingAppendRequestUpdate;
            self.wire.failing.crash_if(test);
        }
        let rpc = match append_rpc(life, from, request) {
            Ok(rpc) => rpc,
            Err(why) => {
                return self
                    .remark(|| format!("an append_request of server {from} is ignored: {why}"));
            }
        };
        if term >= life.store.term() {
            self.clock.lock().heard(Instant::now(), chance());
            let cut_off = head.comment.as_deref() == Some(NO_MAJORITY);
            if self.leader_cut_off.swap(cut_off, Ordering::Relaxed) != cut_off {
                self.wake.notify_one();
            }
            self.counters.note_leader_commit(leader_commit);
        }
        let result = match life.raft.append_entries(rpc).await {
            Ok(AppendEntriesResponse::Success) => AppendResult::Ok,
            Ok(_) => AppendResult::Inconsistency,
            Err(error) => {
                tracing::debug!(db = self.db(), "raft: append_request: {error}");
                AppendResult::IoError
            }
        };
        let reply = Body::AppendReply(AppendReply {
            // A reply of a later term makes the sender step down; only then it may have one.
            term: life.store.term().max(term),
            log_end: life.store.ends().1.index + 1,
            prev_log_index,
            prev_log_term,
            n_entries,
            result,
        });
        self.say(from, &reply, None);
    }
}

/// Works one peer's append requests off, one after the other.
async fn append_all(
    inner: Arc<Inner>,
    life: std::sync::Weak<Life>,
    mut receiver: mpsc::Receiver<(Message, Held)>,
) {
    while let Some((message, _held)) = receiver.recv().await {
        let Some(life) = life.upgrade() else { return };
        if let Body::AppendRequest(request) = message.body {
            inner.append(&life, &message.head, request).await;
        }
    }
}

/// Whether terms or places could not go on from there.
fn is_beyond(body: &Body) -> bool {
    let place = match body {
        Body::AppendRequest(request) => request.prev_log_index,
        Body::InstallSnapshotRequest(request) => request.last_index,
        _ => 0,
    };
    place >= MOST || body.term().is_some_and(|term| term >= MOST)
}

/// The call for a request; an error for what no leader sends.
fn append_rpc(
    life: &Life,
    from: ServerId,
    request: AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, String> {
    let (prev_index, prev_term) = (request.prev_log_index, request.prev_log_term);
    let committed = life.store.commit_index();
    let mut last = (prev_term, prev_index);
    let known = |index: u64| life.store.term_at(index);
    let mut check = |index: u64, term: u64| {
        if term < last.0 || term > request.term {
            return Err(format!("entry {index} has a wrong term"));
        }
        last = (term, index);
        match known(index) {
            Some(own) if index <= committed && own != term => {
                Err(format!("entry {index} is committed with another term"))
            }
            _ => Ok(()),
        }
    };
    check(prev_index, prev_term)?;
    for entry in request.log.iter() {
        check(entry.index, entry.term)?;
    }
    let (last_term, last_index) = last;
    let commit = request.leader_commit.min(last_index);
    let commit_term = if commit == last_index {
        Some(last_term)
    } else {
        let sent = request
            .log
            .iter()
            .find(|entry: &&Entry| entry.index == commit);
        sent.map(|entry| entry.term).or_else(|| known(commit))
    };
    let entries: Result<Vec<RaftEntry>, _> = request
        .log
        .into_entries()
        .into_iter()
        .map(to_raft)
        .collect();
    Ok(AppendEntriesRequest {
        vote: Vote::new_committed(request.term, from),
        prev_log_id: (prev_index > 0).then(|| LogId::new(prev_term, prev_index)),
        entries: entries.map_err(|error| error.to_string())?,
        leader_commit: commit_term
            .filter(|_| commit > 0)
            .map(|term| LogId::new(term, commit)),
    })
}
