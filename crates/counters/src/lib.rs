//! Numbers that a server counts while it works, for whoever asks later.
//!
//! They are atomics: counting takes a few nanoseconds, waits for nobody, and needs no name to be
//! looked up. What they are called, and how they are shown, is another one's business. Several that
//! are read one after the other may be of slightly different moments.

mod by_kind;
mod histogram;

use std::sync::atomic::{AtomicU64, Ordering};

pub use by_kind::{ByKind, Kind};
pub use histogram::{BOUNDS, Histogram, Observed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter that begins with nothing.
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Counts one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts so many.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// How many there have been.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A sum of amounts that come and go.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// One of those who share in it has come from one amount to another.
    pub fn change(&self, before: u64, after: u64) {
        if before != after {
            self.0
                .fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// The sum of all amounts.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_and_levels_come_and_go() {
        let counter = Counter::new();
        counter.increment();
        counter.add(4);
        assert_eq!(counter.get(), 5);
        let level = Level::default();
        level.change(0, 7);
        level.change(0, 5);
        level.change(7, 2);
        level.change(5, 0);
        assert_eq!(level.get(), 2);
    }
}
