//! How much of each module goes to one destination.

use std::sync::atomic::{AtomicU8, Ordering};

use ovsdb_server::log_control::Level;
use tracing::level_filters::LevelFilter;

use super::modules::{self, COUNT};

/// A level for each of the modules. Who logs looks at them, who changes them is seldom.
#[derive(Debug)]
pub(super) struct Levels([AtomicU8; COUNT]);

/// The number of a level; one more than the last is what only this program has, to trace.
fn number(filter: LevelFilter) -> u8 {
    match filter {
        LevelFilter::OFF => Level::Off as u8,
        LevelFilter::ERROR => Level::Error as u8,
        LevelFilter::WARN => Level::Warning as u8,
        LevelFilter::INFO => Level::Info as u8,
        LevelFilter::DEBUG => Level::Debug as u8,
        _ => Level::Debug as u8 + 1,
    }
}

/// What an event's level is called.
pub(super) fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warning,
        tracing::Level::INFO => Level::Info,
        _ => Level::Debug,
    }
}

impl Levels {
    pub(super) fn all(filter: LevelFilter) -> Levels {
        Levels([const { AtomicU8::new(0) }; COUNT].map(|_| AtomicU8::new(number(filter))))
    }

    /// Sets a module's level, or all modules'.
    pub(super) fn set(&self, module: Option<&str>, level: Level) {
        let only = module.map(modules::place);
        for (place, slot) in self.0.iter().enumerate() {
            if only.is_none_or(|only| only == Some(place)) {
                slot.store(level as u8, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn of(&self, module: usize) -> Level {
        let number = usize::from(self.0[module].load(Ordering::Relaxed));
        Level::ALL[number.min(Level::ALL.len() - 1)]
    }

    pub(super) fn admit(&self, module: usize, level: tracing::Level) -> bool {
        number(LevelFilter::from_level(level)) <= self.0[module].load(Ordering::Relaxed)
    }

    pub(super) fn highest(&self) -> LevelFilter {
        let highest = self.0.iter().map(|slot| slot.load(Ordering::Relaxed)).max();
        let filters = [
            LevelFilter::TRACE,
            LevelFilter::DEBUG,
            LevelFilter::INFO,
            LevelFilter::WARN,
            LevelFilter::ERROR,
        ];
        let found = filters.into_iter().find(|f| Some(number(*f)) <= highest);
        found.unwrap_or(LevelFilter::OFF)
    }
}
