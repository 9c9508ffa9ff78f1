//! How much of each module goes to one destination.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};

/// The modules that `vlog/set` tells apart: the crates that log.
pub(super) const MODULES: [&str; 3] = ["ovn_ic_db", "ovsdb_log", "ovsdb_server"];

/// A level for each of [`MODULES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Levels([LevelFilter; MODULES.len()]);

impl Levels {
    pub(super) fn all(level: LevelFilter) -> Levels {
        Levels([level; MODULES.len()])
    }

    /// Sets a module's level, or all modules'.
    pub(super) fn set(&mut self, module: Option<&str>, level: LevelFilter) {
        for (slot, name) in self.0.iter_mut().zip(MODULES) {
            if module.is_none_or(|module| module.eq_ignore_ascii_case(name)) {
                *slot = level;
            }
        }
    }

    pub(super) fn of(&self, module: usize) -> LevelFilter {
        self.0[module]
    }

    pub(super) fn admit(&self, module: usize, level: Level) -> bool {
        level <= self.of(module)
    }

    pub(super) fn highest(&self) -> LevelFilter {
        self.0.into_iter().max().unwrap_or(LevelFilter::OFF)
    }
}

/// The module of an event; what other crates have to say counts as the program's own.
pub(super) fn module_of(metadata: &Metadata<'_>) -> usize {
    let target = metadata.target().split("::").next();
    MODULES
        .iter()
        .position(|module| Some(*module) == target)
        .unwrap_or(0)
}
