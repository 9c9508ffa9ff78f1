//! How long to wait before the next attempt.

use std::time::Duration;

/// A wait that doubles with each failure, up to a bound.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Backoff { first, next: first }
    }

    /// There was success: begin anew.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait now.
    pub(super) fn wait(&mut self, most: Duration) -> Duration {
        let wait = self.next.min(most);
        self.next = wait * 2;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(20));
        let waits: Vec<_> = (0..6).map(|_| backoff.wait(ms(100))).collect();
        assert_eq!(waits, [20, 40, 80, 100, 100, 100].map(ms));
        assert_eq!(backoff.wait(ms(1000)), ms(200));
        backoff.reset();
        assert_eq!(backoff.wait(ms(1000)), ms(20));
    }
}
