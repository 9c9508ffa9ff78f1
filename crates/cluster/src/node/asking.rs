//! What is asked of peers, and the replies to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openraft::error::{NetworkError, RPCError, Unreachable};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::counters::Counters;
use super::replies::{Key, Replies};
use crate::contents::Contents;
use crate::entry::{ServerId, Term};
use crate::failure_test::{Failing, FailureTest};
use crate::file::replay::DEFAULT_ELECTION_TIMER;
use crate::raft::TypeConfig;
use crate::wire::Body;
use crate::wire::extension::PRE_VOTE;
use crate::wire::message::InstallSnapshotRequest;
use crate::wire::stream::{Peers, SendError};

/// The comment of a leader's append requests that has lost the majority: its followers, if they are
/// of our kind, are cut off with it.
pub(super) const NO_MAJORITY: &str = "no majority";

/// What all calls share.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) peers: Peers,
    pub(super) replies: Replies,
    pub(super) own: ServerId,
    pub(super) failing: Failing,
    /// This server leads, and has lost the majority.
    cut_off: AtomicBool,
    pub(super) counters: Arc<Counters>,
    /// In milliseconds.
    patience: AtomicU64,
    /// Peers that are not of our kind and have sent a pre-vote.
    pre_voters: parking_lot::Mutex<std::collections::BTreeSet<ServerId>>,
}

impl Wire {
    pub(super) fn new(peers: Peers, own: ServerId, counters: Arc<Counters>) -> Wire {
        Wire {
            peers,
            replies: Replies::default(),
            own,
            failing: Failing::default(),
            cut_off: AtomicBool::new(false),
            counters,
            patience: AtomicU64::new(DEFAULT_ELECTION_TIMER),
            pre_voters: parking_lot::Mutex::default(),
        }
    }

    pub(super) fn set_election_timer(&self, timer: u64) {
        self.patience.store(timer.max(1000), Ordering::Relaxed);
    }

    pub(super) fn set_cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::Relaxed);
    }

    /// What is said beside a request.
    fn comment(&self, key: &Key) -> Option<&'static str> {
        let cut_off = self.cut_off.load(Ordering::Relaxed);
        (cut_off && matches!(key, Key::Append { .. })).then_some(NO_MAJORITY)
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Ordering::Relaxed))
    }

    pub(super) fn note_pre_voter(&self, server: ServerId) {
        // Nobody else is asked.
        if self.peers.is_member(server) {
            self.pre_voters.lock().insert(server);
        }
    }

    pub(super) fn takes_pre_votes(&self, server: ServerId) -> bool {
        let announced = self.peers.announcement(server);
        announced.is_some_and(|announcement| announcement.has(PRE_VOTE))
            || self.pre_voters.lock().contains(&server)
    }

    /// Sends a request, which may be answered for so long.
    pub(super) fn begin(
        self: &Arc<Self>,
        peer: ServerId,
        key: Key,
        body: &Body,
        patience: Duration,
    ) -> Result<Asked, Trouble> {
        let new_entries = matches!(key, Key::Append { count: 1.., .. });
        if new_entries {
            let test = FailureTest::CrashBeforeSendingAppendRequest;
            self.failing.crash_if(test);
        }
        let comment = self.comment(&key);
        let reply = self.replies.register(peer, key);
        match self.peers.send(peer, body, comment) {
            Ok(()) => {
                if new_entries {
                    self.entries_sent();
                }
                Ok(Asked {
                    reply,
                    until: Instant::now() + patience,
                })
            }
            Err(SendError::NotConnected) => Err(Trouble::NotConnected),
            Err(error) => Err(Trouble::Failed(error.to_string())),
        }
    }

    /// Sends a request and waits for its reply.
    pub(super) async fn ask(
        self: &Arc<Self>,
        peer: ServerId,
        key: Key,
        body: Body,
        patience: Duration,
    ) -> Result<Body, Trouble> {
        self.begin(peer, key, &body, patience)?.reply().await
    }

    /// The message that carries contents, encoded aside.
    pub(super) async fn snapshot_message(&self, term: Term, contents: Arc<Contents>) -> Body {
        let encoding = contents.clone();
        let data = match tokio::task::spawn_blocking(move || encoding.text()).await {
            Ok(data) => data,
            Err(_) => contents.text(),
        };
        let meta = &contents.meta;
        Body::InstallSnapshotRequest(InstallSnapshotRequest {
            term,
            last_index: meta.index,
            last_term: meta.term,
            last_servers: meta.servers.clone(),
            last_eid: meta.eid,
            election_timer: meta.election_timer.unwrap_or(DEFAULT_ELECTION_TIMER),
            data,
        })
    }
}

/// A request that has been sent.
#[derive(Debug)]
pub(super) struct Asked {
    reply: oneshot::Receiver<Body>,
    until: Instant,
}

impl Asked {
    /// Waits for the reply. Whoever stops waiting may go on later.
    pub(super) async fn reply(&mut self) -> Result<Body, Trouble> {
        match tokio::time::timeout_at(self.until, &mut self.reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(Trouble::Failed("the connection was lost".to_owned())),
            Err(_) => Err(Trouble::Failed("no answer in time".to_owned())),
        }
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("not connected")]
    NotConnected,
    #[error("{0}")]
    Failed(String),
}

impl From<Trouble> for RPCError<TypeConfig> {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotConnected => RPCError::Unreachable(Unreachable::new(&trouble)),
            Trouble::Failed(_) => RPCError::Network(NetworkError::new(&trouble)),
        }
    }
}
