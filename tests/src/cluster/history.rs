//! What clients asked for, when, and what they were told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// What one transaction was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Insert the row of this name, which nobody else ever inserts.
    Insert(String),
    /// Add one to this counter, whatever it is. A transaction that is executed
    /// twice shows here.
    Add(String),
    /// Set this counter to one more than `from`, if it is `from`. An update
    /// that is lost, or done out of order, shows here.
    Step {
        /// The counter.
        counter: String,
        /// What it has to be.
        from: i64,
    },
}

/// What the client knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Done,
    /// It was refused: it must have had no effect.
    Refused(String),
    /// It may have happened or not.
    Unknown(String),
}

/// One transaction of one client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The client's name.
    pub client: String,
    /// What it was to do.
    pub action: Action,
    /// When it was sent, since the workload's start.
    pub sent: Duration,
    /// When its outcome was known.
    pub known: Duration,
    /// The outcome.
    pub outcome: Outcome,
}

impl Operation {
    /// Whether it was acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome == Outcome::Done
    }
}

/// All rows of a database: by table and UUID, the columns that do not have
/// their default value, sets and maps in order.
pub type Rows = BTreeMap<(String, String), Map<String, Value>>;

/// What is asked of a database's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// How many rows have each name.
    pub names: BTreeMap<String, usize>,
    /// The counters.
    pub counters: BTreeMap<String, i64>,
}

/// The longest time without an acknowledgement of any of `operations` between
/// two moments, and when it began.
#[must_use]
pub fn longest_gap<'a>(
    operations: impl Iterator<Item = &'a Operation>,
    from: Duration,
    to: Duration,
) -> (Duration, Duration) {
    let mut times: Vec<Duration> = operations
        .filter(|operation| operation.is_done())
        .map(|operation| operation.known)
        .collect();
    times.sort();
    // An end of the span counts as one, so that silence up to it does not hide.
    let inside = times.iter().filter(|time| (from..to).contains(*time));
    let mut last = times
        .iter()
        .rfind(|time| **time < from)
        .copied()
        .unwrap_or(from);
    let mut longest = (Duration::ZERO, from);
    for time in inside.copied().chain([to]) {
        longest = longest.max((time - last, last));
        last = time;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_may_lie_at_an_end() {
        let at = Duration::from_millis;
        let operation = |known, outcome| Operation {
            client: "c".into(),
            action: Action::Add("a".into()),
            sent: Duration::ZERO,
            known: at(known),
            outcome,
        };
        let done = |known| operation(known, Outcome::Done);
        let unknown = operation(70, Outcome::Unknown("lost".into()));
        let list = [done(90), done(10), done(20), done(50), unknown];
        let gap = |from, to| longest_gap(list.iter(), at(from), at(to));
        assert_eq!(gap(0, 100), (at(40), at(50)));
        assert_eq!(gap(30, 60), (at(30), at(20)));
        assert_eq!(gap(80, 200), (at(110), at(90)));
        assert_eq!(longest_gap([].iter(), at(5), at(9)), (at(4), at(5)));
    }
}
