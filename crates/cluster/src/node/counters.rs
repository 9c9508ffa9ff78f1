//! What a member counts while it works.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ovsdb_counters::{Counter, Histogram};
use parking_lot::Mutex;

use super::Node;
use crate::entry::{Index, ServerId, Servers};

/// What has happened to a member since the server was started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Elections that it has stood for, as it had not heard of a leader for too long. A member that
    /// is cut off stands again and again.
    pub elections_by_timeout: Counter,
    /// Those that the leader has asked it to stand for.
    pub elections_by_transfer: Counter,
    /// How often it was elected.
    pub elections_won: Counter,
    /// How often it has seen another leader than before, itself included.
    pub leader_changes: Counter,
    /// Candidates that it has voted for.
    pub votes_granted: Counter,
    /// Candidates that it has not.
    pub votes_refused: Counter,
    /// Servers that were refused on a connection: of another cluster, or under a wrong name.
    pub refused_peers: Counter,
    /// How often its file could not be used any more, or not yet again.
    pub file_failures: Counter,
    /// What has happened to the file, however often it was opened.
    pub file: Arc<ovsdb_log::Counters>,
    /// The last entry that the leader has called committed.
    leader_commit: AtomicU64,
    round_trips: RoundTrips,
}

impl Counters {
    /// The leader calls everything up to an entry committed.
    pub(super) fn note_leader_commit(&self, index: Index) {
        self.leader_commit.store(index, Ordering::Relaxed);
    }

    /// How long members take to answer append requests, their disks included.
    pub(super) fn round_trips(&self) -> &RoundTrips {
        &self.round_trips
    }
}

/// A histogram for each of the other members; of others nothing is kept.
#[derive(Debug, Default)]
pub(super) struct RoundTrips(Mutex<BTreeMap<ServerId, Arc<Histogram>>>);

impl RoundTrips {
    /// These are the members now.
    pub(super) fn set_members(&self, members: &Servers, own: ServerId) {
        let mut all = self.0.lock();
        all.retain(|server, _| members.contains_key(server));
        for server in members.keys().filter(|server| **server != own) {
            all.entry(*server).or_default();
        }
    }

    /// A member's histogram, to be kept by who talks with it.
    pub(super) fn of(&self, server: ServerId) -> Option<Arc<Histogram>> {
        self.0.lock().get(&server).cloned()
    }

    fn all(&self) -> Vec<(ServerId, Arc<Histogram>)> {
        let all = self.0.lock();
        all.iter()
            .map(|(server, histogram)| (*server, histogram.clone()))
            .collect()
    }
}

impl Node {
    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// How long each of the other members takes to answer append requests of this one, as leader.
    pub fn round_trips(&self) -> Vec<(ServerId, Arc<Histogram>)> {
        self.inner.counters.round_trips.all()
    }

    /// How many TLS handshakes with other servers have failed.
    pub fn failed_handshakes(&self) -> u64 {
        self.inner.wire.peers.failed_handshakes()
    }

    /// How many entries that the leader has called committed are not in this member's log.
    pub fn behind_leader(&self) -> u64 {
        let Some(life) = self.inner.life() else {
            return 0;
        };
        if life.is_leader() {
            return 0;
        }
        let committed = self.inner.counters.leader_commit.load(Ordering::Relaxed);
        committed.saturating_sub(life.store.ends().1.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_members_have_histograms() {
        let id = ServerId::from_u128;
        let members = |ids: &[u128]| ids.iter().map(|n| (id(*n), String::new())).collect();
        let trips = RoundTrips::default();
        trips.set_members(&members(&[1, 2, 3]), id(1));
        assert!(trips.of(id(1)).is_none() && trips.of(id(4)).is_none());
        let second = trips.of(id(2)).expect("a member");
        second.observe(std::time::Duration::from_millis(1));
        trips.set_members(&members(&[1, 2]), id(1));
        let all = trips.all();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].0, all[0].1.observed().count), (id(2), 1));
    }
}
