//! The program's log: lines for people on the console and in files.
//!
//! The convention for the rest of the program: an event that is about one
//! database carries the field `db = "nb"` or `db = "sb"` and goes to that
//! database's file; an event without it goes to all. The console gets all.

mod control;
mod levels;
mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

pub use control::SideLog;
use levels::{Levels, MODULES, module_of};
use line::Parts;

use crate::schemas::Side;

/// Libraries that say more than operators want to know, and how much of it is for them: of one what
/// it cannot go on with; of the others nothing, as who calls them says what became of it.
const FOREIGN: [(&str, LevelFilter); 4] = [
    ("openraft", LevelFilter::ERROR),
    ("kube", LevelFilter::OFF),
    ("hyper", LevelFilter::OFF),
    ("tower", LevelFilter::OFF),
];

/// A log file: without a path there is none, without an open file it is closed for a while.
struct LogFile {
    path: Option<PathBuf>,
    file: Option<File>,
    levels: Levels,
}

/// The files' places: the first is the northbound's, and, in a process that knows no sides, the
/// only one.
struct Sinks {
    console: Mutex<Levels>,
    files: [(Option<Side>, Mutex<LogFile>); 2],
    lines: AtomicU64,
}

impl Sinks {
    fn file(&self, side: Option<Side>) -> &Mutex<LogFile> {
        let [first, second] = &self.files;
        match side {
            None | Some(Side::Northbound) => &first.1,
            Some(Side::Southbound) => &second.1,
        }
    }
}

/// The handle on the log: its levels and its files can be changed at any time.
#[derive(Clone)]
pub struct Logging {
    sinks: Arc<Sinks>,
    highest: reload::Handle<LevelFilter, Registry>,
}

impl Logging {
    /// Starts to log to the console at `level`, for the whole program.
    /// `sides`: each database has a file of its own.
    /// An error says that something logs already.
    pub fn start(
        level: LevelFilter,
        sides: bool,
    ) -> Result<Self, tracing::dispatcher::SetGlobalDefaultError> {
        let (logging, subscriber) = Self::build(level, level, sides);
        tracing::subscriber::set_global_default(subscriber)?;
        Ok(logging)
    }

    fn build(
        console: LevelFilter,
        files: LevelFilter,
        sides: bool,
    ) -> (Self, impl Subscriber + Send + Sync) {
        let file = |side: Side| {
            let file = LogFile {
                path: None,
                file: None,
                levels: Levels::all(files),
            };
            (sides.then_some(side), Mutex::new(file))
        };
        let sinks = Arc::new(Sinks {
            console: Mutex::new(Levels::all(console)),
            files: Side::BOTH.map(file),
            lines: AtomicU64::new(1),
        });
        let (filter, highest) = reload::Layer::new(console.max(files));
        let lines = Lines(Arc::clone(&sinks));
        let own = filter_fn(|metadata| {
            let target = metadata.target();
            let foreign = FOREIGN.iter().find(|(name, _)| target.starts_with(name));
            foreign.is_none_or(|(_, most)| metadata.level() <= most)
        });
        let subscriber = Registry::default().with(filter).with(own).with(lines);
        (Logging { sinks, highest }, subscriber)
    }

    /// From now on appends lines to this file as well: a database's, or, for `None`, all. An error
    /// is for a message only: the log goes on without the file, and [`Logging::reopen`] tries it
    /// again.
    pub fn open(&self, side: Option<Side>, path: &Path) -> io::Result<()> {
        let opened = append_to(path);
        let (file, result) = match opened {
            Ok(file) => (Some(file), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let mut log = lock(self.sinks.file(side));
        log.path = Some(path.to_owned());
        log.file = file;
        drop(log);
        if result.is_ok() {
            tracing::info!(
                db = side.map(Side::short),
                "opened log file {}",
                path.display()
            );
        }
        result
    }

    /// Opens the log file anew, after it was moved away by log rotation (`vlog/reopen`). `None` if
    /// there is none.
    pub fn reopen(&self, side: Option<Side>) -> Option<io::Result<()>> {
        // The path is taken first: the lock is held for no system call but the writes.
        let path = lock(self.sinks.file(side)).path.clone()?;
        Some(self.open(side, &path))
    }

    /// Opens all files anew, for a signal. What cannot be opened is said.
    pub fn reopen_all(&self) {
        for (side, _) in &self.sinks.files {
            if let Some(Err(error)) = self.reopen(*side) {
                tracing::warn!("the log file cannot be opened again: {error}");
            }
            if side.is_none() {
                return;
            }
        }
    }

    /// Ends writing to the log file (`vlog/close`).
    pub fn close(&self, side: Option<Side>) {
        lock(self.sinks.file(side)).file = None;
    }

    /// The handle of one side's control socket; `None` for a process that knows no sides.
    pub fn of_side(&self, side: Option<Side>) -> SideLog {
        SideLog::new(self.clone(), side)
    }

    /// True if an error is seen on the console.
    pub fn console_shows_errors(&self) -> bool {
        lock(&self.sinks.console).admit(0, Level::ERROR)
    }

    /// Changes levels, and what is dropped before it gets here.
    fn set(&self, change: impl FnOnce(&Sinks)) {
        change(&self.sinks);
        let files = self.sinks.files.iter();
        let highest = files
            .map(|(_, file)| lock(file).levels.highest())
            .chain([lock(&self.sinks.console).highest()])
            .max();
        // Fails only at the program's end, when nothing is logged any more.
        let _ = self.highest.reload(highest.unwrap_or(LevelFilter::OFF));
    }
}

/// Readable for the group, as the replaced server's.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// A panic in the middle of a line costs that line, not the log.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a line of each event and puts it where it belongs.
struct Lines(Arc<Sinks>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let sinks = &*self.0;
        let level = *event.metadata().level();
        let module = module_of(event.metadata());
        let parts = Parts::of(event);
        let mut line = None;
        let mut make = || {
            let number = sinks.lines.fetch_add(1, Ordering::Relaxed);
            parts.line(number, MODULES[module], level)
        };
        if lock(&sinks.console).admit(module, level) {
            let line = line.get_or_insert_with(&mut make);
            // A console that is gone must not stop the server.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        for (side, log) in &sinks.files {
            if side.is_some() && parts.side.is_some() && parts.side != *side {
                continue;
            }
            let mut log = lock(log);
            if log.levels.admit(module, level)
                && let Some(file) = &mut log.file
            {
                let line = line.get_or_insert_with(&mut make);
                // A full disk costs lines; the next one is tried again.
                let _ = file.write_all(line.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb_server::log_control::{self, LogControl};
    use std::fs;

    const NB: Option<Side> = Some(Side::Northbound);
    const SB: Option<Side> = Some(Side::Southbound);

    #[test]
    fn each_database_has_its_lines_and_files_can_be_rotated() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (nb, sb) = (folder.path().join("nb.log"), folder.path().join("sb.log"));
        let (logging, subscriber) = Logging::build(LevelFilter::OFF, LevelFilter::INFO, true);
        tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
            logging.open(NB, &nb)?;
            logging.open(SB, &sb)?;
            tracing::info!(db = "nb", rows = 3, "north");
            tracing::info!(db = "sb", "south");
            tracing::warn!("two\nlines");
            tracing::debug!("hidden");
            let control = logging.of_side(NB);
            assert_eq!(log_control::set(&control, "ovn_ic_db:file:dbg"), Ok(()));
            tracing::debug!("shown");
            fs::rename(&nb, folder.path().join("nb.log.1"))?;
            control.reopen().expect("a file")?;
            tracing::info!("after");
            logging.close(SB);
            tracing::info!("only north");
            Ok(())
        })?;
        let old = fs::read_to_string(folder.path().join("nb.log.1"))?;
        assert!(old.contains("|ovn_ic_db|INFO|north rows=3\n"), "{old}");
        assert!(old.contains("|WARN|two\\nlines\n"), "{old}");
        assert!(old.contains("shown") && !old.contains("south") && !old.contains("hidden"));
        let new = fs::read_to_string(&nb)?;
        assert_eq!(new.lines().count(), 3, "{new}");
        let south = fs::read_to_string(&sb)?;
        assert!(south.contains("south") && !south.contains("north") && !south.contains("shown"));
        Ok(())
    }

    #[test]
    fn without_sides_one_file_has_all() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("all.log");
        let (logging, subscriber) = Logging::build(LevelFilter::OFF, LevelFilter::INFO, false);
        assert!(logging.of_side(None).reopen().is_none());
        tracing::subscriber::with_default(subscriber, || -> io::Result<()> {
            logging.open(None, &path)?;
            tracing::info!(db = "nb", "north");
            tracing::info!(db = "sb", "south");
            Ok(())
        })?;
        let text = fs::read_to_string(&path)?;
        assert_eq!(text.lines().count(), 3, "{text}");
        let first = text.lines().next().unwrap_or_default();
        // 2026-01-31T12:00:00.123Z|00001|ovn_ic_db|INFO|opened log file ...
        let parts: Vec<&str> = first.splitn(5, '|').collect();
        assert_eq!((parts[0].len(), parts[1]), (24, "00001"), "{first}");
        Ok(())
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_does_not_matter() {
        let (logging, subscriber) = Logging::build(LevelFilter::OFF, LevelFilter::INFO, true);
        let nowhere = Path::new("/proc/no/such/folder/file.log");
        assert!(logging.open(NB, nowhere).is_err());
        tracing::subscriber::with_default(subscriber, || tracing::info!("goes on"));
        assert!(logging.reopen(NB).is_some_and(|result| result.is_err()));
    }
}
