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

/// Both reports side by side under their names, in milliseconds.
#[must_use]
pub fn side_by_side(reference: (&str, &Report), second: (&str, &Report)) -> String {
    let mut text = format!(
        "{:<62} {:>12} {:>12}\n",
        "check (ms)", reference.0, second.0
    );
    let mut line = |name: &str, left: Duration, right: Duration| {
        let [left, right] = [left, right].map(|time| time.as_secs_f64() * 1e3);
        let _ = writeln!(text, "{name:<62} {left:>12.1} {right:>12.1}");
    };
    let (reference, second) = (reference.1, second.1);
    for ((name, left), (_, right)) in reference.times.iter().zip(&second.times) {
        line(name, *left, *right);
    }
    line("median", reference.median(), second.median());
    let (left, right) = quick_sums(reference, second);
    line("sum of the quick ones", left, right);
    text
}

/// What a check may take on the reference to count as quick. The others wait
/// for a client's reconnection back-off (1, 2, 4 s), not for the server.
const QUICK: Duration = Duration::from_millis(500);

/// The time of all checks together that were quick on the reference.
fn quick_sums(reference: &Report, second: &Report) -> (Duration, Duration) {
    reference
        .times
        .iter()
        .zip(&second.times)
        .filter(|((_, left), _)| *left < QUICK)
        .fold(Default::default(), |sums, ((_, left), (_, right))| {
            (sums.0 + *left, sums.1 + *right)
        })
}

/// Says where the second run says something else than the reference.
///
/// # Errors
/// Then.
pub fn compare_transcripts(reference: &Report, second: &Report) -> Result<()> {
    for (left, right) in reference.transcript.iter().zip(&second.transcript) {
        ensure!(left == right, "reference:\n{left}\nthe other:\n{right}");
    }
    ensure!(
        reference.transcript.len() == second.transcript.len(),
        "not the same commands were played"
    );
    let names = |report: &Report| -> Vec<String> {
        report.times.iter().map(|(name, _)| name.clone()).collect()
    };
    ensure!(
        names(reference) == names(second),
        "not the same checks were made"
    );
    Ok(())
}

/// What of the second run was slower than on the reference:
/// - the median by more than half plus 3 ms (one interval of the polling),
/// - the sum of the quick checks by more than half plus 300 ms,
/// - a quick check by more than 500 ms,
/// - another one by more than its own time plus 500 ms (two processes may be at
///   different steps of their reconnection back-off).
#[must_use]
pub fn slower(reference: &Report, second: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut limit = |what: &str, right: Duration, limit: Duration| {
        if right > limit {
            found.push(format!("{what}: {right:?}, may be {limit:?}"));
        }
    };
    let (left, right) = quick_sums(reference, second);
    for (what, left, right, slack) in [
        ("median", reference.median(), second.median(), 3),
        ("sum of the quick checks", left, right, 300),
    ] {
        limit(
            what,
            right,
            left.mul_f64(1.5) + Duration::from_millis(slack),
        );
    }
    for ((name, left), (_, right)) in reference.times.iter().zip(&second.times) {
        let factor = if *left < QUICK { 1 } else { 2 };
        limit(name, *right, *left * factor + Duration::from_millis(500));
    }
    found
}

impl Report {
    /// The same with the better time of two runs for each check.
    #[must_use]
    pub fn best(mut self, other: &Report) -> Self {
        for ((_, time), (_, again)) in self.times.iter_mut().zip(&other.times) {
            *time = (*time).min(*again);
        }
        self
    }
}
