//! The checker: a history against what is there afterwards.
//!
//! Pure, so that it can be shown lies: see the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::history::{Action, Contents, Operation, Outcome, Rows};

/// One thing that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A transaction was executed once more after it had taken effect, so that
    /// it counts twice, or was refused although it is there. Debian's
    /// `ovsdb-server` does that to the transactions of its clients that are
    /// under way while the leadership changes.
    Repeated(String),
    /// Anything else, in words.
    Wrong(String),
}

impl Violation {
    /// Whether it is a transaction that was executed again.
    #[must_use]
    pub fn is_repetition(&self) -> bool {
        matches!(self, Self::Repeated(_))
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repeated(text) => write!(f, "executed again: {text}"),
            Self::Wrong(text) => f.write_str(text),
        }
    }
}

/// Holds the operations of all clients against the contents of one member.
///
/// Every acknowledged one is there exactly once, none that was refused, and
/// one of unknown outcome at most once; nothing is there that nobody sent
/// (among the names and counters that operations name). Steps form one chain,
/// which does not run against time.
#[must_use]
pub fn against_contents(operations: &[Operation], contents: &Contents) -> Vec<Violation> {
    let mut found = inserts(operations, &contents.names);
    found.extend(additions(operations, &contents.counters));
    found.extend(steps(operations, &contents.counters));
    found
}

/// Names begin like this if and only if a client of the workload made them.
pub const NAME_PREFIX: &str = "row-";

fn inserts(operations: &[Operation], names: &BTreeMap<String, usize>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut sent = BTreeSet::new();
    for operation in operations {
        let Action::Insert(name) = &operation.action else {
            continue;
        };
        if !sent.insert(name) {
            let text = format!("{name} was sent twice: the workload is wrong");
            found.push(Violation::Wrong(text));
        }
        let count = names.get(name).copied().unwrap_or(0);
        let right = match &operation.outcome {
            Outcome::Done => count == 1,
            Outcome::Refused(_) => count == 0,
            Outcome::Unknown(_) => count <= 1,
        };
        if !right {
            let text = format!("{name} is there {count} times: {operation:?}");
            // Its name was refused because it is there itself.
            let itself = Outcome::Refused("constraint violation".into());
            found.push(if count == 1 && operation.outcome == itself {
                Violation::Repeated(text)
            } else {
                Violation::Wrong(text)
            });
        }
    }
    let ours = names.keys().filter(|name| name.starts_with(NAME_PREFIX));
    for name in ours.filter(|name| !sent.contains(name)) {
        let text = format!("{name} is there and was never sent");
        found.push(Violation::Wrong(text));
    }
    found
}

fn additions(operations: &[Operation], counters: &BTreeMap<String, i64>) -> Vec<Violation> {
    let mut bounds: BTreeMap<&String, (i64, i64)> = BTreeMap::new();
    for operation in operations {
        let Action::Add(counter) = &operation.action else {
            continue;
        };
        let (least, most) = bounds.entry(counter).or_default();
        match &operation.outcome {
            Outcome::Done => (*least, *most) = (*least + 1, *most + 1),
            Outcome::Refused(_) => {}
            Outcome::Unknown(_) => *most += 1,
        }
    }
    bounds
        .into_iter()
        .filter_map(|(counter, (least, most))| {
            let value = counters.get(counter).copied();
            let text = format!("{counter} is {value:?}, not from {least} to {most}");
            match value {
                Some(value) if (least..=most).contains(&value) => None,
                Some(value) if value > most => Some(Violation::Repeated(text)),
                _ => Some(Violation::Wrong(text)),
            }
        })
        .collect()
}

fn steps(operations: &[Operation], counters: &BTreeMap<String, i64>) -> Vec<Violation> {
    // For each counter, those that may have taken it from each value, and
    // those that say that they have not.
    type Chain<'a> = BTreeMap<i64, Vec<&'a Operation>>;
    let mut chains: BTreeMap<&String, (Chain<'_>, Chain<'_>)> = BTreeMap::new();
    for operation in operations {
        if let Action::Step { counter, from } = &operation.action {
            let (links, refusals) = chains.entry(counter).or_default();
            let chain = match operation.outcome {
                Outcome::Refused(_) => refusals,
                Outcome::Done | Outcome::Unknown(_) => links,
            };
            chain.entry(*from).or_default().push(operation);
        }
    }
    let mut found = Vec::new();
    for (counter, (chain, refusals)) in chains {
        let Some(value) = counters.get(counter).copied() else {
            found.push(Violation::Wrong(format!("{counter} is not there")));
            continue;
        };
        let mut latest_start = Duration::ZERO;
        for from in 0..value {
            let links = chain.get(&from).map(Vec::as_slice).unwrap_or_default();
            let done: Vec<&&Operation> = links.iter().filter(|link| link.is_done()).collect();
            if links.is_empty() {
                let text = format!("nobody took {counter} from {from}, and it is {value}");
                found.push(match refusals.get(&from) {
                    Some(refused) => Violation::Repeated(format!("{text}: {refused:?}")),
                    None => Violation::Wrong(text),
                });
            }
            if done.len() > 1 {
                let text = format!("{counter} was taken from {from} twice: {done:?}");
                found.push(Violation::Wrong(text));
            }
            if let [link] = done[..]
                && link.known < latest_start
            {
                let text =
                    format!("{counter}: {link:?} came after one that began at {latest_start:?}");
                found.push(Violation::Wrong(text));
            }
            // Whichever of these it was, it began no earlier than the first.
            let candidates = if done.is_empty() {
                links.iter().map(|link| link.sent).min()
            } else {
                done.iter().map(|link| link.sent).min()
            };
            latest_start = latest_start.max(candidates.unwrap_or_default());
        }
        for (from, links) in chain.range(value..) {
            if links.iter().any(|link| link.is_done()) {
                let text = format!("{counter} was taken from {from}, and is {value}: {links:?}");
                found.push(Violation::Wrong(text));
            }
        }
    }
    found
}

/// Says where two views of all rows differ, in a few lines.
#[must_use]
pub fn between(what: &str, view: &Rows, contents: &Rows) -> Vec<Violation> {
    const SHOWN: usize = 5;
    let mut found = Vec::new();
    let keys: BTreeSet<_> = view.keys().chain(contents.keys()).collect();
    for key in keys {
        let (seen, there) = (view.get(key), contents.get(key));
        if seen != there {
            let text = format!("{what}: {key:?} is {seen:?} and should be {there:?}");
            found.push(Violation::Wrong(text));
        }
    }
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if more > 0 {
        found.push(Violation::Wrong(format!("{what}: and {more} more rows")));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn operation(action: Action, outcome: Outcome, sent: u64, known: u64) -> Operation {
        Operation {
            client: "w".into(),
            action,
            sent: Duration::from_millis(sent),
            known: Duration::from_millis(known),
            outcome,
        }
    }

    fn insert(name: &str, outcome: Outcome) -> Operation {
        operation(Action::Insert(name.into()), outcome, 0, 1)
    }

    fn add(outcome: Outcome) -> Operation {
        operation(Action::Add("a".into()), outcome, 0, 1)
    }

    fn step(from: i64, outcome: Outcome, sent: u64, known: u64) -> Operation {
        let counter = "s".into();
        operation(Action::Step { counter, from }, outcome, sent, known)
    }

    fn refused() -> Outcome {
        Outcome::Refused("timed out".into())
    }

    fn unknown() -> Outcome {
        Outcome::Unknown("closed".into())
    }

    /// A history without a fault, and what is there after it.
    fn honest() -> (Vec<Operation>, Contents) {
        let operations = vec![
            insert("row-1", Outcome::Done),
            insert("row-2", unknown()),
            insert("row-3", unknown()),
            insert("row-4", refused()),
            add(Outcome::Done),
            add(Outcome::Done),
            add(unknown()),
            add(refused()),
            step(0, Outcome::Done, 0, 10),
            step(0, refused(), 5, 20),
            step(1, unknown(), 20, 30),
            step(1, refused(), 30, 32),
            step(2, Outcome::Done, 40, 50),
            step(3, unknown(), 50, 60),
        ];
        let names = [("row-1", 1), ("row-2", 1), ("ts", 1)];
        let contents = Contents {
            names: names.map(|(name, count)| (name.into(), count)).into(),
            counters: [("a".into(), 3), ("s".into(), 3)].into(),
        };
        (operations, contents)
    }

    #[test]
    fn an_honest_history_passes() {
        let (operations, mut contents) = honest();
        let none: Vec<Violation> = Vec::new();
        assert_eq!(against_contents(&operations, &contents), none);
        // The unknown ones the other way round.
        contents.names.remove("row-2");
        contents.names.insert("row-3".into(), 1);
        contents.counters.insert("a".into(), 2);
        contents.counters.insert("s".into(), 4);
        assert_eq!(against_contents(&operations, &contents), none);
    }

    /// Plants one lie, and expects one violation that has this text.
    fn planted(text: &str, lie: impl FnOnce(&mut Vec<Operation>, &mut Contents)) {
        let (mut operations, mut contents) = honest();
        lie(&mut operations, &mut contents);
        let found = against_contents(&operations, &contents);
        assert!(
            found.len() == 1 && found[0].to_string().contains(text),
            "{text}: {found:?}"
        );
        assert_eq!(found[0].is_repetition(), text.starts_with("executed again"));
    }

    #[test]
    fn losses_duplicates_and_inventions_are_found() {
        planted("row-1 is there 0 times", |_, contents| {
            contents.names.remove("row-1");
        });
        planted("row-1 is there 2 times", |_, contents| {
            contents.names.insert("row-1".into(), 2);
        });
        planted("row-2 is there 2 times", |_, contents| {
            contents.names.insert("row-2".into(), 2);
        });
        planted("row-4 is there 1 times", |_, contents| {
            contents.names.insert("row-4".into(), 1);
        });
        planted("executed again: row-6 is there", |operations, contents| {
            let itself = Outcome::Refused("constraint violation".into());
            operations.push(insert("row-6", itself));
            contents.names.insert("row-6".into(), 1);
        });
        planted("row-5 is there and was never sent", |_, contents| {
            contents.names.insert("row-5".into(), 1);
        });
        planted("row-1 was sent twice", |operations, _| {
            operations.push(insert("row-1", Outcome::Done));
        });
    }

    #[test]
    fn counters_that_are_off_are_found() {
        planted("a is Some(1), not from 2 to 3", |_, contents| {
            contents.counters.insert("a".into(), 1);
        });
        planted("executed again: a is Some(4), not", |_, contents| {
            contents.counters.insert("a".into(), 4);
        });
        planted("a is None", |_, contents| {
            contents.counters.remove("a");
        });
        planted("s is not there", |_, contents| {
            contents.counters.remove("s");
        });
    }

    #[test]
    fn broken_chains_are_found() {
        planted("s was taken from 2, and is 2", |_, contents| {
            contents.counters.insert("s".into(), 2);
        });
        planted("nobody took s from 4", |_, contents| {
            contents.counters.insert("s".into(), 5);
        });
        planted(
            "executed again: nobody took s from 4",
            |operations, contents| {
                operations.push(step(4, refused(), 60, 70));
                contents.counters.insert("s".into(), 5);
            },
        );
        planted("s was taken from 2 twice", |operations, _| {
            operations.push(step(2, Outcome::Done, 41, 51));
        });
        // A step is acknowledged before the one that it builds upon was sent.
        planted("came after one that began at", |operations, contents| {
            operations.push(step(3, Outcome::Done, 10, 39));
            contents.counters.insert("s".into(), 4);
        });
    }

    #[test]
    fn views_that_differ_are_found() {
        let row = |n: i64| Map::from_iter([("n".to_owned(), json!(n))]);
        let rows = |numbers: &[(&str, i64)]| -> Rows {
            let rows = numbers.iter();
            rows.map(|(uuid, n)| (("t".to_owned(), (*uuid).to_owned()), row(*n)))
                .collect()
        };
        let contents = rows(&[("a", 1), ("b", 2)]);
        assert!(between("w", &contents, &contents).is_empty());
        for wrong in [
            rows(&[("a", 1)]),
            rows(&[("a", 1), ("b", 3)]),
            rows(&[("a", 1), ("b", 2), ("c", 4)]),
        ] {
            assert_eq!(between("w", &wrong, &contents).len(), 1);
        }
        let many: Vec<(String, i64)> = (0..30).map(|n| (n.to_string(), n)).collect();
        let many: Vec<(&str, i64)> = many.iter().map(|(uuid, n)| (&uuid[..], *n)).collect();
        let found = between("w", &rows(&many), &Rows::new());
        assert!(
            found.len() == 6 && found[5].to_string().contains("25 more"),
            "{found:?}"
        );
    }
}
