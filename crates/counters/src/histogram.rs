//! How long something took, in fixed steps.

use std::time::Duration;

use crate::Counter;

const fn us(number: u64) -> Duration {
    Duration::from_micros(number)
}

const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// The upper bounds of the steps, each included: from what stays in memory to what is far too long.
/// Behind the last one there is a step for all that took longer.
pub const BOUNDS: [Duration; 20] = [
    us(25),
    us(50),
    us(100),
    us(250),
    us(500),
    ms(1),
    us(2500),
    ms(5),
    ms(10),
    ms(25),
    ms(50),
    ms(100),
    ms(250),
    ms(500),
    ms(1000),
    ms(2500),
    ms(5000),
    ms(10_000),
    ms(30_000),
    ms(60_000),
];

/// How long something took, as often as it was done.
#[derive(Debug, Default)]
pub struct Histogram {
    steps: [Counter; BOUNDS.len() + 1],
    nanoseconds: Counter,
}

/// What a histogram holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// For each of [`BOUNDS`], how many took that long or less.
    pub up_to: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// How long all took together.
    pub sum: Duration,
}

impl Histogram {
    /// Something took that long.
    pub fn observe(&self, took: Duration) {
        let step = BOUNDS.partition_point(|bound| *bound < took);
        self.steps[step].increment();
        self.nanoseconds
            .add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What there has been.
    pub fn observed(&self) -> Observed {
        let mut count = 0;
        let mut next = |step: &Counter| {
            count += step.get();
            count
        };
        let mut up_to = [0; BOUNDS.len()];
        for (sum, step) in up_to.iter_mut().zip(&self.steps) {
            *sum = next(step);
        }
        next(&self.steps[BOUNDS.len()]);
        Observed {
            up_to,
            count,
            sum: Duration::from_nanos(self.nanoseconds.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_step() {
        assert!(BOUNDS.is_sorted());
        let histogram = Histogram::default();
        for took in [us(0), us(25), us(26), ms(60_000), ms(60_001)] {
            histogram.observe(took);
        }
        let observed = histogram.observed();
        assert_eq!(observed.up_to[..3], [2, 3, 3]);
        assert_eq!(observed.up_to[18..], [3, 4]);
        assert_eq!(observed.count, 5);
        assert_eq!(observed.sum, us(51) + ms(120_001));
    }
}
