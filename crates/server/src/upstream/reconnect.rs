//! How long to wait before the next attempt: a state machine without a clock.

use std::time::Duration;

/// The wait after a first failure.
const MIN: Duration = Duration::from_secs(1);

/// Waits that double, up to a bound. All remotes are tried once before the first one.
#[derive(Debug)]
pub(super) struct Reconnect {
    most: Duration,
    wait: Duration,
    /// So many attempts more cost no wait, but for the last one.
    free: usize,
}

impl Reconnect {
    pub(super) fn new(most: Duration, remotes: usize) -> Reconnect {
        Reconnect {
            most: most.max(MIN),
            wait: Duration::ZERO,
            free: remotes,
        }
    }

    /// How long an attempt may take.
    pub(super) fn patience(&self) -> Duration {
        self.wait.max(MIN)
    }

    /// There was a good reason to leave: the next attempts cost no wait.
    pub(super) fn begin_anew(&mut self, remotes: usize) {
        self.free = remotes + 1;
    }

    /// An attempt has failed.
    pub(super) fn failed(&mut self) -> Duration {
        self.next(None)
    }

    /// A connection was lost that had been alive for so long.
    pub(super) fn lost(&mut self, after: Duration) -> Duration {
        self.next(Some(after))
    }

    fn next(&mut self, lasted: Option<Duration>) -> Duration {
        if self.free > 1 {
            self.free -= 1;
            self.wait = Duration::ZERO;
        } else if lasted.is_some_and(|lasted| lasted >= self.wait) || self.wait < MIN {
            self.wait = MIN;
        } else {
            self.wait = (self.wait * 2).min(self.most);
        }
        self.wait
    }

    /// It has been said often enough that nobody answers.
    pub(super) fn is_quiet(&self) -> bool {
        self.wait >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(waits: impl IntoIterator<Item = Duration>) -> Vec<u64> {
        waits.into_iter().map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn waits_double_up_to_the_bound() {
        let mut reconnect = Reconnect::new(Duration::from_secs(8), 1);
        let waits: Vec<_> = (0..6).map(|_| reconnect.failed()).collect();
        assert_eq!(seconds(waits), [1, 2, 4, 8, 8, 8]);
        assert!(reconnect.is_quiet());
        assert_eq!(reconnect.patience().as_secs(), 8);
        // One that dies at once is no success.
        assert_eq!(reconnect.lost(Duration::from_secs(1)).as_secs(), 8);
        assert_eq!(reconnect.lost(Duration::from_secs(8)).as_secs(), 1);
        let mut reconnect = Reconnect::new(Duration::from_millis(5), 1);
        let waits: Vec<_> = (0..2).map(|_| reconnect.failed()).collect();
        assert_eq!(seconds(waits), [1, 1]);
    }

    #[test]
    fn all_remotes_are_tried_before_the_first_wait() {
        let mut reconnect = Reconnect::new(Duration::from_secs(8), 3);
        let waits: Vec<_> = (0..5).map(|_| reconnect.failed()).collect();
        assert_eq!(seconds(waits), [0, 0, 1, 2, 4]);
        reconnect.begin_anew(1);
        assert_eq!(reconnect.lost(Duration::ZERO).as_secs(), 0);
        assert_eq!(reconnect.failed().as_secs(), 1);
    }
}
