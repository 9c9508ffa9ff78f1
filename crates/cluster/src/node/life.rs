//! openraft on an open file: it lives until the file fails or the member stops.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::ClientWriteError;
use openraft::{Config, Raft, SnapshotPolicy};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::asking::Wire;
use super::network::Networks;
use super::snapshots::Installing;
use crate::contents::Contents;
use crate::entry::{ServerId, Servers};
use crate::file::replay::DEFAULT_ELECTION_TIMER;
use crate::file::{SnapshotMeta, Store};
use crate::raft::state_machine::{Shared, StateMachine};
use crate::raft::{Command, LogStore, TypeConfig, Vote};
use crate::replica::Replica;
use crate::wire::Message;
use crate::wire::stream::Held;

/// A member of our kind of Raft.
pub(super) type Member = Raft<TypeConfig, StateMachine>;

/// openraft's leases and timeouts are not used: a member's own clock decides when to stand for
/// election and whom to vote for, as OVSDB's election timer can change at any time. A lease
/// that never ends means that a leader takes either everything of a term or, from some moment on,
/// nothing: transactions that build on each other depend on that.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a vote may take. Whoever asks again does so before.
const VOTE: Duration = Duration::from_secs(2);
/// How many entries go in one message, which is also bounded in bytes.
const ENTRIES_AT_ONCE: u64 = 2048;
/// So many entries stay in memory behind a snapshot for those who are a little late.
pub(super) const KEPT_ENTRIES: u64 = 4096;

/// By sender: what it appends, on the way to its task.
type Appends = std::collections::HashMap<Option<ServerId>, mpsc::Sender<(Message, Held)>>;

/// openraft and what it stands on.
pub(super) struct Life {
    pub(super) store: Arc<Store>,
    pub(super) shared: Arc<Shared>,
    pub(super) raft: Member,
    /// Append requests of each member, in order, and of all others.
    pub(super) appends: parking_lot::Mutex<Appends>,
    /// Snapshots that have come.
    pub(super) installing: parking_lot::Mutex<Installing>,
    /// The log has once said that this server is a member.
    pub(super) was_member: std::sync::atomic::AtomicBool,
}

impl Life {
    /// Begins on a file that starts from this snapshot, which the replica has. Where the replica has
    /// more than the file, the snapshot's contents are `earlier`.
    pub(super) async fn begin(
        store: Arc<Store>,
        snapshot: &SnapshotMeta,
        earlier: Option<Arc<Contents>>,
        replica: Arc<dyn Replica>,
        wire: Arc<Wire>,
    ) -> Result<Life, String> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let config = Config {
            cluster_name: store.identity().name,
            heartbeat_interval: millis(VOTE / 2),
            election_timeout_min: millis(VOTE),
            election_timeout_max: millis(FOREVER),
            max_payload_entries: ENTRIES_AT_ONCE,
            // Whoever lacks entries that are still there gets those.
            replication_lag_threshold: u64::MAX,
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: KEPT_ENTRIES,
            enable_tick: false,
            enable_heartbeat: false,
            enable_elect: false,
            enable_pre_vote: Some(true),
            // A peer whose file was cut off comes back with less than it has acknowledged, and gets
            // it again.
            allow_log_reversion: Some(true),
            ..Config::default()
        };
        let config = Arc::new(config.validate().map_err(|error| error.to_string())?);
        let shared = Arc::new(Shared::new(snapshot));
        let machine = StateMachine::new(replica, store.clone(), shared.clone(), earlier);
        let log = LogStore::new(store.clone());
        let own = store.identity().server_id;
        // openraft's task stays in the present span, and so do its lines.
        let raft = Raft::new(own, config, Networks(wire), log, machine)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Life {
            store,
            shared,
            raft,
            appends: parking_lot::Mutex::default(),
            installing: parking_lot::Mutex::default(),
            was_member: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// The members as of the log's end.
    pub(super) fn members(&self) -> Servers {
        let last = self.store.ends().1.index;
        let newest = self.store.servers_at(last);
        newest.unwrap_or_else(|| self.shared.progress().members)
    }

    /// The election timer as of the last applied entry, in milliseconds.
    pub(super) fn election_timer(&self) -> u64 {
        let timer = self.shared.progress().election_timer;
        timer.unwrap_or(DEFAULT_ELECTION_TIMER)
    }

    /// The vote as openraft has it.
    pub(super) fn vote(&self) -> Vote {
        self.raft.metrics().borrow_watched().vote
    }

    /// Proposes a transaction in a term; `refused` is called if it does not get into the log.
    pub(super) async fn propose(
        &self,
        term: u64,
        command: Command,
        refused: impl FnOnce() + Send + 'static,
    ) {
        let callback = crate::raft::Callback::new(
            move |result: openraft::raft::ClientWriteResult<TypeConfig>| {
                // What was in the log and is not any more may be in another member's, which may
                // lead one day: only a later term's entries tell.
                if let Err(error) = result
                    && !matches!(error, ClientWriteError::LogEntryDiscarded(_))
                {
                    refused();
                }
            },
        );
        // Where it has stopped for good, the callback is dropped: whoever waits learns of the
        // outcome from later terms.
        let _ = self
            .raft
            .write(command)
            .with_leader(term)
            .responder(callback)
            .await;
    }

    /// The last transaction of the log.
    pub(super) fn last_eid(&self) -> Option<Uuid> {
        self.store.eid_at(self.store.ends().1.index)
    }
}
