//! The log's entries in memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use crate::entry::{Entry, Index, Payload, Servers, Term};

/// Where an entry is, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The entry's term.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
}

/// Entries one after the other, without a gap, behind the one at [`Entries::before`].
#[derive(Debug, Clone, Default)]
pub struct Entries {
    before: Position,
    entries: VecDeque<Arc<Entry>>,
}

impl Entries {
    /// None yet, behind that position.
    pub fn behind(before: Position) -> Entries {
        Entries {
            before,
            entries: VecDeque::new(),
        }
    }

    /// The last one that is not here any more.
    pub fn before(&self) -> Position {
        self.before
    }

    /// The last one, here or not.
    pub fn last(&self) -> Position {
        self.entries.back().map_or(self.before, |e| position(e))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at that place.
    pub fn get(&self, index: Index) -> Option<&Arc<Entry>> {
        self.entries.get(self.place(index)?)
    }

    /// The term at that place, the one before the first included.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.before.index {
            return Some(self.before.term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entries in a range of places: those that are here, until they have `max_bytes` of data
    /// together; at least one if any.
    pub fn range(&self, range: Range<Index>, max_bytes: usize) -> Vec<Arc<Entry>> {
        let mut bytes = 0_usize;
        let mut found = Vec::new();
        let start = range.start.max(self.before.index.saturating_add(1));
        let Some(first) = self.place(start) else {
            return found;
        };
        for entry in self.entries.iter().skip(first) {
            bytes = bytes.saturating_add(size(entry));
            if entry.index >= range.end || (bytes > max_bytes && !found.is_empty()) {
                break;
            }
            found.push(entry.clone());
        }
        found
    }

    /// The entries behind that place.
    pub fn behind_index(&self, index: Index) -> Vec<Arc<Entry>> {
        let gone = index.saturating_sub(self.before.index);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX);
        self.entries.iter().skip(gone).cloned().collect()
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// Adds one at the end, if it fits there.
    pub fn push(&mut self, entry: Arc<Entry>) -> Result<(), Misfit> {
        self.fits(&entry, self.last())?;
        self.entries.push_back(entry);
        Ok(())
    }

    /// Whether these entries fit at the end.
    pub fn fit(&self, entries: &[Arc<Entry>]) -> Result<(), Misfit> {
        let mut last = self.last();
        for entry in entries {
            self.fits(entry, last)?;
            last = position(entry);
        }
        Ok(())
    }

    fn fits(&self, entry: &Entry, last: Position) -> Result<(), Misfit> {
        if last.index.checked_add(1) != Some(entry.index) {
            return Err(Misfit::Index {
                index: entry.index,
                last: last.index,
            });
        }
        if entry.term < last.term {
            return Err(Misfit::Term {
                index: entry.index,
                term: entry.term,
                previous: last.term,
            });
        }
        Ok(())
    }

    /// Drops all behind that place.
    pub fn truncate_behind(&mut self, index: Index) {
        let keep = index.saturating_sub(self.before.index);
        self.entries
            .truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// Drops all up to that place.
    pub fn drop_through(&mut self, index: Index) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= index) {
            self.before = position(&entry);
        }
    }

    /// The members that the last entry up to that place says, if one here does.
    pub fn servers_at(&self, index: Index) -> Option<&Servers> {
        self.last_up_to(index, |payload| match payload {
            Payload::Servers(servers) => Some(servers),
            _ => None,
        })
    }

    /// The election timer that the last entry up to that place says, if one here does.
    pub fn election_timer_at(&self, index: Index) -> Option<u64> {
        self.last_up_to(index, |payload| match payload {
            Payload::ElectionTimer(timer) => Some(*timer),
            _ => None,
        })
    }

    /// The id of the last transaction up to that place, if it is here.
    pub fn eid_at(&self, index: Index) -> Option<Uuid> {
        self.last_up_to(index, |payload| match payload {
            Payload::Data { eid, .. } => Some(*eid),
            _ => None,
        })
    }

    fn last_up_to<'a, T>(
        &'a self,
        index: Index,
        find: impl Fn(&'a Payload) -> Option<T>,
    ) -> Option<T> {
        let count = index.saturating_sub(self.before.index);
        let count = usize::try_from(count).map_or(self.len(), |count| count.min(self.len()));
        self.entries
            .range(..count)
            .rev()
            .find_map(|entry| find(&entry.payload))
    }

    fn place(&self, index: Index) -> Option<usize> {
        let place = index.checked_sub(self.before.index)?.checked_sub(1)?;
        usize::try_from(place).ok()
    }
}

/// Why an entry does not fit at the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is not the next one.
    #[error("an entry with index {index} does not follow index {last}")]
    Index {
        /// The entry's.
        index: Index,
        /// The last one's.
        last: Index,
    },
    /// It is of an older term.
    #[error(
        "the entry with index {index} has term {term}, which precedes the previous entry's term {previous}"
    )]
    Term {
        /// The entry's place.
        index: Index,
        /// The entry's term.
        term: Term,
        /// The last one's term.
        previous: Term,
    },
}

fn position(entry: &Entry) -> Position {
    Position {
        term: entry.term,
        index: entry.index,
    }
}

/// About how many bytes an entry has, in a file or a message.
pub fn size(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        Payload::Empty => 0,
        Payload::Data { data, .. } => data.len() + 50,
        Payload::Servers(servers) => servers.values().map(|address| address.len() + 45).sum(),
        Payload::ElectionTimer(_) => 30,
    };
    payload + 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(term: Term, index: Index) -> Arc<Entry> {
        Arc::new(Entry {
            term,
            index,
            payload: Payload::ElectionTimer(index * 100),
        })
    }

    fn log(before: Index, n: u64) -> Entries {
        let mut entries = Entries::behind(Position {
            term: 1,
            index: before,
        });
        for i in 1..=n {
            entries.push(entry(2, before + i)).unwrap();
        }
        entries
    }

    #[test]
    fn only_the_next_entry_fits() {
        let mut entries = log(5, 2);
        assert_eq!(
            entries.push(entry(2, 7)),
            Err(Misfit::Index { index: 7, last: 7 })
        );
        assert_eq!(
            entries.push(entry(3, 9)),
            Err(Misfit::Index { index: 9, last: 7 })
        );
        assert_eq!(
            entries.push(entry(1, 8)),
            Err(Misfit::Term {
                index: 8,
                term: 1,
                previous: 2
            })
        );
        assert!(entries.fit(&[entry(2, 8), entry(4, 9)]).is_ok());
        assert!(entries.fit(&[entry(4, 8), entry(3, 9)]).is_err());
        let mut full = Entries::behind(Position {
            term: 1,
            index: u64::MAX,
        });
        assert!(full.push(entry(1, 0)).is_err());
    }

    proptest! {
        #[test]
        fn like_a_plain_list(before in 0..5_u64, n in 0..20_u64, cut in 0..30_u64, purge in 0..30_u64, from in 0..30_u64, to in 0..30_u64) {
            let mut entries = log(before, n);
            let mut plain: Vec<u64> = (before + 1..=before + n).collect();
            entries.truncate_behind(cut);
            plain.retain(|i| *i <= cut);
            let last_before_purge = entries.last();
            entries.drop_through(purge);
            plain.retain(|i| *i > purge);
            prop_assert_eq!(entries.len(), plain.len());
            let expected: Vec<u64> = plain.iter().copied().filter(|i| (from..to).contains(i)).collect();
            let found: Vec<u64> = entries.range(from..to, usize::MAX).iter().map(|e| e.index).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(entries.range(from..to, 0).len(), expected.len().min(1));
            for i in 0..35 {
                prop_assert_eq!(entries.get(i).map(|e| e.index), plain.contains(&i).then_some(i));
            }
            prop_assert_eq!(entries.last(), last_before_purge);
            prop_assert_eq!(entries.term_at(entries.before().index), Some(entries.before().term));
        }
    }
}
