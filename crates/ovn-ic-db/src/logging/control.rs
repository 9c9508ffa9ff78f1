//! The log as one control socket sees it: the console, the system's log and one file.

use ovsdb_server::log_control::{Destination, Facility, Level, LogControl, ModuleLevels};
use ovsdb_server::report::ProblemReport;

use super::Logging;
use super::modules::MODULES;
use super::problem::Problem;
use super::sinks::{Format, lock, read};
use crate::schemas::Side;

/// The console, the system's log and one side's file.
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
        let log = lock(&self.logging.sinks.file(self.side).state);
        log.problem.as_ref().map(Problem::report)
    }
}

impl LogControl for SideLog {
    fn modules(&self) -> &'static [&'static str] {
        &MODULES
    }

    fn levels(&self) -> Vec<ModuleLevels> {
        let sinks = &self.logging.sinks;
        let file = sinks.file(self.side);
        let places = MODULES.iter().enumerate();
        places
            .map(|(place, module)| ModuleLevels {
                module: (*module).to_owned(),
                console: sinks.console.levels.of(place),
                syslog: sinks.syslog.levels.of(place),
                file: file.levels.of(place),
                limited: sinks.flood.limits(place),
            })
            .collect()
    }

    fn set_level(&self, module: Option<&str>, destination: Option<Destination>, level: Level) {
        let concerns = |one| destination.is_none_or(|destination| destination == one);
        self.logging.set(|sinks| {
            if concerns(Destination::Console) {
                sinks.console.levels.set(module, level);
            }
            if concerns(Destination::Syslog) {
                sinks.syslog.levels.set(module, level);
            }
            if concerns(Destination::File) {
                sinks.file(self.side).levels.set(module, level);
            }
        });
    }

    fn pattern(&self, destination: Destination) -> (String, String) {
        let sinks = &self.logging.sinks;
        let (format, prefix) = match destination {
            Destination::Console => (&sinks.console.format, "none"),
            Destination::Syslog => (&sinks.syslog.format, sinks.syslog.prefix()),
            Destination::File => (&sinks.file(self.side).format, "none"),
        };
        let format = match &*read(format) {
            Format::Json => "JSON".to_owned(),
            Format::Pattern(pattern) => pattern.text().to_owned(),
        };
        (format, prefix.to_owned())
    }

    fn set_pattern(&self, destination: Option<Destination>, pattern: &str) {
        let sinks = &self.logging.sinks;
        for (one, format) in [
            (Destination::Console, &sinks.console.format),
            (Destination::Syslog, &sinks.syslog.format),
            (Destination::File, &sinks.file(self.side).format),
        ] {
            if destination.is_none_or(|destination| destination == one) {
                Format::set(format, pattern);
            }
        }
    }

    fn set_facility(&self, facility: Facility) {
        self.logging.sinks.syslog.set_facility(facility);
    }

    fn limit_rate(&self, module: Option<&str>, limited: bool) {
        self.logging.sinks.flood.set(module, limited);
    }

    fn say(&self, message: &str) {
        tracing::info!(db = self.side.map(Side::short), "{message}");
    }

    fn reopen(&self) -> Option<std::io::Result<()>> {
        self.logging.reopen(self.side)
    }

    fn close(&self) {
        self.logging.close(self.side);
    }
}
