//! Elections as this member sees them: when it stands, and whom it lets stand.

use std::sync::Arc;
use std::time::Instant;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{TransferLeaderRequest, VoteRequest};
use uuid::Uuid;

use super::life::Life;
use super::network::bare;
use super::{Inner, chance};
use crate::entry::ServerId;
use crate::raft::{LogId, TypeConfig, Vote};
use crate::wire::Body;
use crate::wire::message::{VoteReply, VoteRequest as WireVote};

impl Life {
    /// The leader, if there is one, is not protected by openraft's lease any more.
    async fn release_lease(&self) {
        let vote = self.vote();
        if vote.committed {
            let request = TransferLeaderRequest::new(vote, Uuid::nil(), None);
            // Refused only where the vote has just changed.
            let _ = self.raft.handle_transfer_leader(request).await;
        }
    }

    pub(super) fn is_leader(&self) -> bool {
        self.raft.metrics().borrow_watched().state == ServerState::Leader
    }
}

impl Inner {
    /// Stands for election, if this server may.
    pub(super) async fn stand(&self, life: &Life, reason: &'static str) {
        self.clock.lock().stood(Instant::now(), chance());
        if !life.members().contains_key(&self.identity.server_id) {
            return;
        }
        self.report.lock().election_started(reason);
        self.counters.elections_by_timeout.increment();
        if let Some(more) = self.candidacies.allow() {
            let term = life.store.term();
            let more = match more {
                0 => String::new(),
                more => format!("; has stood {more} more times since this was last written"),
            };
            tracing::info!(
                db = self.db(),
                "raft: stands for election ({reason}) in term {term}{more}"
            );
        }
        life.release_lease().await;
        // Refused only when it has stopped.
        let _ = life.raft.trigger().elect(true).await;
    }

    /// Whether there is a leader that candidates shall leave alone.
    pub(super) fn has_leader(&self, life: &Life) -> bool {
        if life.is_leader() {
            return self.has_quorum(life);
        }
        self.clock.lock().has_leader(Instant::now())
    }

    /// A candidate asks.
    pub(super) async fn on_vote_request(
        self: Arc<Self>,
        life: Arc<Life>,
        from: ServerId,
        request: WireVote,
    ) {
        if request.is_prevote {
            self.wire.note_pre_voter(from);
            let granted = !self.has_leader(&life) && would_vote(&life, from, &request).await;
            let vote = if granted {
                from
            } else {
                self.identity.server_id
            };
            return self.reply(from, life.store.term(), vote, true);
        }
        if !request.leadership_transfer && self.has_leader(&life) {
            self.counters.votes_refused.increment();
            return self.remark(|| {
                let term = request.term;
                format!(
                    "server {from} stands for election in term {term} though there is a leader; \
                     ignored"
                )
            });
        }
        let asked = Vote::new(request.term, from);
        let mut rpc = VoteRequest::<TypeConfig>::new(asked, last_log_id(&request));
        // This server's own clock has decided already.
        rpc.leadership_transfer = true;
        let Ok(response) = life.raft.vote(rpc).await else {
            return;
        };
        let answers = match response.vote_granted {
            true => &self.counters.votes_granted,
            false => &self.counters.votes_refused,
        };
        answers.increment();
        if response.vote_granted {
            self.clock.lock().voted(Instant::now(), chance());
        } else if response.vote.leader_id.term < request.term {
            // The candidate lacks entries, but its term has come: without it here, its older
            // peers would wait for each other.
            life.take_term(request.term).await;
        }
        let (term, vote) = (life.store.term(), life.store.vote());
        if let Some(vote) = vote {
            self.reply(from, term, vote, false);
        }
    }

    fn reply(&self, to: ServerId, term: u64, vote: ServerId, is_prevote: bool) {
        let reply = Body::VoteReply(VoteReply {
            term,
            vote,
            is_prevote,
        });
        self.say(to, &reply, None);
    }

    /// The leader wants this server to lead.
    pub(super) async fn on_become_leader(
        self: Arc<Self>,
        life: Arc<Life>,
        from: ServerId,
        term: u64,
    ) {
        if term != life.store.term() {
            return;
        }
        let leader = Vote::new_committed(term, from);
        if life.vote() != leader {
            return self.remark(|| format!("server {from} hands over what it does not have"));
        }
        tracing::info!(
            db = self.db(),
            "raft: server {from} hands the leadership over"
        );
        self.report.lock().election_started("leadership_transfer");
        self.counters.elections_by_transfer.increment();
        let last = life.store.ends().1;
        let last = (last.index > 0).then(|| LogId::new(last.term, last.index));
        let request = TransferLeaderRequest::new(leader, self.identity.server_id, last);
        let _ = life.raft.handle_transfer_leader(request).await;
    }
}

impl Life {
    /// A later term has come, without anybody to vote for.
    pub(super) async fn take_term(&self, term: u64) {
        let last = LogId::new(u64::MAX, u64::MAX);
        let mut rpc = VoteRequest::<TypeConfig>::new(bare(term), Some(last));
        rpc.leadership_transfer = true;
        // It only fails when it has stopped.
        let _ = self.raft.vote(rpc).await;
    }
}

async fn would_vote(life: &Life, from: ServerId, request: &WireVote) -> bool {
    life.release_lease().await;
    let Some(term) = request.term.checked_add(1) else {
        return false;
    };
    let rpc = VoteRequest::<TypeConfig>::new(Vote::new(term, from), last_log_id(request));
    let response = life.raft.pre_vote(rpc).await;
    response.is_ok_and(|response| response.vote_granted)
}

fn last_log_id(request: &WireVote) -> Option<LogId> {
    let index = request.last_log_index;
    (index > 0).then(|| LogId::new(request.last_log_term, index))
}
