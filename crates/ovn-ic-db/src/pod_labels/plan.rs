//! What is to be done next about a pod's labels, decided without a look at the world.

use std::time::{Duration, Instant};

use super::leading::Leading;

/// The first rest after a failure; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_millis(250);
/// The longest one.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// See what the labels are.
    Look,
    /// Make them say this.
    Set(Leading),
}

/// What is known of the labels, and when it was learned.
#[derive(Debug)]
pub struct Plan {
    /// How long what was seen is believed: somebody else may change the labels, too.
    every: Duration,
    /// What they say as far as is known.
    shown: Option<Leading>,
    look_at: Instant,
    failures: u32,
    try_at: Instant,
}

impl Plan {
    /// Nothing is known yet.
    pub fn new(every: Duration, now: Instant) -> Plan {
        Plan {
            every,
            shown: None,
            look_at: now,
            failures: 0,
            try_at: now,
        }
    }

    /// What to do for labels that say `wanted`.
    pub fn next(&self, wanted: Leading, now: Instant) -> Step {
        if now < self.try_at {
            Step::Rest
        } else if self.shown != Some(wanted) {
            Step::Set(wanted)
        } else if now >= self.look_at {
            Step::Look
        } else {
            Step::Rest
        }
    }

    /// The labels say this, or, for `None`, nothing sensible.
    pub fn seen(&mut self, shown: Option<Leading>, now: Instant) {
        self.shown = shown;
        self.look_at = now + self.every;
        self.failures = 0;
        self.try_at = now;
    }

    /// A step did not succeed. A patch whose answer is missing may have been made all the same.
    pub fn failed(&mut self, step: Step, now: Instant) {
        if matches!(step, Step::Set(_)) {
            self.shown = None;
        }
        let rest = FIRST_REST * 2_u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        self.try_at = now + rest.min(LONGEST_REST);
    }

    /// There is no time left for long rests.
    pub fn hurry(&mut self, now: Instant) {
        self.failures = 0;
        self.try_at = now;
    }

    /// Whether the labels say this.
    pub fn shows(&self, wanted: Leading) -> bool {
        self.shown == Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Leading = Leading {
        northbound: true,
        southbound: true,
    };
    const EVERY: Duration = Duration::from_secs(5);

    fn after(begun: Instant, milliseconds: u64) -> Instant {
        begun + Duration::from_millis(milliseconds)
    }

    #[test]
    fn labels_are_set_when_they_differ_and_looked_at_now_and_then() {
        let begun = Instant::now();
        let mut plan = Plan::new(EVERY, begun);
        assert_eq!(plan.next(BOTH, begun), Step::Set(BOTH));
        plan.seen(Some(BOTH), begun);
        assert_eq!(plan.next(BOTH, after(begun, 4999)), Step::Rest);
        assert_eq!(plan.next(BOTH, after(begun, 5000)), Step::Look);
        let changed = Leading::NOTHING;
        assert_eq!(plan.next(changed, after(begun, 1)), Step::Set(changed));
        // A person has taken one away.
        plan.seen(None, after(begun, 5000));
        assert_eq!(plan.next(BOTH, after(begun, 5000)), Step::Set(BOTH));
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_rests() {
        let mut now = Instant::now();
        let mut plan = Plan::new(EVERY, now);
        let mut rests = Vec::new();
        for _ in 0..8 {
            plan.failed(Step::Set(BOTH), now);
            let begun = now;
            while plan.next(BOTH, now) == Step::Rest {
                now += Duration::from_millis(250);
            }
            rests.push((now - begun).as_millis());
        }
        assert_eq!(rests, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        plan.hurry(now);
        assert_eq!(plan.next(BOTH, now), Step::Set(BOTH));
    }

    #[test]
    fn what_a_failed_patch_has_done_is_not_known() {
        let now = Instant::now();
        let mut plan = Plan::new(EVERY, now);
        plan.seen(Some(BOTH), now);
        plan.failed(Step::Look, now);
        assert!(plan.shows(BOTH), "a failed look changes nothing");
        plan.failed(Step::Set(Leading::NOTHING), now);
        assert!(!plan.shows(BOTH));
        let later = now + LONGEST_REST;
        assert_eq!(plan.next(BOTH, later), Step::Set(BOTH));
    }

    #[test]
    fn no_number_of_failures_is_too_large() {
        let now = Instant::now();
        let mut plan = Plan::new(EVERY, now);
        for _ in 0..1000 {
            plan.failed(Step::Look, now);
        }
        assert_eq!(plan.next(BOTH, now + LONGEST_REST), Step::Set(BOTH));
    }
}
