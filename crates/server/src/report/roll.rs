//! Who is connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::locks::SessionId;

/// All sessions, in the order of their coming.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<BTreeMap<SessionId, Arc<Card>>>);

/// What others may know of a session.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) peer: String,
    pub(super) since: Instant,
    backlog: AtomicUsize,
    transactions: AtomicUsize,
}

impl Card {
    /// How many bytes wait to be sent.
    pub(super) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }
}

/// A session's place on the roll, given up by dropping it.
#[derive(Debug)]
pub(crate) struct OnRoll {
    roll: Arc<Roll>,
    id: SessionId,
    card: Arc<Card>,
}

impl Roll {
    /// A session comes.
    pub(crate) fn enter(self: &Arc<Self>, id: SessionId, peer: &str) -> OnRoll {
        let card = Arc::new(Card {
            peer: peer.to_owned(),
            since: Instant::now(),
            backlog: AtomicUsize::new(0),
            transactions: AtomicUsize::new(0),
        });
        self.0.lock().insert(id, Arc::clone(&card));
        OnRoll {
            roll: Arc::clone(self),
            id,
            card,
        }
    }

    /// How many transactions of all sessions have no answer yet.
    pub(crate) fn transactions(&self) -> usize {
        let all = self.0.lock();
        let numbers = all
            .values()
            .map(|card| card.transactions.load(Ordering::Relaxed));
        numbers.sum()
    }

    /// The first sessions but one, and how many there are besides.
    pub(super) fn first(
        &self,
        most: usize,
        but: SessionId,
    ) -> (Vec<(SessionId, Arc<Card>)>, usize) {
        let all = self.0.lock();
        let others = all.iter().filter(|(id, _)| **id != but);
        let first: Vec<_> = others
            .map(|(id, card)| (*id, Arc::clone(card)))
            .take(most)
            .collect();
        let own = usize::from(all.contains_key(&but));
        let rest = all.len() - own - first.len();
        (first, rest)
    }
}

impl OnRoll {
    /// How long the session has been there.
    pub(crate) fn age(&self) -> Duration {
        self.card.since.elapsed()
    }

    /// So many bytes wait to be sent.
    pub(crate) fn set_backlog(&self, bytes: usize) {
        self.card.backlog.store(bytes, Ordering::Relaxed);
    }

    /// So many of its transactions have no answer yet.
    pub(crate) fn set_transactions(&self, number: usize) {
        self.card.transactions.store(number, Ordering::Relaxed);
    }
}

impl Drop for OnRoll {
    fn drop(&mut self) {
        self.roll.0.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_and_go() {
        let roll = Arc::new(Roll::default());
        let places: Vec<OnRoll> = (1..6).map(|id| roll.enter(id, &format!("p{id}"))).collect();
        places[1].set_backlog(9);
        let peers = |most, but| {
            let (first, rest) = roll.first(most, but);
            let first = first
                .iter()
                .map(|(_, card)| (card.peer.clone(), card.backlog()));
            (first.collect::<Vec<_>>(), rest)
        };
        let p = |id: u64, backlog| (format!("p{id}"), backlog);
        assert_eq!(peers(2, 1), (vec![p(2, 9), p(3, 0)], 2));
        assert_eq!(peers(2, 7), (vec![p(1, 0), p(2, 9)], 3));
        drop(places);
        assert_eq!(peers(2, 1), (vec![], 0));
    }
}
