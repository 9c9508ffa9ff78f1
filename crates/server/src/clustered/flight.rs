//! Proposals on their way: given to the cluster's log, not yet committed.
//!
//! Pure but for the callbacks, which are handed out and not called here.

use std::collections::VecDeque;

use ovsdb::Uuid;

use crate::ordering::{Done, Lost};

/// A transaction, or a reply that waits for those before it.
pub(super) struct Item {
    /// In which term it was proposed.
    pub(super) term: u64,
    /// The transaction's id; none for what only waits.
    pub(super) id: Option<Uuid>,
    pub(super) done: Done,
    pub(super) lost: Option<Lost>,
}

/// Proposals in their order.
#[derive(Default)]
pub(super) struct Flight {
    items: VecDeque<Item>,
    /// One has been taken out and is being told.
    telling: bool,
}

impl Flight {
    /// Adds an item behind all others. One that only waits is given back when there is nothing to
    /// wait for.
    pub(super) fn push(&mut self, item: Item) -> Option<Item> {
        if item.id.is_none() && self.items.is_empty() && !self.telling {
            return Some(item);
        }
        self.items.push_back(item);
        None
    }

    /// The first transaction, if this is its id. [`Flight::told`] is to follow.
    pub(super) fn commit(&mut self, id: Uuid) -> Option<Item> {
        let first = self.items.front()?;
        if first.id != Some(id) {
            return None;
        }
        self.telling = true;
        self.items.pop_front()
    }

    /// The committed transaction was told: those who have waited for it are next.
    pub(super) fn told(&mut self) -> Option<Item> {
        if self.items.front().is_some_and(|item| item.id.is_none()) {
            return self.items.pop_front();
        }
        self.telling = false;
        None
    }

    /// An entry of this term is committed: what was proposed in earlier terms and has not been seen
    /// by now is in no log that counts.
    pub(super) fn term_over(&mut self, term: u64) -> Vec<Item> {
        let count = self
            .items
            .iter()
            .take_while(|item| item.term < term)
            .count();
        self.items.drain(..count).collect()
    }

    /// The log has refused a transaction, and so all behind it.
    pub(super) fn refused(&mut self, id: Uuid) -> Vec<Item> {
        let place = self.items.iter().position(|item| item.id == Some(id));
        place.map_or_else(Vec::new, |place| self.items.drain(place..).collect())
    }

    /// Everything: contents have come from elsewhere.
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        self.items.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(term: u64, id: Option<u128>) -> Item {
        Item {
            term,
            id: id.map(Uuid::from_u128),
            done: Box::new(|_| {}),
            lost: None,
        }
    }

    fn ids(items: &[Item]) -> Vec<Option<u128>> {
        let id = |item: &Item| item.id.map(|id| id.as_u128());
        items.iter().map(id).collect()
    }

    #[test]
    fn what_only_waits_goes_with_what_is_before_it() {
        let mut flight = Flight::default();
        assert!(flight.push(item(1, None)).is_some());
        assert!(flight.push(item(1, Some(1))).is_none());
        assert!(flight.push(item(1, None)).is_none());
        assert!(flight.commit(Uuid::from_u128(2)).is_none());
        assert!(flight.commit(Uuid::from_u128(1)).is_some());
        // While the first is being told, too.
        assert!(flight.push(item(1, None)).is_none());
        assert!(flight.told().is_some() && flight.told().is_some());
        assert!(flight.told().is_none());
        assert!(flight.push(item(1, None)).is_some());
    }

    #[test]
    fn a_refusal_takes_all_behind_it() {
        let mut flight = Flight::default();
        for id in 1..=4 {
            flight.push(item(1, Some(id)));
        }
        assert_eq!(ids(&flight.refused(Uuid::from_u128(3))), [Some(3), Some(4)]);
        assert!(flight.refused(Uuid::from_u128(4)).is_empty());
        assert_eq!(ids(&flight.take_all()), [Some(1), Some(2)]);
    }

    #[test]
    fn a_later_term_ends_what_was_proposed_before() {
        let mut flight = Flight::default();
        flight.push(item(1, Some(1)));
        flight.push(item(2, Some(2)));
        flight.push(item(3, Some(3)));
        assert!(flight.term_over(1).is_empty());
        assert_eq!(ids(&flight.term_over(3)), [Some(1), Some(2)]);
        assert!(flight.commit(Uuid::from_u128(3)).is_some());
    }
}
