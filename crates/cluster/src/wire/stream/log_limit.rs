//! Log lines that a stranger can cause are counted, not written, when there are too many.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// So many lines may come at once.
const BURST: u32 = 10;
/// One more each time this has passed.
const REFILL: Duration = Duration::from_secs(2);

/// Which of the lines about strangers are written.
#[derive(Debug)]
pub struct LogLimit(Mutex<State>);

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
        LogLimit(Mutex::new(State {
            allowed: BURST,
            since: Instant::now(),
            suppressed: 0,
        }))
    }

    /// Whether a line may be written; if so, how many were not since the last one.
    pub fn allow(&self) -> Option<u64> {
        self.allow_at(Instant::now())
    }

    fn allow_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let periods = now.duration_since(state.since).as_millis() / REFILL.as_millis();
        if periods > 0 {
            let periods = u32::try_from(periods).unwrap_or(u32::MAX);
            state.allowed = state.allowed.saturating_add(periods).min(BURST);
            state.since = now;
        }
        if state.allowed == 0 {
            state.suppressed += 1;
            return None;
        }
        state.allowed -= 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_count() {
        let limit = LogLimit::new();
        let now = Instant::now();
        let written = (0..100).filter(|_| limit.allow_at(now).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(limit.allow_at(now + REFILL), Some(100 - u64::from(BURST)));
        assert_eq!(limit.allow_at(now + REFILL), None);
    }
}
