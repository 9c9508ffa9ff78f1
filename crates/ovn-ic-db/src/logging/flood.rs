//! Warnings that come too often are counted instead of written, as the reference does it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

use super::modules::{self, COUNT};
use super::sinks::lock;

/// So many lines of one place in the code may come at once.
const BURST: u32 = 60;
/// One more each time this has passed.
const REFILL: Duration = Duration::from_secs(1);

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is written.
    Write,
    /// It is written, behind this line about those that were not.
    After(String),
    /// It is not.
    Drop,
}

/// What each place in the code has said of late.
pub(super) struct Flood {
    /// Modules without a limit.
    unlimited: [AtomicBool; COUNT],
    /// There are only so many places.
    places: Mutex<HashMap<Identifier, Bucket>>,
}

struct Bucket {
    allowed: u32,
    since: Instant,
    dropped: u64,
    first: Instant,
    last: Instant,
}

impl Flood {
    pub(super) fn new() -> Flood {
        Flood {
            unlimited: [const { AtomicBool::new(false) }; COUNT],
            places: Mutex::default(),
        }
    }

    /// Limits a module's lines or all modules', or not any more.
    pub(super) fn set(&self, module: Option<&str>, limited: bool) {
        let only = module.map(modules::place);
        for (place, slot) in self.unlimited.iter().enumerate() {
            if only.is_none_or(|only| only == Some(place)) {
                slot.store(!limited, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn limits(&self, module: usize) -> bool {
        !self.unlimited[module].load(Ordering::Relaxed)
    }

    /// Whether an event may be written: warnings and errors only are limited.
    pub(super) fn judge(&self, metadata: &Metadata<'_>, module: usize, now: Instant) -> Verdict {
        if *metadata.level() > Level::WARN || !self.limits(module) {
            return Verdict::Write;
        }
        let mut places = lock(&self.places);
        let bucket = places.entry(metadata.callsite());
        bucket.or_insert_with(|| Bucket::new(now)).judge(now)
    }
}

impl Bucket {
    fn new(now: Instant) -> Bucket {
        Bucket {
            allowed: BURST,
            since: now,
            dropped: 0,
            first: now,
            last: now,
        }
    }

    fn judge(&mut self, now: Instant) -> Verdict {
        let passed = now.saturating_duration_since(self.since);
        let periods = passed.as_millis() / REFILL.as_millis();
        if periods > 0 {
            let periods = u32::try_from(periods).unwrap_or(u32::MAX);
            self.allowed = self.allowed.saturating_add(periods).min(BURST);
            self.since = now;
        }
        if self.allowed == 0 {
            if self.dropped == 0 {
                self.first = now;
            }
            self.last = now;
            self.dropped += 1;
            return Verdict::Drop;
        }
        self.allowed -= 1;
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let (first, last) = (seconds(self.first), seconds(self.last));
        match std::mem::take(&mut self.dropped) {
            0 => Verdict::Write,
            dropped => Verdict::After(format!(
                "Dropped {dropped} log messages in last {first} seconds (most recently, {last} seconds ago) due to excessive rate"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_told_later() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        for _ in 0..BURST {
            assert_eq!(bucket.judge(begin), Verdict::Write);
        }
        assert_eq!(bucket.judge(begin), Verdict::Drop);
        assert_eq!(bucket.judge(begin), Verdict::Drop);
        let told = "Dropped 2 log messages in last 5 seconds (most recently, 5 seconds ago) due to excessive rate";
        let later = begin + 5 * REFILL;
        assert_eq!(bucket.judge(later), Verdict::After(told.to_owned()));
        assert_eq!(bucket.judge(later), Verdict::Write);
    }
}
