//! openraft's network: its calls as OVSDB's messages, and their answers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::Stream;
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use ovsdb_counters::Histogram;
use tokio::time::Instant;
use uuid::Uuid;

use super::asking::{Asked, Trouble, Wire};
use super::pipeline::StreamResponse;
use super::replies::Key;
use crate::contents::Contents;
use crate::entry::{Index, ServerId, Term};
use crate::failure_test::FailureTest;
use crate::raft::state_machine::Snapshot;
use crate::raft::{LeaderId, TypeConfig, Vote, from_raft};
use crate::wire::Body;
use crate::wire::message::{
    AppendRequest, AppendResult, BecomeLeader, Log, VoteRequest as WireVote,
};

/// How soon a peer that is not connected is tried again; a connection that comes up ends the wait.
const RETRY: Duration = Duration::from_millis(100);
/// How long a peer may take for a snapshot: it may be large, and a broken connection ends the wait.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(600);
/// A snapshot that has changed nothing is not sent again before this has passed.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(1);

/// "Term T, nobody": what a higher term in a reply means.
pub(super) fn bare(term: Term) -> Vote {
    Vote {
        leader_id: LeaderId {
            term,
            server: Uuid::nil(),
        },
        committed: false,
    }
}

/// Makes a [`Network`] for each peer.
#[derive(Debug)]
pub(super) struct Networks(pub(super) Arc<Wire>);

impl RaftNetworkFactory<TypeConfig> for Networks {
    type Network = Network;

    async fn new_client(&mut self, target: ServerId, _: &openraft::impls::BasicNode) -> Network {
        Network {
            wire: self.0.clone(),
            target,
            round_trips: OnceLock::new(),
            last_snapshot: None,
        }
    }
}

/// The way to one peer.
#[derive(Debug)]
pub(super) struct Network {
    wire: Arc<Wire>,
    target: ServerId,
    /// How long its answers take, once it is a member.
    round_trips: OnceLock<Arc<Histogram>>,
    last_snapshot: Option<(u64, Instant)>,
}

impl RaftNetworkV2<TypeConfig> for Network {
    type SnapshotData = Arc<Contents>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.begin_append(rpc)?.response().await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        requests: S,
        _: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, StreamResponse>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let responses: BoxStream<'s, _> = Box::pin(super::pipeline::responses(self, requests));
        Box::pin(std::future::ready(Ok(responses)))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.may_ask_for_votes()?;
        let term = rpc.vote.leader_id.term;
        let body = vote_request(&rpc, term, false);
        let reply = self
            .wire
            .ask(self.target, Key::Vote(term), body, option.hard_ttl())
            .await?;
        let Body::VoteReply(reply) = reply else {
            return Err(Trouble::Failed("another reply".to_owned()).into());
        };
        let vote = if reply.vote.is_nil() || reply.term > term {
            bare(reply.term)
        } else {
            Vote::new(term, reply.vote)
        };
        Ok(VoteResponse::new(
            vote,
            None,
            reply.term == term && reply.vote == self.wire.own,
        ))
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.may_ask_for_votes()?;
        if !self.wire.peers.is_connected(self.target) {
            return Err(Trouble::NotConnected.into());
        }
        if !self.wire.takes_pre_votes(self.target) {
            // It would not understand the question.
            return Ok(VoteResponse::new(rpc.vote, None, true));
        }
        let body = vote_request(&rpc, rpc.vote.leader_id.term.saturating_sub(1), true);
        let reply = self
            .wire
            .ask(self.target, Key::PreVote, body, option.hard_ttl())
            .await?;
        let Body::VoteReply(reply) = reply else {
            return Err(Trouble::Failed("another reply".to_owned()).into());
        };
        let granted = reply.vote == self.wire.own;
        let vote = if granted { rpc.vote } else { bare(reply.term) };
        Ok(VoteResponse::new(vote, None, granted))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let send = self.send_snapshot(vote, snapshot.snapshot);
        tokio::select! {
            reply = send => reply.map_err(|trouble| match trouble {
                Trouble::NotConnected => StreamingError::Unreachable(Unreachable::new(&trouble)),
                Trouble::Failed(_) => StreamingError::Network(NetworkError::new(&trouble)),
            }),
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        if *request.to_node_id() == self.target {
            let term = request.from_leader().leader_id.term;
            let body = Body::BecomeLeader(BecomeLeader { term });
            let sent = self.wire.peers.send(self.target, &body, None);
            sent.map_err(|error| Trouble::Failed(error.to_string()))?;
        }
        Ok(Ok(()))
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(RETRY)))
    }
}

impl Network {
    fn may_ask_for_votes(&self) -> Result<(), Trouble> {
        match self.wire.failing.is(FailureTest::DontSendVoteRequest) {
            true => Err(Trouble::NotConnected),
            false => Ok(()),
        }
    }

    /// The peer is of our kind.
    pub(super) fn is_ours(&self) -> bool {
        self.wire.peers.is_ours(self.target)
    }

    /// Sends an append request.
    pub(super) fn begin_append(
        &self,
        rpc: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AskedAppend, Trouble> {
        let term = rpc.vote.leader_id.term;
        let (prev_term, prev_index) = rpc
            .prev_log_id
            .map_or((0, 0), |id| (id.leader_id, id.index));
        let count = rpc.entries.len() as u64;
        let body = Body::AppendRequest(AppendRequest {
            term,
            prev_log_index: prev_index,
            prev_log_term: prev_term,
            leader_commit: rpc.leader_commit.map_or(0, |id| id.index),
            log: Log::new(rpc.entries.into_iter().map(from_raft).collect()),
        });
        let key = Key::Append {
            prev_index,
            prev_term,
            count,
        };
        let patience = self.wire.patience();
        Ok(AskedAppend {
            asked: self.wire.begin(self.target, key, &body, patience)?,
            term,
            prev_index,
            began: Instant::now(),
            round_trips: self.round_trips(),
        })
    }

    fn round_trips(&self) -> Option<Arc<Histogram>> {
        if let Some(known) = self.round_trips.get() {
            return Some(known.clone());
        }
        let found = self.wire.counters.round_trips().of(self.target)?;
        Some(self.round_trips.get_or_init(|| found).clone())
    }

    async fn send_snapshot(
        &mut self,
        vote: Vote,
        contents: Arc<Contents>,
    ) -> Result<SnapshotResponse<TypeConfig>, Trouble> {
        let (index, term) = (contents.meta.index, contents.meta.term);
        if let Some((last, at)) = self.last_snapshot
            && last == index
        {
            tokio::time::sleep_until(at + SNAPSHOT_PAUSE).await;
        }
        let own_term = vote.leader_id.term;
        let body = self.wire.snapshot_message(own_term, contents).await;
        let key = Key::Snapshot { index, term };
        let reply = self
            .wire
            .ask(self.target, key, body, SNAPSHOT_PATIENCE)
            .await;
        self.last_snapshot = Some((index, Instant::now()));
        match reply? {
            Body::InstallSnapshotReply(reply) if reply.term > own_term => {
                Ok(SnapshotResponse::new(bare(reply.term)))
            }
            _ => Ok(SnapshotResponse::new(vote)),
        }
    }
}

/// An append request that has been sent.
#[derive(Debug)]
pub(super) struct AskedAppend {
    asked: Asked,
    term: Term,
    prev_index: Index,
    began: Instant,
    round_trips: Option<Arc<Histogram>>,
}

impl AskedAppend {
    /// Waits for the reply, and says what it means. Whoever stops waiting may go on later.
    pub(super) async fn response(
        &mut self,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let Body::AppendReply(reply) = self.asked.reply().await? else {
            return Err(Trouble::Failed("another reply".to_owned()).into());
        };
        if let Some(histogram) = &self.round_trips {
            histogram.observe(self.began.elapsed());
        }
        match reply.result {
            // As leader in that term it may have sent other entries to the same place.
            _ if reply.term < self.term => {
                Err(Trouble::Failed("a reply of an earlier term".to_owned()).into())
            }
            _ if reply.term > self.term => Ok(AppendEntriesResponse::HigherVote(bare(reply.term))),
            AppendResult::Ok => Ok(AppendEntriesResponse::Success),
            // What has nothing before it fits anywhere: there is no conflict to go back from.
            AppendResult::Inconsistency if self.prev_index > 0 => {
                Ok(AppendEntriesResponse::Conflict)
            }
            AppendResult::Inconsistency => {
                Err(Trouble::Failed("the peer refuses the log's beginning".to_owned()).into())
            }
            AppendResult::IoError => {
                Err(Trouble::Failed("the peer cannot write its log".to_owned()).into())
            }
        }
    }
}

fn vote_request(rpc: &VoteRequest<TypeConfig>, term: Term, is_prevote: bool) -> Body {
    let last = rpc.last_log_id;
    Body::VoteRequest(WireVote {
        term,
        last_log_index: last.map_or(0, |id| id.index),
        last_log_term: last.map_or(0, |id| id.leader_id),
        leadership_transfer: rpc.leadership_transfer,
        is_prevote,
    })
}
