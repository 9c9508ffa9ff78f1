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
    /// So many were taken out as lost, and nobody has been told yet.
    untold: usize,
    /// Transactions of this term were lost, or may have been: what is executed behind them, in it
    /// or in an earlier one, is worth nothing.
    over: u64,
}

/// What becomes of an item.
pub(super) enum Pushed {
    /// It waits for its turn.
    Queued,
    /// There is nothing that it has to wait for.
    AtOnce(Item),
    /// It was executed behind a transaction that was lost.
    Lost(Item),
}

impl Flight {
    /// Adds an item behind all others, unless there is nothing to wait for, or no hope.
    pub(super) fn push(&mut self, item: Item) -> Pushed {
        if self.is_over(item.term) {
            return Pushed::Lost(item);
        }
        if item.id.is_none() && self.items.is_empty() && !self.telling {
            return Pushed::AtOnce(item);
        }
        self.items.push_back(item);
        Pushed::Queued
    }

    /// Whether nothing that is executed in this term can be kept any more.
    pub(super) fn is_over(&self, term: u64) -> bool {
        self.over != 0 && term <= self.over
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
        self.over = self.over.max(term.saturating_sub(1));
        let count = self
            .items
            .iter()
            .take_while(|item| item.term < term)
            .count();
        self.untold += count;
        self.items.drain(..count).collect()
    }

    /// The log has refused a transaction of a term, and so all behind it.
    pub(super) fn refused(&mut self, term: u64, id: Uuid) -> Vec<Item> {
        self.over = self.over.max(term);
        let place = self.items.iter().position(|item| item.id == Some(id));
        let place = place.unwrap_or(self.items.len());
        self.untold += self.items.len() - place;
        self.items.drain(place..).collect()
    }

    /// Everything: contents have come from elsewhere.
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        let newest = self.items.iter().map(|item| item.term).max();
        self.over = self.over.max(newest.unwrap_or(0));
        self.untold += self.items.len();
        self.items.drain(..).collect()
    }

    /// So many that were taken out as lost have been told.
    pub(super) fn told_losses(&mut self, count: usize) {
        self.untold = self.untold.saturating_sub(count);
    }

    /// All who have lost something know of it.
    pub(super) fn all_told(&self) -> bool {
        self.untold == 0
    }

    /// What becomes of a proposal of an earlier term is not known yet, or not to its proposer: it
    /// may have to be executed again, before all that came later.
    pub(super) fn is_open_before(&self, term: u64) -> bool {
        !self.all_told() || self.items.iter().any(|item| item.term < term)
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

    fn waits(flight: &mut Flight, item: Item) -> bool {
        matches!(flight.push(item), Pushed::Queued)
    }

    #[test]
    fn what_only_waits_goes_with_what_is_before_it() {
        let mut flight = Flight::default();
        assert!(matches!(flight.push(item(1, None)), Pushed::AtOnce(_)));
        assert!(waits(&mut flight, item(1, Some(1))));
        assert!(waits(&mut flight, item(1, None)));
        assert!(flight.commit(Uuid::from_u128(2)).is_none());
        assert!(flight.commit(Uuid::from_u128(1)).is_some());
        // While the first is being told, too.
        assert!(waits(&mut flight, item(1, None)));
        assert!(flight.told().is_some() && flight.told().is_some());
        assert!(flight.told().is_none());
        assert!(matches!(flight.push(item(1, None)), Pushed::AtOnce(_)));
    }

    #[test]
    fn a_refusal_takes_all_behind_it() {
        let mut flight = Flight::default();
        for id in 1..=4 {
            flight.push(item(1, Some(id)));
        }
        let refused = flight.refused(1, Uuid::from_u128(3));
        assert_eq!(ids(&refused), [Some(3), Some(4)]);
        assert!(flight.refused(1, Uuid::from_u128(4)).is_empty());
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

    #[test]
    fn what_comes_later_waits_for_what_may_be_lost() {
        let mut flight = Flight::default();
        flight.push(item(1, Some(1)));
        assert!(!flight.is_open_before(1) && flight.is_open_before(2));
        let lost = flight.term_over(2);
        assert!(flight.is_open_before(2), "nobody was told");
        flight.told_losses(lost.len());
        assert!(!flight.is_open_before(2) && flight.all_told());
    }

    #[test]
    fn nothing_is_answered_that_was_executed_behind_what_is_lost() {
        let mut flight = Flight::default();
        flight.push(item(1, Some(1)));
        flight.refused(1, Uuid::from_u128(1));
        assert!(matches!(flight.push(item(1, None)), Pushed::Lost(_)));
        assert!(matches!(flight.push(item(2, None)), Pushed::AtOnce(_)));
        flight.term_over(3);
        assert!(matches!(flight.push(item(2, Some(2))), Pushed::Lost(_)));
        flight.push(item(3, Some(3)));
        flight.take_all();
        assert!(matches!(flight.push(item(3, None)), Pushed::Lost(_)));
    }
}
