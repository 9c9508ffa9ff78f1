//! A difference with as few actions as can be found in a short time.

use std::time::{Duration, Instant};

use super::{Difference, replay};
use crate::process::Program;

/// Leaves out actions as long as a difference stays, until `limit` is over.
#[must_use]
pub fn shrink(programs: [Program; 2], found: Difference, limit: Duration) -> Difference {
    let start = Instant::now();
    let mut best = found;
    let mut chunk = best.actions.len() / 2;
    while chunk > 0 {
        let mut from = 0;
        while from < best.actions.len() && start.elapsed() < limit {
            let mut fewer = best.actions.clone();
            fewer.drain(from..(from + chunk).min(best.actions.len()));
            // One where a server ends is another story.
            match replay(programs, &best.schema, &fewer) {
                Ok(Some(found))
                    if found.ended == best.ended
                        && found.reference_ended == best.reference_ended =>
                {
                    best = found
                }
                _ => from += chunk,
            }
        }
        chunk /= 2;
    }
    best
}
