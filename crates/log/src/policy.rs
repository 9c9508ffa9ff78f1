//! When to compact: the reference's rules, as a pure function of time and sizes.
//!
//! Not within 10 to 20 minutes (spread at random, so that servers and databases do not all compact at
//! once) of the start or of the last compaction. Then, once there are at least 100 records and the file
//! is larger than 10 MiB and more than twice what it was after the last compaction. After a day, in any
//! case. After a failed compaction the next try comes after 1 to 2 minutes. A clustered server that
//! finds nothing to do looks again after 1 to 2 minutes rather than all the time, so that members that
//! reach the size together still compact at different times.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MIN_RECORDS: u64 = 100;
const MIN_SIZE: u64 = 10 * 1024 * 1024;

/// The service model, whose rules differ a little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// A standalone database.
    Standalone,
    /// A member of a cluster.
    Clustered,
}

/// The times of the next compaction. `now` is always the time since some fixed moment, by a clock that
/// does not go backwards; `random` is any evenly distributed number.
#[derive(Clone, Debug)]
pub struct CompactionSchedule {
    model: Model,
    earliest: Duration,
    latest: Duration,
}

impl CompactionSchedule {
    /// The schedule of a database that is opened now.
    pub fn new(model: Model, now: Duration, random: u64) -> CompactionSchedule {
        CompactionSchedule {
            model,
            earliest: now + spread(10 * MINUTE, random),
            latest: now + DAY,
        }
    }

    /// Whether to compact now. `records`: how many have been read and written since the database was
    /// opened (the reference does not start again at 0 after a compaction); `size`: the file's length
    /// in bytes; `base`: what it was after the last compaction ([`Status`](crate::Status) has all
    /// three). Cheap; ask every few seconds.
    pub fn due(&mut self, now: Duration, records: u64, size: u64, base: u64, random: u64) -> bool {
        if now < self.earliest {
            return false;
        }
        let due = if now < self.latest {
            records >= MIN_RECORDS && size > MIN_SIZE && size / 2 > base
        } else {
            records > 0
        };
        if !due && self.model == Model::Clustered {
            self.earliest = now + spread(MINUTE, random);
        }
        due
    }

    /// A compaction is over. After one that failed the next try comes soon, and the daily one keeps its time.
    pub fn finished(&mut self, now: Duration, succeeded: bool, random: u64) {
        self.earliest = now + spread(if succeeded { 10 * MINUTE } else { MINUTE }, random);
        if succeeded {
            self.latest = now + DAY;
        }
    }

    /// The earliest moment at which [`due`](Self::due) can say yes.
    pub fn earliest(&self) -> Duration {
        self.earliest
    }
}

/// `base` and up to as much again.
fn spread(base: Duration, random: u64) -> Duration {
    let range = u64::try_from(base.as_millis()).unwrap_or(u64::MAX).max(1);
    base + Duration::from_millis(random % range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: u64 = MIN_SIZE + 1;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(60 * n)
    }

    #[test]
    fn not_before_the_random_minimum() {
        let mut at_once = CompactionSchedule::new(Model::Standalone, Duration::ZERO, 0);
        assert!(!at_once.due(minutes(10) - Duration::from_millis(1), 100, BIG, 0, 0));
        assert!(at_once.due(minutes(10), 100, BIG, 0, 0));
        let mut late = CompactionSchedule::new(Model::Standalone, Duration::ZERO, 599_999);
        assert!(!late.due(minutes(20) - Duration::from_millis(2), 100, BIG, 0, 0));
        assert!(late.due(minutes(20), 100, BIG, 0, 0));
    }

    #[test]
    fn only_when_it_has_grown_a_lot() {
        let mut schedule = CompactionSchedule::new(Model::Standalone, Duration::ZERO, 0);
        let now = minutes(30);
        assert!(!schedule.due(now, 99, BIG, 0, 0));
        assert!(!schedule.due(now, 100, MIN_SIZE, 0, 0));
        assert!(!schedule.due(now, 100, 2 * BIG, BIG, 0));
        assert!(schedule.due(now, 100, 2 * BIG + 2, BIG, 0));
    }

    #[test]
    fn once_a_day_whatever_the_size() {
        let mut schedule = CompactionSchedule::new(Model::Standalone, Duration::ZERO, 0);
        assert!(!schedule.due(DAY - minutes(1), 1, 100, 100, 0));
        assert!(schedule.due(DAY, 1, 100, 100, 0));
        assert!(!schedule.due(DAY, 0, 100, 100, 0));
    }

    #[test]
    fn soon_again_after_a_failure() {
        let mut schedule = CompactionSchedule::new(Model::Standalone, Duration::ZERO, 0);
        schedule.finished(DAY, false, 0);
        assert!(!schedule.due(DAY + minutes(1) - Duration::from_millis(1), 1, 0, 0, 0));
        assert!(
            schedule.due(DAY + minutes(1), 1, 0, 0, 0),
            "the daily time is still over"
        );
        schedule.finished(DAY + minutes(1), true, 0);
        assert_eq!(schedule.earliest(), DAY + minutes(11));
        assert!(!schedule.due(DAY + minutes(20), 1, 0, 0, 0));
    }

    #[test]
    fn a_cluster_looks_again_at_random_times() {
        let mut schedule = CompactionSchedule::new(Model::Clustered, Duration::ZERO, 0);
        assert!(!schedule.due(minutes(10), 1, 0, 0, 30_000));
        assert_eq!(schedule.earliest(), minutes(11) + Duration::from_secs(30));
        assert!(!schedule.due(minutes(11), 100, BIG, 0, 0));
        assert!(schedule.due(minutes(12), 100, BIG, 0, 0));
    }
}
