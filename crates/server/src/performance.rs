//! `ovsdb-server/perf-counters-show` and `ovsdb-server/perf-counters-clear`: how long things take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::control::Commands;

/// How often something was done, and how long that took together, by its name.
pub type Taken = BTreeMap<String, (u64, Duration)>;

/// Adds the commands.
pub fn register(commands: &mut Commands, source: impl Fn() -> Taken + Send + Sync + 'static) {
    let source = Arc::new(source);
    // What is not to be counted any more.
    let cleared = Arc::new(Mutex::new(Taken::new()));
    let (source_now, cleared_now) = (Arc::clone(&source), Arc::clone(&cleared));
    let show = move |_| {
        let text = show(&source_now(), &cleared_now.lock());
        std::future::ready(Ok(text))
    };
    commands.register("ovsdb-server/perf-counters-show", Some(""), 0, 0, show);
    let clear = move |_| {
        *cleared.lock() = source();
        std::future::ready(Ok(String::new()))
    };
    commands.register("ovsdb-server/perf-counters-clear", Some(""), 0, 0, clear);
}

/// The reference's columns: name, how often, how much in all (nanoseconds here, where the reference
/// has instructions), how much each time.
fn show(taken: &Taken, cleared: &Taken) -> String {
    if taken.is_empty() {
        return "performance counter has never been hit\n".to_owned();
    }
    let line = |(name, (number, time)): (&String, &(u64, Duration))| {
        let (before, spent) = cleared.get(name).copied().unwrap_or_default();
        let number = number.saturating_sub(before);
        let time = time.saturating_sub(spent).as_nanos();
        let each = match number {
            0 => 0.0,
            number => time as f64 / number as f64,
        };
        format!("{name:<40} {number:12} {time:12} {each:12.1}\n")
    };
    taken.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_before_is_not_told() {
        let ms = Duration::from_millis;
        let taken = Taken::from([("sync".to_owned(), (5, ms(30)))]);
        let before = Taken::from([("sync".to_owned(), (2, ms(10)))]);
        assert_eq!(
            show(&taken, &before),
            format!(
                "{:<40} {:12} {:12} {:12.1}\n",
                "sync", 3, 20_000_000, 6666666.7
            )
        );
        let none = format!("{:<40} {:12} {:12} {:12.1}\n", "sync", 0, 0, 0.0);
        assert_eq!(show(&taken, &taken), none);
        let hit = show(&Taken::new(), &before);
        assert_eq!(hit, "performance counter has never been hit\n");
    }
}
