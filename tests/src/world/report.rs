//! What a run of the sequence found: times, and the ctl tools' transcript.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The checks in the order they were made.
#[derive(Debug, Default)]
pub struct Report {
    /// Name and convergence time of each check.
    pub times: Vec<(String, Duration)>,
    /// Each ctl command with its outcome, UUIDs replaced by their number of
    /// appearance, so that two runs can be compared.
    pub transcript: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Report {
    /// Runs one check and notes how long it took.
    ///
    /// # Errors
    /// Those of the check, with its name.
    pub fn check<T>(&mut self, name: &str, check: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = check().with_context(|| format!("check failed: {name}"))?;
        self.times.push((name.to_owned(), start.elapsed()));
        Ok(result)
    }

    /// Notes an outcome that two runs must have in common.
    pub fn transcribe(&mut self, text: &str) {
        let text = self.without_uuids(text);
        self.transcript.push(text);
    }

    fn without_uuids(&mut self, text: &str) -> String {
        let mut result = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = rest.get(..36).filter(|candidate| {
                candidate.contains('-') && uuid::Uuid::parse_str(candidate).is_ok()
            });
            if let Some(found) = found {
                let next = self.numbers.len();
                let number = *self.numbers.entry(found.to_owned()).or_insert(next);
                let _ = write!(result, "<{number}>");
                rest = &rest[36..];
            } else {
                result.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        result
    }

    /// The median of all convergence times.
    #[must_use]
    pub fn median(&self) -> Duration {
        let mut times: Vec<Duration> = self.times.iter().map(|(_, time)| *time).collect();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

/// Both reports side by side, in milliseconds.
#[must_use]
pub fn side_by_side(reference: &Report, ours: &Report) -> String {
    let mut text = format!("{:<58} {:>10} {:>10}\n", "check (ms)", "reference", "ours");
    let line = |name: &str, left: Duration, right: Duration| {
        let [left, right] = [left, right].map(|time| time.as_secs_f64() * 1e3);
        format!("{name:<58} {left:>10.1} {right:>10.1}\n")
    };
    for ((name, left), (_, right)) in reference.times.iter().zip(&ours.times) {
        text.push_str(&line(name, *left, *right));
    }
    text.push_str(&line("median", reference.median(), ours.median()));
    text
}

/// Asserts that both runs say the same and that ours is as fast: its median is
/// at most 1.5 times the reference's plus 10 ms, and each check takes at most
/// 2 times as long plus 2.5 s (one more round of a client's reconnection
/// back-off, which is luck and not the server's).
///
/// # Errors
/// Says what differs.
pub fn compare(reference: &Report, ours: &Report) -> Result<()> {
    for (left, right) in reference.transcript.iter().zip(&ours.transcript) {
        ensure!(left == right, "reference:\n{left}\nours:\n{right}");
    }
    ensure!(
        reference.transcript.len() == ours.transcript.len()
            && reference.times.len() == ours.times.len(),
        "not the same checks were made"
    );
    let limit = reference.median().mul_f64(1.5) + Duration::from_millis(10);
    ensure!(
        ours.median() <= limit,
        "median {:?}, may be {limit:?}",
        ours.median()
    );
    for ((name, left), (_, right)) in reference.times.iter().zip(&ours.times) {
        let limit = left.mul_f64(2.0) + Duration::from_millis(2500);
        ensure!(*right <= limit, "{name}: {right:?}, may be {limit:?}");
    }
    Ok(())
}
