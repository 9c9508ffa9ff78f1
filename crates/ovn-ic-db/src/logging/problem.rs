//! The last thing that went wrong with a database, kept for whoever asks how it is.

use std::time::Instant;

use ovsdb_server::report::ProblemReport;
use tracing::Level;

use super::line::Parts;

/// So much of a line is kept, in characters.
const LONGEST: usize = 300;

/// A warning or an error.
pub(super) struct Problem {
    at: Instant,
    level: &'static str,
    message: String,
}

impl Problem {
    /// What is worth being kept of an event.
    pub(super) fn of(parts: &Parts, level: Level) -> Option<Problem> {
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            _ => return None,
        };
        Some(Problem {
            at: Instant::now(),
            level,
            message: parts.text(LONGEST),
        })
    }

    pub(super) fn report(&self) -> ProblemReport {
        let age = self.at.elapsed().as_millis();
        ProblemReport {
            level: self.level.to_owned(),
            message: self.message.clone(),
            age: u64::try_from(age).unwrap_or(u64::MAX),
        }
    }
}
