//! When to stand for election, and when not to let others: a member's own timer.
//!
//! Pure: the caller has the clock and the dice.

use std::time::{Duration, Instant};

/// The longest random addition to the election timer.
const SPREAD: Duration = Duration::from_millis(300);
/// Where the leader's process is gone, members stand one after the other in such steps.
const STEP: Duration = Duration::from_millis(60);

/// What a member knows of its leader's life.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    timer: Duration,
    heard: Instant,
    /// The leader's process has ended, or it has said that it goes.
    gone: bool,
    ever_heard: bool,
    /// It waits another election timer each time.
    delayed: bool,
    deadline: Instant,
}

impl Clock {
    /// A clock that begins now, for an election timer; `chance` is below 1.
    pub(super) fn new(timer: Duration, now: Instant, chance: f64) -> Clock {
        Clock {
            timer,
            heard: now,
            gone: true,
            ever_heard: false,
            delayed: false,
            deadline: now + timer + SPREAD.mul_f64(chance),
        }
    }

    pub(super) fn set_timer(&mut self, timer: Duration) {
        self.timer = timer;
    }

    pub(super) fn timer(&self) -> Duration {
        self.timer
    }

    /// The leader has given a sign of life.
    pub(super) fn heard(&mut self, now: Instant, chance: f64) {
        self.heard = now;
        self.gone = false;
        self.ever_heard = true;
        self.deadline = now + self.timer + SPREAD.mul_f64(chance) + self.delay();
    }

    /// For tests: it waits another election timer from now on, or does not any more.
    pub(super) fn set_delayed(&mut self, delayed: bool, now: Instant, chance: f64) {
        self.delayed = delayed;
        if delayed {
            self.deadline = now + self.timer + SPREAD.mul_f64(chance) + self.delay();
        }
    }

    fn delay(&self) -> Duration {
        match self.delayed {
            true => self.timer,
            false => Duration::ZERO,
        }
    }

    /// The leader's process has ended. `rank` is this member's among the others: so that they do
    /// not all stand at once.
    pub(super) fn lost(&mut self, now: Instant, rank: u32, chance: f64) {
        if !self.gone {
            self.gone = true;
            let wait = STEP * rank + (STEP / 2).mul_f64(chance) + self.delay();
            self.deadline = self.deadline.min(now + wait);
        }
    }

    /// There is nobody else to wait for.
    pub(super) fn alone(&mut self, now: Instant) {
        self.deadline = self.deadline.min(now);
    }

    /// It has stood for election, and should it not be elected, tries again later.
    pub(super) fn stood(&mut self, now: Instant, chance: f64) {
        let wait = self.timer / 4 + (self.timer / 2).mul_f64(chance);
        self.deadline = now + wait.max(STEP * 2);
    }

    /// Somebody else stands: it should have the time for it.
    pub(super) fn voted(&mut self, now: Instant, chance: f64) {
        let wait = self.timer / 2 + (self.timer / 2).mul_f64(chance);
        self.deadline = self.deadline.max(now + wait);
    }

    /// When to stand.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether there is a leader whom no candidate shall disturb.
    pub(super) fn has_leader(&self, now: Instant) -> bool {
        !self.gone && now.saturating_duration_since(self.heard) < self.timer
    }

    /// A leader was heard since the start.
    pub(super) fn ever_heard(&self) -> bool {
        self.ever_heard
    }

    /// How long ago the leader was heard.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMER: Duration = Duration::from_millis(1000);

    #[test]
    fn a_leader_that_is_heard_puts_the_election_off() {
        let start = Instant::now();
        let mut clock = Clock::new(TIMER, start, 0.0);
        assert!(!clock.has_leader(start));
        let later = start + Duration::from_millis(900);
        clock.heard(later, 0.5);
        assert_eq!(clock.deadline(), later + TIMER + SPREAD / 2);
        assert!(clock.has_leader(later + Duration::from_millis(999)));
        assert!(!clock.has_leader(later + TIMER));
    }

    #[test]
    fn nobody_waits_for_a_leader_whose_process_is_gone() {
        let start = Instant::now();
        let mut clock = Clock::new(TIMER, start, 0.0);
        clock.heard(start, 0.9);
        clock.lost(start, 1, 0.0);
        assert_eq!(clock.deadline(), start + STEP);
        assert!(!clock.has_leader(start));
        // A second connection that ends says nothing new.
        clock.stood(start, 0.0);
        let deadline = clock.deadline();
        clock.lost(start, 0, 0.0);
        assert_eq!(clock.deadline(), deadline);
    }

    #[test]
    fn one_that_is_delayed_lets_the_others_stand_first() {
        let start = Instant::now();
        let mut clock = Clock::new(TIMER, start, 0.0);
        clock.set_delayed(true, start, 0.0);
        assert_eq!(clock.deadline(), start + TIMER * 2);
        clock.heard(start, 0.0);
        clock.lost(start, 0, 0.0);
        assert_eq!(clock.deadline(), start + TIMER);
        clock.set_delayed(false, start, 0.0);
        clock.heard(start, 0.0);
        assert_eq!(clock.deadline(), start + TIMER);
    }

    #[test]
    fn a_voter_gives_its_candidate_time() {
        let start = Instant::now();
        let mut clock = Clock::new(TIMER, start, 0.0);
        clock.heard(start, 0.0);
        clock.lost(start, 0, 0.0);
        clock.voted(start, 0.0);
        assert_eq!(clock.deadline(), start + TIMER / 2);
    }
}
