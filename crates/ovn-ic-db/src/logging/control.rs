//! The log as one control socket sees it: the console and one file.

use ovsdb_server::log_control::{Destination, Level, LogControl, ModuleLevels};
use ovsdb_server::report::ProblemReport;
use tracing::level_filters::LevelFilter;

use super::levels::MODULES;
use super::problem::Problem;
use super::{Logging, Shape, line, lock};
use crate::schemas::Side;

/// The console and one side's file.
#[derive(Clone)]
pub struct SideLog {
    logging: Logging,
    side: Option<Side>,
}

impl SideLog {
    pub(super) fn new(logging: Logging, side: Option<Side>) -> SideLog {
        SideLog { logging, side }
    }

    /// The last warning or error about the side's database, whether a file or the console has it
    /// or not.
    pub fn problem(&self) -> Option<ProblemReport> {
        let log = lock(self.logging.sinks.file(self.side));
        log.problem.as_ref().map(Problem::report)
    }
}

impl LogControl for SideLog {
    fn levels(&self) -> Vec<ModuleLevels> {
        let console = *lock(&self.logging.sinks.console);
        let file = lock(self.logging.sinks.file(self.side)).levels;
        let places = MODULES.iter().enumerate();
        places
            .map(|(place, module)| ModuleLevels {
                module: (*module).to_owned(),
                console: level_of(console.of(place)),
                // Nothing goes to the system's log.
                syslog: Level::Off,
                file: level_of(file.of(place)),
            })
            .collect()
    }

    fn set_level(&self, module: Option<&str>, destination: Option<Destination>, level: Level) {
        let level = filter_of(level);
        let concerns = |one| destination.is_none_or(|destination| destination == one);
        self.logging.set(|sinks| {
            if concerns(Destination::Console) {
                lock(&sinks.console).set(module, level);
            }
            if concerns(Destination::File) {
                lock(sinks.file(self.side)).levels.set(module, level);
            }
        });
    }

    fn pattern(&self, _: Destination) -> (String, String) {
        let pattern = match self.logging.sinks.shape {
            Shape::Text => line::PATTERN,
            Shape::Json => "JSON",
        };
        (pattern.to_owned(), "none".to_owned())
    }

    fn reopen(&self) -> Option<std::io::Result<()>> {
        self.logging.reopen(self.side)
    }

    fn close(&self) {
        self.logging.close(self.side);
    }
}

fn level_of(filter: LevelFilter) -> Level {
    match filter {
        LevelFilter::OFF => Level::Off,
        LevelFilter::ERROR => Level::Error,
        LevelFilter::WARN => Level::Warning,
        LevelFilter::INFO => Level::Info,
        _ => Level::Debug,
    }
}

fn filter_of(level: Level) -> LevelFilter {
    match level {
        // No event here is an emergency.
        Level::Off | Level::Emergency => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warning => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}
