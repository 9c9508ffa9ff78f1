//! The line in which proposals wait for their end, so that they are done in order whichever threads
//! bring the results.

use std::collections::VecDeque;

use ovsdb::Error;

use crate::ordering::Done;

type Outcome = Result<(), Error>;

struct Waiting {
    done: Done,
    kind: Kind,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Needs an outcome of its own.
    Write,
    /// Is done well when its turn comes.
    Barrier,
}

/// Those who wait, by numbers in the order of their coming.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    /// The number of the first one.
    first: u64,
    /// All writes below this number have their outcome.
    settled: u64,
}

impl Line {
    /// Takes a place at the end.
    pub(super) fn join(&mut self, kind: Kind, outcome: Option<Outcome>, done: Done) -> u64 {
        self.waiting.push_back(Waiting {
            done,
            kind,
            outcome,
        });
        self.first + self.waiting.len() as u64 - 1
    }

    /// True if all before this one have their outcome.
    pub(super) fn is_settled_before(&mut self, number: u64) -> bool {
        self.settled = self.settled.max(self.first);
        while self.settled < number {
            match self.waiting.get(self.index(self.settled)) {
                Some(waiting) if waiting.outcome.is_none() && waiting.kind == Kind::Write => {
                    return false;
                }
                _ => self.settled += 1,
            }
        }
        true
    }

    /// The first write without an outcome.
    pub(super) fn first_unsettled(&mut self) -> Option<u64> {
        let end = self.first + self.waiting.len() as u64;
        (!self.is_settled_before(end)).then_some(self.settled)
    }

    /// Gives one its outcome. False if it has one already, or has gone.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome) -> bool {
        if number < self.first {
            return false;
        }
        let index = self.index(number);
        match self.waiting.get_mut(index) {
            Some(waiting) if waiting.outcome.is_none() => {
                waiting.outcome = Some(outcome);
                true
            }
            _ => false,
        }
    }

    /// Fails everything behind this one that has no outcome yet. False if there is nothing behind it.
    pub(super) fn fail_behind(&mut self, number: u64, error: &Error) -> bool {
        let index = self.index((number + 1).max(self.first));
        let any = index < self.waiting.len();
        for waiting in self.waiting.iter_mut().skip(index) {
            waiting.outcome.get_or_insert_with(|| Err(error.clone()));
        }
        any
    }

    /// Takes the first one if it can be told its outcome.
    pub(super) fn next(&mut self) -> Option<(Done, Outcome)> {
        let ready =
            |waiting: &mut Waiting| waiting.outcome.is_some() || waiting.kind == Kind::Barrier;
        let waiting = self.waiting.pop_front_if(ready)?;
        self.first += 1;
        Some((waiting.done, waiting.outcome.unwrap_or(Ok(()))))
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number - self.first).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::Tag;

    fn outcomes(line: &mut Line) -> Vec<bool> {
        std::iter::from_fn(|| line.next())
            .map(|(_, outcome)| outcome.is_ok())
            .collect()
    }

    fn join(line: &mut Line, kind: Kind) -> u64 {
        line.join(kind, None, Box::new(|_| {}))
    }

    #[test]
    fn nobody_overtakes() {
        let mut line = Line::default();
        let first = join(&mut line, Kind::Barrier);
        let second = join(&mut line, Kind::Write);
        let third = join(&mut line, Kind::Write);
        assert!(line.is_settled_before(second) && !line.is_settled_before(third));
        assert_eq!(line.first_unsettled(), Some(second));
        assert!(line.settle(third, Ok(())));
        assert_eq!(outcomes(&mut line), [true], "the barrier");
        assert!(line.settle(second, Ok(())));
        assert!(line.is_settled_before(third));
        assert_eq!(line.first_unsettled(), None);
        assert!(!line.settle(first, Ok(())), "gone");
        assert_eq!(outcomes(&mut line), [true, true]);
        assert!(line.waiting.is_empty());
    }

    #[test]
    fn a_failure_takes_all_behind_it_along() {
        let mut line = Line::default();
        let kinds = [Kind::Write, Kind::Write, Kind::Barrier, Kind::Write];
        let numbers = kinds.map(|kind| join(&mut line, kind));
        line.settle(numbers[0], Ok(()));
        let error = Error::new(Tag::IoError, "full");
        line.settle(numbers[1], Err(error.clone()));
        assert!(line.fail_behind(numbers[1], &error));
        assert!(!line.fail_behind(numbers[3], &error));
        assert_eq!(outcomes(&mut line), [true, false, false, false]);
    }
}
