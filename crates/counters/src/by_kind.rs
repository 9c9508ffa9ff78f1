//! A counter for each of some kinds that are known beforehand.

use std::marker::PhantomData;

use crate::Counter;

/// Something that comes in a few kinds.
pub trait Kind: Copy + PartialEq + 'static {
    /// All of them; each stands at the place that it [has](Kind::place).
    const ALL: &'static [Self];

    /// Its place among all.
    fn place(self) -> usize;

    /// What it is called: lower case letters, digits, and underscores or spaces.
    fn name(self) -> &'static str;
}

/// A counter for each kind.
#[derive(Debug)]
pub struct ByKind<K> {
    counters: Box<[Counter]>,
    kind: PhantomData<fn(K)>,
}

impl<K: Kind> Default for ByKind<K> {
    fn default() -> Self {
        ByKind {
            counters: K::ALL.iter().map(|_| Counter::new()).collect(),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> ByKind<K> {
    /// Counts one of a kind.
    pub fn count(&self, kind: K) {
        if let Some(counter) = self.counters.get(kind.place()) {
            counter.increment();
        }
    }

    /// How many there have been of a kind.
    pub fn get(&self, kind: K) -> u64 {
        self.counters.get(kind.place()).map_or(0, Counter::get)
    }

    /// How many there have been of each kind.
    pub fn all(&self) -> impl Iterator<Item = (K, u64)> {
        let numbers = self.counters.iter().map(Counter::get);
        K::ALL.iter().copied().zip(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Coin {
        Head,
        Tail,
    }

    impl Kind for Coin {
        const ALL: &'static [Coin] = &[Coin::Head, Coin::Tail];

        fn place(self) -> usize {
            self as usize
        }

        fn name(self) -> &'static str {
            match self {
                Coin::Head => "head",
                Coin::Tail => "tail",
            }
        }
    }

    #[test]
    fn each_kind_is_counted_for_itself() {
        let coins = ByKind::default();
        coins.count(Coin::Tail);
        coins.count(Coin::Tail);
        assert_eq!(coins.get(Coin::Head), 0);
        let all: Vec<_> = coins.all().map(|(coin, n)| (coin.name(), n)).collect();
        assert_eq!(all, [("head", 0), ("tail", 2)]);
    }
}
