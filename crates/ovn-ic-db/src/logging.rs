//! The program's log: lines for people on the console and in two files.
//!
//! The convention for the rest of the program: an event that is about one
//! database carries the field `db = "nb"` or `db = "sb"` and goes to that
//! database's file; an event without it goes to both. The console gets all.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

use crate::schemas::Side;

/// A log file: `None` while it cannot be opened.
struct LogFile {
    path: PathBuf,
    file: Option<File>,
}

#[derive(Default)]
struct Sinks {
    northbound: Mutex<Option<LogFile>>,
    southbound: Mutex<Option<LogFile>>,
}

impl Sinks {
    fn of(&self, side: Side) -> &Mutex<Option<LogFile>> {
        match side {
            Side::Northbound => &self.northbound,
            Side::Southbound => &self.southbound,
        }
    }
}

/// The handle on the log: its level and its files can be changed at any time.
#[derive(Clone)]
pub struct Logging {
    sinks: Arc<Sinks>,
    level: reload::Handle<LevelFilter, Registry>,
}

impl Logging {
    /// Starts to log to the console at `level`, for the whole program.
    /// An error says that something logs already.
    pub fn start(level: LevelFilter) -> Result<Self, tracing::dispatcher::SetGlobalDefaultError> {
        let (logging, subscriber) = Self::build(level, true);
        tracing::subscriber::set_global_default(subscriber)?;
        Ok(logging)
    }

    fn build(level: LevelFilter, console: bool) -> (Self, impl Subscriber + Send + Sync) {
        let sinks = Arc::<Sinks>::default();
        let (filter, level) = reload::Layer::new(level);
        let lines = Lines {
            sinks: Arc::clone(&sinks),
            console,
        };
        let subscriber = Registry::default().with(filter).with(lines);
        (Logging { sinks, level }, subscriber)
    }

    /// From now on appends a database's lines to this file as well. An error
    /// is for a message only: the log goes on without the file, and
    /// [`Logging::reopen`] tries it again.
    pub fn open(&self, side: Side, path: &Path) -> io::Result<()> {
        let opened = append_to(path);
        let (file, result) = match opened {
            Ok(file) => (Some(file), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let path = path.to_owned();
        *lock(self.sinks.of(side)) = Some(LogFile { path, file });
        result
    }

    /// Opens the database's log file anew, after it was moved away by log
    /// rotation (`vlog/reopen`).
    pub fn reopen(&self, side: Side) -> io::Result<()> {
        // The path is taken first: the lock is held for no system call but the writes.
        let path = lock(self.sinks.of(side))
            .as_ref()
            .map(|log| log.path.clone());
        path.map_or(Ok(()), |path| self.open(side, &path))
    }

    /// Ends writing to the database's log file (`vlog/close`).
    pub fn close(&self, side: Side) {
        if let Some(log) = lock(self.sinks.of(side)).as_mut() {
            log.file = None;
        }
    }

    /// Changes what is logged. False if the log is gone, as at the program's end.
    pub fn set_level(&self, level: LevelFilter) -> bool {
        self.level.reload(level).is_ok()
    }

    /// What is logged now.
    pub fn level(&self) -> LevelFilter {
        self.level
            .with_current(|level| *level)
            .unwrap_or(LevelFilter::OFF)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// A panic in the middle of a line costs that line, not the log.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a line of each event and puts it where it belongs.
struct Lines {
    sinks: Arc<Sinks>,
    console: bool,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let mut line = String::with_capacity(128);
        // Writing into a String fails only where a clock does: the line is worth more.
        let _ = SystemTime.format_time(&mut Writer::new(&mut line));
        let _ = write!(line, " {:5} ", event.metadata().level());
        push_on_one_line(&mut line, &parts.message);
        push_on_one_line(&mut line, &parts.fields);
        line.push('\n');
        if self.console {
            // A console that is gone must not stop the server.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        for side in Side::BOTH {
            if parts.side.is_none_or(|only| only == side)
                && let Some(log) = lock(self.sinks.of(side)).as_mut()
                && let Some(file) = log.file.as_mut()
            {
                // A full disk costs lines; the next one is tried again.
                let _ = file.write_all(line.as_bytes());
            }
        }
    }
}

/// Text from a client may hold line ends: it must not be able to forge lines.
fn push_on_one_line(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

#[derive(Default)]
struct Parts {
    message: String,
    fields: String,
    side: Option<Side>,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match (field.name(), value) {
            ("db", "nb") => self.side = Some(Side::Northbound),
            ("db", "sb") => self.side = Some(Side::Southbound),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn each_database_has_its_lines_and_files_can_be_rotated() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (nb, sb) = (folder.path().join("nb.log"), folder.path().join("sb.log"));
        let (logging, subscriber) = Logging::build(LevelFilter::INFO, false);
        logging.open(Side::Northbound, &nb)?;
        logging.open(Side::Southbound, &sb)?;
        tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
            tracing::info!(db = "nb", rows = 3, "north");
            tracing::info!(db = "sb", "south");
            tracing::warn!("two\nlines");
            tracing::debug!("hidden");
            assert_eq!(logging.level(), LevelFilter::INFO);
            assert!(logging.set_level(LevelFilter::DEBUG));
            tracing::debug!("shown");
            fs::rename(&nb, folder.path().join("nb.log.1"))?;
            logging.reopen(Side::Northbound)?;
            tracing::info!("after");
            logging.close(Side::Southbound);
            tracing::info!("only north");
            Ok(())
        })?;
        let old = fs::read_to_string(folder.path().join("nb.log.1"))?;
        assert!(old.contains("INFO  north rows=3\n"), "{old}");
        assert!(old.contains("WARN  two\\nlines\n"), "{old}");
        assert!(old.contains("shown") && !old.contains("south") && !old.contains("hidden"));
        let new = fs::read_to_string(&nb)?;
        assert_eq!(new.lines().count(), 2, "{new}");
        let south = fs::read_to_string(&sb)?;
        assert!(south.contains("south") && !south.contains("north"));
        Ok(())
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_does_not_matter() {
        let (logging, subscriber) = Logging::build(LevelFilter::INFO, false);
        let nowhere = Path::new("/proc/no/such/folder/file.log");
        assert!(logging.open(Side::Northbound, nowhere).is_err());
        tracing::subscriber::with_default(subscriber, || tracing::info!("goes on"));
        assert!(logging.reopen(Side::Northbound).is_err());
    }
}
