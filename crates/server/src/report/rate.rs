//! How often something happens, of late: a count for each of the last seconds. Whoever counts moves
//! it on, so that nothing has to wake up for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Recent;

/// The shorter of the two spans that are told, in seconds.
const TEN_SECONDS: u64 = 10;
/// The longer one.
const MINUTE: u64 = 60;
/// The second that is under way, and the one that began a minute ago, are kept besides.
const SECONDS: usize = 64;

/// Counts of the last minute's seconds.
#[derive(Debug)]
pub(crate) struct Rate {
    started: Instant,
    /// A second's number in the upper half, what happened in it in the lower one.
    seconds: [AtomicU64; SECONDS],
}

impl Rate {
    pub(crate) fn new() -> Rate {
        Rate {
            started: Instant::now(),
            seconds: [const { AtomicU64::new(0) }; SECONDS],
        }
    }

    /// It happens.
    pub(crate) fn count(&self) {
        self.count_at(self.started.elapsed());
    }

    /// How often it has happened.
    pub(crate) fn recent(&self) -> Recent {
        self.recent_at(self.started.elapsed())
    }

    fn count_at(&self, now: Duration) {
        let now = second(now);
        let slot = &self.seconds[usize::from(now as u8) % SECONDS];
        let add = |old: u64| {
            // An old second's place is taken over; a count that is full stays full.
            let count = match old >> 32 == now {
                true => (old & u64::from(u32::MAX)).saturating_add(1),
                false => 1,
            };
            Some(now << 32 | count.min(u64::from(u32::MAX)))
        };
        // It always adds.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn recent_at(&self, now: Duration) -> Recent {
        let slots = self.seconds.iter();
        let slots: Vec<(u64, u64)> = slots
            .map(|slot| slot.load(Ordering::Relaxed))
            .map(|slot| (slot >> 32, slot & u64::from(u32::MAX)))
            .collect();
        let within = |span: u64| {
            let counts = slots.iter().map(|(at, count)| {
                let age = second(now).saturating_sub(*at);
                match age.cmp(&span) {
                    std::cmp::Ordering::Less => *count,
                    // Of this one only the end is within.
                    std::cmp::Ordering::Equal => {
                        let left = 1000 - u64::from(now.subsec_millis());
                        (count * left).div_ceil(1000)
                    }
                    std::cmp::Ordering::Greater => 0,
                }
            });
            counts.sum()
        };
        Recent {
            ten_seconds: within(TEN_SECONDS),
            minute: within(MINUTE),
        }
    }
}

/// A second's number, which fits into half a word for a century.
fn second(at: Duration) -> u64 {
    at.as_secs() & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn recent(rate: &Rate, milliseconds: u64) -> (u64, u64) {
        let recent = rate.recent_at(at(milliseconds));
        (recent.ten_seconds, recent.minute)
    }

    #[test]
    fn both_spans_slide() {
        let rate = Rate::new();
        assert_eq!(recent(&rate, 0), (0, 0));
        for _ in 0..100 {
            rate.count_at(at(500));
        }
        assert_eq!(recent(&rate, 500), (100, 100));
        assert_eq!(recent(&rate, 9_999), (100, 100));
        // The first second slides out of the ten.
        assert_eq!(recent(&rate, 10_250), (75, 100));
        assert_eq!(recent(&rate, 11_000), (0, 100));
        assert_eq!(recent(&rate, 60_500), (0, 50));
        assert_eq!(recent(&rate, 61_000), (0, 0));
    }

    #[test]
    fn steady_counts_are_steady_rates() {
        let rate = Rate::new();
        for tenth in 0..2000 {
            rate.count_at(at(100 * tenth));
        }
        assert_eq!(recent(&rate, 199_999), (100 + 1, 600 + 1));
        // Long after, places hold old seconds.
        rate.count_at(at(10_000_000));
        assert_eq!(recent(&rate, 10_000_001), (1, 1));
    }
}
