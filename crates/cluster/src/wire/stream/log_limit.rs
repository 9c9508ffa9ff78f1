//! Log lines that a stranger can cause are counted, not written, when there are too many.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// So many lines may come at once, unless it is said otherwise.
const BURST: u32 = 10;
/// One more each time this has passed.
const REFILL: Duration = Duration::from_secs(2);

/// Which of the lines about strangers are written.
#[derive(Debug)]
pub struct LogLimit {
    burst: u32,
    refill: Duration,
    state: Mutex<State>,
}

impl Default for LogLimit {
    fn default() -> Self {
        LogLimit::new()
    }
}

#[derive(Debug)]
struct State {
    allowed: u32,
    since: Instant,
    suppressed: u64,
}

impl LogLimit {
    /// A limit that nothing has been counted against.
    pub fn new() -> Self {
        LogLimit::with(BURST, REFILL)
    }

    /// The same, of `burst` lines at once and one more each time `refill` has passed.
    pub fn with(burst: u32, refill: Duration) -> Self {
        LogLimit {
            burst,
            refill,
            state: Mutex::new(State {
                allowed: burst,
                since: Instant::now(),
                suppressed: 0,
            }),
        }
    }

    /// Whether a line may be written; if so, how many were not since the last one.
    pub fn allow(&self) -> Option<u64> {
        self.allow_at(Instant::now())
    }

    /// The same at a moment.
    pub fn allow_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let periods = self.periods(&state, now);
        if periods > 0 {
            state.allowed = state.allowed.saturating_add(periods).min(self.burst);
            state.since = now;
        }
        if state.allowed == 0 {
            state.suppressed += 1;
            return None;
        }
        state.allowed -= 1;
        Some(std::mem::take(&mut state.suppressed))
    }

    /// Whether it is as it was in the beginning, but for the time.
    pub fn is_idle_at(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let allowed = state.allowed.saturating_add(self.periods(&state, now));
        state.suppressed == 0 && allowed >= self.burst
    }

    fn periods(&self, state: &State, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(state.since).as_millis();
        let periods = passed.checked_div(self.refill.as_millis()).unwrap_or(0);
        u32::try_from(periods).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_count() {
        let limit = LogLimit::new();
        let now = Instant::now();
        assert!(limit.is_idle_at(now));
        let written = (0..100).filter(|_| limit.allow_at(now).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(limit.allow_at(now + REFILL), Some(100 - u64::from(BURST)));
        assert_eq!(limit.allow_at(now + REFILL), None);
        assert!(!limit.is_idle_at(now + REFILL * BURST));
        let slow = LogLimit::with(1, REFILL * 10);
        assert_eq!(slow.allow_at(now), Some(0));
        assert!(!slow.is_idle_at(now + REFILL * 9));
        assert!(slow.is_idle_at(now + REFILL * 11));
    }
}
