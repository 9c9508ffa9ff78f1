//! The program's log: lines for people on the console and in files.
//!
//! The convention for the rest of the program: an event that is about one
//! database has the field `db`, `"nb"` or `"sb"` or the database's name, or is
//! in a span ([`of_database`]) that has it, and goes to that database's file; an
//! event without it goes to all. The console gets all.

mod control;
mod json_line;
mod levels;
mod line;
mod problem;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

pub use control::SideLog;
use levels::{Levels, MODULES, module_of};
use line::{About, Parts};
use problem::Problem;

use crate::schemas::Side;

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// For people, as the replaced server's.
    #[default]
    Text,
    /// For programs: a JSON object each.
    Json,
}

impl Shape {
    /// `text` or `json`.
    pub fn parse(text: &str) -> Option<Shape> {
        match text {
            "text" => Some(Shape::Text),
            "json" => Some(Shape::Json),
            _ => None,
        }
    }
}

/// What is looked at even where nobody logs it: problems, and the spans that events are in.
const ALWAYS: LevelFilter = LevelFilter::WARN;

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
    /// The last warning or error, in the file or not.
    problem: Option<Problem>,
}

/// The files' places: the first is the northbound's, and, in a process that knows no sides, the
/// only one.
struct Sinks {
    console: Mutex<Levels>,
    shape: Shape,
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
    /// Starts to log to the console at `level`, in lines of that shape, for the whole program.
    /// `sides`: each database has a file of its own.
    /// An error says that something logs already.
    pub fn start(
        level: LevelFilter,
        shape: Shape,
        sides: bool,
    ) -> Result<Self, tracing::dispatcher::SetGlobalDefaultError> {
        let (logging, subscriber) = Self::build((level, level), shape, sides);
        tracing::subscriber::set_global_default(subscriber)?;
        Ok(logging)
    }

    fn build(
        (console, files): (LevelFilter, LevelFilter),
        shape: Shape,
        sides: bool,
    ) -> (Self, impl Subscriber + Send + Sync) {
        let file = |side: Side| {
            let file = LogFile {
                path: None,
                file: None,
                levels: Levels::all(files),
                problem: None,
            };
            (sides.then_some(side), Mutex::new(file))
        };
        let sinks = Arc::new(Sinks {
            console: Mutex::new(Levels::all(console)),
            shape,
            files: Side::BOTH.map(file),
            lines: AtomicU64::new(1),
        });
        let (filter, highest) = reload::Layer::new(console.max(files).max(ALWAYS));
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
        let _ = self.highest.reload(highest.unwrap_or(ALWAYS).max(ALWAYS));
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

/// A span for work on one database: what is logged there, or with it as a parent, is about that one.
pub fn of_database(side: Side) -> tracing::Span {
    // Spans of this level are never left out.
    tracing::error_span!("database", db = side.short())
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut about = About::default();
        attributes.record(&mut about);
        if let Some(span) = context.span(id)
            && !about.is_empty()
        {
            span.extensions_mut().insert(about);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let sinks = &*self.0;
        let level = *event.metadata().level();
        let module = module_of(event.metadata());
        let mut parts = Parts::of(event);
        if parts.about.is_empty()
            && let Some(mut scope) = context.event_scope(event)
            && let Some(about) = scope.find_map(|span| span.extensions().get::<About>().cloned())
        {
            parts.about = about;
        }
        let mut number = None;
        let mut make = |named: bool| {
            if sinks.shape == Shape::Json {
                return parts.json_line(event.metadata().target(), level);
            }
            let number = *number.get_or_insert_with(|| sinks.lines.fetch_add(1, Ordering::Relaxed));
            match named {
                true => parts.named_line(number, MODULES[module], level),
                false => parts.line(number, MODULES[module], level),
            }
        };
        if lock(&sinks.console).admit(module, level) {
            let line = make(true);
            // A console that is gone must not stop the server.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        let mut line = None;
        for (side, log) in &sinks.files {
            let about = parts.about.side;
            if side.is_some() && about.is_some() && about != *side {
                continue;
            }
            let mut log = lock(log);
            if let Some(problem) = Problem::of(&parts, level) {
                log.problem = Some(problem);
            }
            if log.levels.admit(module, level)
                && let Some(file) = &mut log.file
            {
                let line = line.get_or_insert_with(|| make(false));
                // A full disk costs lines; the next one is tried again.
                let _ = file.write_all(line.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
