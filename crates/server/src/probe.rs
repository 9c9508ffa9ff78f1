//! The inactivity probe of one connection, as a state machine without a clock.
//!
//! A peer that stays silent for an interval is sent an `echo`; one that then stays silent for
//! another interval is taken for dead (ovsdb-server(1), `inactivity_probe`).

use std::time::{Duration, Instant};

/// The interval of TCP connections unless somebody sets another. Unix sockets are not probed.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// What is to be done at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send the request `{"id":"echo","method":"echo","params":[]}`.
    SendEcho,
    /// Close the connection: the peer did not answer.
    Disconnect,
    /// Nothing: the deadline has moved meanwhile.
    Nothing,
}

/// When to probe one connection.
#[derive(Debug, Clone)]
pub struct Probe {
    interval: Option<Duration>,
    /// The last byte received, or the last probe sent.
    since: Instant,
    probing: bool,
}

impl Probe {
    /// A probe for a connection made at `now`; an interval of zero turns it off.
    pub fn new(interval: Duration, now: Instant) -> Probe {
        Probe {
            interval: (!interval.is_zero()).then_some(interval),
            since: now,
            probing: false,
        }
    }

    /// Bytes came in: any, not only whole messages, as a large one may take long.
    pub fn received(&mut self, now: Instant) {
        self.since = now;
        self.probing = false;
    }

    /// Queued bytes went out that could not be sent at once: the peer reads, so it lives.
    pub fn drained(&mut self, now: Instant) {
        self.received(now);
    }

    /// Another interval from now on; zero turns the probe off.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = (!interval.is_zero()).then_some(interval);
    }

    /// When [`Probe::on_deadline`] wants to be called; never, if off.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.since.checked_add(self.interval?)
    }

    /// What to do now. Read what the socket holds before calling this: answers that wait there
    /// must count.
    pub fn on_deadline(&mut self, now: Instant) -> Action {
        match self.next_deadline() {
            Some(deadline) if now >= deadline => {}
            _ => return Action::Nothing,
        }
        if self.probing {
            return Action::Disconnect;
        }
        self.since = now;
        self.probing = true;
        Action::SendEcho
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_probed_then_ends() {
        let start = Instant::now();
        let mut probe = Probe::new(DEFAULT_INTERVAL, start);
        assert_eq!(probe.next_deadline(), Some(start + 5 * SECOND));
        assert_eq!(probe.on_deadline(start + 4 * SECOND), Action::Nothing);
        assert_eq!(probe.on_deadline(start + 5 * SECOND), Action::SendEcho);
        assert_eq!(probe.on_deadline(start + 9 * SECOND), Action::Nothing);
        assert_eq!(probe.on_deadline(start + 10 * SECOND), Action::Disconnect);
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let start = Instant::now();
        let mut probe = Probe::new(DEFAULT_INTERVAL, start);
        assert_eq!(probe.on_deadline(start + 5 * SECOND), Action::SendEcho);
        probe.received(start + 9 * SECOND);
        assert_eq!(probe.next_deadline(), Some(start + 14 * SECOND));
        assert_eq!(probe.on_deadline(start + 14 * SECOND), Action::SendEcho);
    }

    #[test]
    fn zero_turns_it_off() {
        let start = Instant::now();
        let mut probe = Probe::new(Duration::ZERO, start);
        assert_eq!(probe.next_deadline(), None);
        assert_eq!(probe.on_deadline(start + 100 * SECOND), Action::Nothing);
        probe.set_interval(SECOND);
        assert_eq!(probe.on_deadline(start + 100 * SECOND), Action::SendEcho);
    }
}
