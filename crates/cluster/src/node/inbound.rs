//! What other members send, as calls of openraft, and its answers as replies.

use std::sync::Arc;
use std::time::Instant;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use tokio::sync::mpsc;

use super::life::Life;
use super::{Inner, chance};
use crate::contents::Contents;
use crate::entry::{Entry, ServerId};
use crate::file::SnapshotMeta;
use crate::raft::state_machine::snapshot_of;
use crate::raft::{LogId, RaftEntry, TypeConfig, Vote, to_raft};
use crate::wire::message::{
    AppendReply, AppendRequest, AppendResult, InstallSnapshotReply, InstallSnapshotRequest,
};
use crate::wire::stream::LinkId;
use crate::wire::{Body, Message};

/// So many append requests of a peer may wait; it sends what is left out again.
const WAITING_APPENDS: usize = 128;

impl Inner {
    /// A message for a member with a log.
    pub(super) fn on_message(self: &Arc<Self>, life: &Arc<Life>, link: LinkId, message: Message) {
        let from = message.head.from;
        let (inner, life_of) = (self.clone(), life.clone());
        match message.body {
            Body::AppendRequest(_) => self.queue_append(life, message),
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
                tokio::spawn(inner.on_vote_request(life_of, from, request));
            }
            Body::InstallSnapshotRequest(request) => {
                tokio::spawn(inner.on_snapshot(life_of, from, request));
            }
            Body::BecomeLeader(request) => {
                tokio::spawn(inner.on_become_leader(life_of, from, request.term));
            }
            Body::AddServerRequest(request) => {
                tokio::spawn(inner.on_add_server(life_of, link, from, request.address));
            }
            Body::AddServerReply(reply) => {
                self.on_add_server_reply(reply, message.head.comment.as_deref());
            }
            Body::RemoveServerRequest(request) => {
                tokio::spawn(inner.on_remove_server(life_of, from, request.server_id));
            }
            Body::RemoveServerReply(reply) => self.on_remove_server_reply(life, &reply),
            Body::ExecuteCommandRequest(request) => self.replica.command(from, request),
            Body::ExecuteCommandReply(reply) => self.replica.command_reply(from, reply),
            Body::Own(own) => self.replica.received(from, own),
            Body::HelloRequest(_) => {}
        }
    }

    fn queue_append(self: &Arc<Self>, life: &Arc<Life>, message: Message) {
        let mut queues = life.appends.lock();
        let queue = queues.entry(message.head.from).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WAITING_APPENDS);
            let work = append_all(self.clone(), Arc::downgrade(life), receiver);
            tokio::spawn(work);
            sender
        });
        // What does not fit comes again.
        let _ = queue.try_send(message);
    }

    async fn append(&self, life: &Life, from: ServerId, request: AppendRequest) {
        let (prev_log_index, prev_log_term) = (request.prev_log_index, request.prev_log_term);
        let n_entries = request.log.len() as u64;
        let term = request.term;
        let rpc = match append_rpc(life, from, request) {
            Ok(rpc) => rpc,
            Err(why) => {
                tracing::warn!(
                    db = self.db(),
                    "raft: an append_request of server {from} is ignored: {why}"
                );
                return;
            }
        };
        if term >= life.store.term() {
            self.clock.lock().heard(Instant::now(), chance());
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

    async fn on_snapshot(
        self: Arc<Self>,
        life: Arc<Life>,
        from: ServerId,
        request: InstallSnapshotRequest,
    ) {
        let key = (request.last_index, request.last_term);
        {
            let mut installing = life.installing.lock();
            if *installing == Some(key) {
                return;
            }
            *installing = Some(key);
        }
        let installed = self.install(&life, from, request).await;
        {
            let mut installing = life.installing.lock();
            if *installing == Some(key) {
                *installing = None;
            }
        }
        match installed {
            Ok(()) => self.reply_snapshot(&life, from, key),
            Err(why) => tracing::warn!(
                db = self.db(),
                "raft: a snapshot of server {from} is not taken: {why}"
            ),
        }
    }

    fn reply_snapshot(&self, life: &Life, to: ServerId, (last_index, last_term): (u64, u64)) {
        let reply = Body::InstallSnapshotReply(InstallSnapshotReply {
            term: life.store.term(),
            last_index,
            last_term,
        });
        self.say(to, &reply, None);
    }

    async fn install(
        &self,
        life: &Life,
        from: ServerId,
        request: InstallSnapshotRequest,
    ) -> Result<(), String> {
        if request.term < life.store.term() {
            // The reply says that the sender's term is over.
            return Ok(());
        }
        self.clock.lock().heard(Instant::now(), chance());
        let committed = life.store.commit_index();
        if request.last_term > request.term {
            return Err("it is of a later term than its leader".to_owned());
        }
        if request.last_index <= committed {
            // All of it is here. Another history cannot be: both are committed.
            return match life.store.term_at(request.last_index) {
                Some(term) if term != request.last_term => {
                    Err("it is of another history".to_owned())
                }
                _ => Ok(()),
            };
        }
        let vote = Vote::new_committed(request.term, from);
        let (meta, data) = split(request);
        tracing::info!(
            db = self.db(),
            "raft: server {from} sends a snapshot up to entry {} ({} bytes)",
            meta.index,
            data.len()
        );
        let reading = tokio::task::spawn_blocking(move || Contents::read(meta, data));
        let contents = match reading.await {
            Ok(read) => read.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        let snapshot = snapshot_of(Arc::new(contents), None).map_err(|error| error.to_string())?;
        let installed = life.raft.install_full_snapshot(vote, snapshot).await;
        installed.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Works one peer's append requests off, one after the other.
async fn append_all(
    inner: Arc<Inner>,
    life: std::sync::Weak<Life>,
    mut receiver: mpsc::Receiver<Message>,
) {
    while let Some(message) = receiver.recv().await {
        let Some(life) = life.upgrade() else { return };
        if let Body::AppendRequest(request) = message.body {
            inner.append(&life, message.head.from, request).await;
        }
    }
}

/// The parts of a snapshot's message.
pub(super) fn split(request: InstallSnapshotRequest) -> (SnapshotMeta, bytes::Bytes) {
    let meta = SnapshotMeta {
        index: request.last_index,
        term: request.last_term,
        eid: request.last_eid,
        servers: request.last_servers,
        election_timer: Some(request.election_timer),
    };
    (meta, request.data)
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
