//! The end: the leadership goes to another member first.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use openraft::async_runtime::WatchReceiver;

use super::life::Life;
use super::{Inner, Node, chance};
use crate::entry::ServerId;

/// How long the next leader may take to get the last entries.
const LAST_ENTRIES: Duration = Duration::from_millis(300);
/// How long the election may take.
const ELECTION: Duration = Duration::from_millis(500);
/// A member that was not heard for longer, and for an election timer, is not asked to lead.
const ALIVE: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(2);

impl Inner {
    /// Makes another member lead, if this one does and another one can. Nothing is proposed
    /// meanwhile and afterwards.
    pub(super) async fn hand_over(&self, life: &Life) {
        // Where nobody else can lead, nothing is refused for nothing.
        if !life.is_leader() || self.most_advanced(life).is_none() {
            return;
        }
        self.handing_over.store(true, Ordering::Release);
        self.update_place(life);
        let deadline = tokio::time::Instant::now() + LAST_ENTRIES;
        let next = loop {
            let last = life.store.ends().1.index;
            match self.most_advanced(life) {
                Some((server, matched)) if matched >= last => break Some(server),
                None => break None,
                Some((server, _)) if tokio::time::Instant::now() >= deadline => break Some(server),
                _ => tokio::time::sleep(STEP).await,
            }
        };
        let Some(next) = next else {
            return self.give_up(life).await;
        };
        tracing::info!(
            db = self.db(),
            "raft: Transferring leadership to server {next}"
        );
        let _ = life.raft.trigger().transfer_leader(next).await;
        let deadline = tokio::time::Instant::now() + ELECTION;
        while life.is_leader() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(STEP).await;
        }
        if life.is_leader() {
            self.give_up(life).await;
        }
    }

    /// The same, for a member that goes on.
    pub(super) async fn hand_over_and_stay(&self, life: &Life) {
        self.hand_over(life).await;
        self.handing_over.store(false, Ordering::Release);
    }

    /// Ends this term, in which something may have been refused already: what was executed on
    /// top of that must not be proposed in it.
    async fn give_up(&self, life: &Life) {
        self.clock.lock().voted(Instant::now(), chance());
        life.take_term(life.store.term().saturating_add(1)).await;
    }

    /// The member that is alive and has most of the log.
    fn most_advanced(&self, life: &Life) -> Option<(ServerId, u64)> {
        let own = self.identity.server_id;
        let metrics = life.raft.metrics();
        let metrics = metrics.borrow_watched();
        // A leader says something several times in an election timer.
        let lately = ALIVE.max(self.clock.lock().timer());
        let contacts = self.contacts.lock();
        let alive = |server: &ServerId| {
            self.wire.peers.is_connected(*server)
                && contacts
                    .last(*server)
                    .is_some_and(|at| at.elapsed() < lately)
        };
        let replication = metrics.replication.as_ref()?;
        replication
            .iter()
            .filter(|(server, _)| **server != own && alive(server))
            .filter_map(|(server, matched)| Some((*server, matched.as_ref()?.index)))
            .max_by_key(|(_, matched)| *matched)
    }
}

impl Node {
    /// The log takes nothing more of a term in which this member leads: it ends the term, so that somebody
    /// can lead again.
    pub async fn end_term(&self, term: u64) {
        let inner = &self.inner;
        let Some(life) = inner.life() else { return };
        // Where it hands over, that goes on.
        let leads = life.is_leader() && life.store.term() == term;
        if leads && !inner.handing_over.load(Ordering::Acquire) {
            inner.give_up(&life).await;
        }
    }

    /// Makes another member lead, if this one does.
    pub async fn transfer_leadership(&self) {
        if let Some(life) = self.inner.life() {
            self.inner.hand_over_and_stay(&life).await;
        }
    }

    /// Stops: hands over, writes what waits, and closes the file.
    pub async fn stop(&self) {
        if let Some(life) = self.inner.life() {
            self.inner.hand_over(&life).await;
        }
        self.inner.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(db = self.inner.db(), "raft: {error}");
        }
        self.inner.wire.peers.stop().await;
        *self.inner.life.write() = None;
    }
}
