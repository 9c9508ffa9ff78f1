//! Measurements, grouped by what was measured and by whose it is.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::contender::Role;

/// One figure of one round.
#[derive(Debug, Clone, Default)]
pub struct Measurement {
    /// In the unit of its [`Figure`].
    pub value: f64,
    /// Median time from request to answer.
    pub p50: Option<Duration>,
    /// Time from request to answer that one of a hundred exceeds.
    pub p99: Option<Duration>,
    /// Seconds of processor time of the server for one unit.
    pub server_time: Option<f64>,
    /// Share of a processor that the load generator took.
    pub generator: f64,
    /// Connections that the server closed although the client did nothing wrong.
    pub lost: u64,
}

impl Measurement {
    /// A figure alone.
    pub fn new(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    /// With the times in `histogram`, in nanoseconds.
    pub fn latency(mut self, histogram: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_nanos(histogram.value_at_quantile(quantile));
        if !histogram.is_empty() {
            (self.p50, self.p99) = (Some(at(0.5)), Some(at(0.99)));
        }
        self
    }

    /// With the server's processor time in seconds a unit.
    pub fn server_time(mut self, seconds: f64) -> Self {
        self.server_time = Some(seconds);
        self
    }

    /// With the share of a processor that this program took.
    pub fn generator(mut self, share: f64) -> Self {
        self.generator = share;
        self
    }

    /// With connections that the server closed.
    pub fn lost(mut self, connections: u64) -> Self {
        self.lost = connections;
        self
    }
}

/// What a figure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The line's name in the table.
    pub name: String,
    /// Such as `txn/s`.
    pub unit: &'static str,
    /// Rates: more is better. Times and sizes: less is.
    pub more_is_better: bool,
}

/// One line of the table.
#[derive(Debug)]
pub struct Figure {
    /// What it is.
    pub meaning: Meaning,
    /// One measurement a round, in the order of the rounds.
    pub rounds: BTreeMap<Role, Vec<Measurement>>,
}

impl Figure {
    /// The median of `of` over the rounds of `role`; `None` where it was never measured.
    pub fn median(&self, role: Role, of: impl Fn(&Measurement) -> Option<f64>) -> Option<f64> {
        median(self.rounds.get(&role)?.iter().filter_map(of).collect())
    }

    /// Ours to the reference's, oriented so that more than 1 means that ours is better: of the medians, and the lowest
    /// and highest of the single rounds.
    pub fn ratio(&self, ours: Role) -> Option<(f64, f64, f64)> {
        let oriented = |ours: f64, reference: f64| {
            if self.meaning.more_is_better {
                ours / reference
            } else {
                reference / ours
            }
        };
        let value = |measurement: &Measurement| Some(measurement.value);
        let ratio = oriented(
            self.median(ours, value)?,
            self.median(Role::Reference, value)?,
        );
        let pairs = self
            .rounds
            .get(&ours)?
            .iter()
            .zip(self.rounds.get(&Role::Reference)?);
        let (mut lowest, mut highest) = (f64::INFINITY, 0.0_f64);
        for (mine, theirs) in pairs {
            let pair = oriented(mine.value, theirs.value);
            (lowest, highest) = (lowest.min(pair), highest.max(pair));
        }
        Some((ratio, lowest, highest))
    }

    /// All measurements of all roles.
    pub fn all(&self) -> impl Iterator<Item = &Measurement> {
        self.rounds.values().flatten()
    }
}

/// All figures, in the order in which they were first seen.
#[derive(Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one round's measurement.
    pub fn add(&mut self, role: Role, meaning: Meaning, measurement: Measurement) {
        let place = self
            .0
            .iter()
            .position(|figure| figure.meaning == meaning)
            .unwrap_or_else(|| {
                self.0.push(Figure {
                    meaning,
                    rounds: BTreeMap::new(),
                });
                self.0.len() - 1
            });
        self.0[place]
            .rounds
            .entry(role)
            .or_default()
            .push(measurement);
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }
}

/// An empty histogram for times in nanoseconds, up to an hour.
pub fn latencies() -> Result<Histogram<u64>> {
    // With bounds: one without saturates at its first bucket's end.
    Ok(Histogram::new_with_bounds(1, 3_600_000_000_000, 3)?)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(more_is_better: bool, ours: &[f64], reference: &[f64]) -> Figure {
        let mut figures = Figures::default();
        let meaning = Meaning {
            name: "x".into(),
            unit: "/s",
            more_is_better,
        };
        for (mine, theirs) in ours.iter().zip(reference) {
            figures.add(Role::Reference, meaning.clone(), Measurement::new(*theirs));
            figures.add(Role::Ours, meaning.clone(), Measurement::new(*mine));
        }
        figures.0.remove(0)
    }

    #[test]
    fn more_than_one_means_ours_is_better() {
        assert_eq!(
            figure(true, &[4.0, 8.0, 6.0], &[2.0, 2.0, 2.0]).ratio(Role::Ours),
            Some((3.0, 2.0, 4.0))
        );
        assert_eq!(
            figure(false, &[1.0], &[2.0]).ratio(Role::Ours),
            Some((2.0, 2.0, 2.0))
        );
        assert_eq!(figure(true, &[1.0], &[2.0]).ratio(Role::OursAlways), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![1.0, 9.0, 3.0, 5.0]), Some(4.0));
        assert_eq!(median(vec![]), None);
    }
}
