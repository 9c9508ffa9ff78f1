//! How often things happen: `coverage/show` and `coverage/read-counter` (ovs-appctl(8)).

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHasher;

use crate::control::Commands;

/// How often something has happened, by its name. The same names each time.
pub type Totals = BTreeMap<String, u64>;

/// Gives the totals.
type Source = Box<dyn Fn() -> Totals + Send + Sync>;

/// The totals are looked at so often.
const ROUND: Duration = Duration::from_secs(5);
/// So many rounds are a minute.
const MINUTE: usize = 12;
/// So many minutes are an hour.
const HOUR: usize = 60;

/// Totals of the last hour.
#[derive(Default)]
struct Past {
    /// The last minute's, one a round, oldest first.
    rounds: VecDeque<Totals>,
    /// The last hour's, one a minute, oldest first.
    minutes: VecDeque<Totals>,
    /// Rounds since the last minute's was kept.
    since: usize,
}

struct Coverage {
    source: Source,
    past: Mutex<Past>,
}

/// Adds the commands. Must be called inside a tokio runtime: the totals are looked at now and then.
pub fn register(commands: &mut Commands, source: impl Fn() -> Totals + Send + Sync + 'static) {
    let source: Source = Box::new(source);
    let now = source();
    let past = Past {
        rounds: VecDeque::from([now.clone()]),
        minutes: VecDeque::from([now]),
        since: 0,
    };
    let coverage = Arc::new(Coverage {
        source,
        past: Mutex::new(past),
    });
    tokio::spawn(watch(Arc::downgrade(&coverage)));
    let about = Arc::clone(&coverage);
    commands.register("coverage/show", Some(""), 0, 0, move |_| {
        let totals = (about.source)();
        std::future::ready(Ok(about.past.lock().show(&totals)))
    });
    let usage = Some("COUNTER");
    commands.register("coverage/read-counter", usage, 1, 1, move |names| {
        let total = (coverage.source)().get(&names.concat()).copied();
        let total = total.ok_or_else(|| "No such counter".to_owned());
        std::future::ready(total.map(|total| format!("{total}\n")))
    });
}

async fn watch(coverage: Weak<Coverage>) {
    let mut round = tokio::time::interval_at(tokio::time::Instant::now() + ROUND, ROUND);
    loop {
        round.tick().await;
        let Some(coverage) = coverage.upgrade() else {
            return;
        };
        let now = (coverage.source)();
        coverage.past.lock().keep(now);
    }
}

impl Past {
    fn keep(&mut self, now: Totals) {
        self.since += 1;
        if self.since == MINUTE {
            self.since = 0;
            keep(&mut self.minutes, HOUR, now.clone());
        }
        keep(&mut self.rounds, MINUTE, now);
    }

    fn show(&self, totals: &Totals) -> String {
        let mut text = format!(
            "Event coverage, avg rate over last: {} seconds, last minute, last hour,  hash={:08x}:\n",
            ROUND.as_secs(),
            fingerprint(totals)
        );
        let newest = self.rounds.back();
        let before = self.rounds.iter().nth_back(1).or(newest);
        let mut never = 0;
        for (name, total) in totals {
            if *total == 0 {
                never += 1;
                continue;
            }
            let at = |totals: Option<&Totals>| {
                totals
                    .and_then(|totals| totals.get(name))
                    .copied()
                    .unwrap_or(0)
            };
            let rate = |from, seconds: f64| at(newest).saturating_sub(at(from)) as f64 / seconds;
            let second = rate(before, ROUND.as_secs_f64());
            let minute = rate(self.rounds.front(), 60.0);
            let hour = rate(self.minutes.front(), 3600.0);
            // Strings take all that is written.
            let _ = writeln!(
                text,
                "{name:<24} {second:5.1}/sec {minute:9.3}/sec {hour:13.4}/sec   total: {total}"
            );
        }
        let _ = writeln!(text, "{never} events never hit");
        text
    }
}

/// Keeps a look for so many rounds after it.
fn keep(kept: &mut VecDeque<Totals>, rounds: usize, now: Totals) {
    kept.push_back(now);
    while kept.len() > rounds + 1 {
        kept.pop_front();
    }
}

/// The same for programs that do about the same.
fn fingerprint(totals: &Totals) -> u32 {
    let mut hasher = FxHasher::default();
    for (name, total) in totals {
        (name, total.checked_ilog2()).hash(&mut hasher);
    }
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(all: &[(&str, u64)]) -> Totals {
        let all = all.iter();
        all.map(|(name, total)| ((*name).to_owned(), *total))
            .collect()
    }

    #[test]
    fn rates_are_of_whole_rounds() {
        let mut past = Past::default();
        for round in 0..=u64::try_from(MINUTE).unwrap_or(0) {
            past.keep(totals(&[("happens", 100 + 10 * round), ("never", 0)]));
        }
        let text = past.show(&totals(&[("happens", 1000), ("never", 0)]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with(
            "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash="
        ));
        assert_eq!(
            lines[1..],
            [
                "happens                    2.0/sec     2.000/sec        0.0028/sec   total: 1000",
                "1 events never hit"
            ]
        );
    }
}
