//! The program's log: lines for people on the console, in files and in the system's log.
//!
//! The convention for the rest of the program: an event that is about one
//! database has the field `db`, `"nb"` or `"sb"` or the database's name, or is
//! in a span ([`of_database`]) that has it, and goes to that database's file; an
//! event without it goes to all. The console gets all.
//!
//! An event's module is that of the code that logs it ([`modules`]), or the one that it names as
//! its target.

mod control;
mod flood;
mod json_line;
mod levels;
mod line;
mod modules;
mod pattern;
mod problem;
mod queue;
mod sinks;
mod syslog;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

pub use control::SideLog;
use line::{About, Parts};
use sinks::{Sinks, lock};
use syslog::{Method, Place, Sender};

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

/// The variable that names the way to the system's log where no option does.
const SYSLOG_METHOD: &str = "OVS_SYSLOG_METHOD";

/// The handle on the log: its levels, patterns and files can be changed at any time.
#[derive(Clone)]
pub struct Logging {
    sinks: Arc<Sinks>,
}

/// The program's log, once there is one.
static STARTED: OnceLock<Logging> = OnceLock::new();

/// Waits until what was logged is written, but not long for who does not read; false if the console's
/// lines are not. For who ends the process, or writes to the console by itself.
pub fn flush() -> bool {
    STARTED.get().is_none_or(|logging| logging.sinks.flush())
}

impl Logging {
    /// Starts to log to the console at `level`, in lines of that shape, for the whole program.
    /// `sides`: each database has a file of its own; otherwise the process stands in for the
    /// replaced server.
    /// An error says that something logs already.
    pub fn start(
        level: LevelFilter,
        shape: Shape,
        sides: bool,
    ) -> Result<Self, tracing::dispatcher::SetGlobalDefaultError> {
        let (logging, subscriber) = Self::build((level, level), shape, sides);
        tracing::subscriber::set_global_default(subscriber)?;
        // It is the first.
        let _ = STARTED.set(logging.clone());
        Ok(logging)
    }

    fn build(
        levels: (LevelFilter, LevelFilter),
        shape: Shape,
        sides: bool,
    ) -> (Self, impl Subscriber + Send + Sync) {
        let sinks = Arc::new(Sinks::new(levels, shape, sides));
        let subscriber = Registry::default().with(Lines(Arc::clone(&sinks)));
        (Logging { sinks }, subscriber)
    }

    /// From now on appends lines to this file as well: a database's, or, for `None`, all. An error
    /// is for a message only: the log goes on as it was, and [`Logging::reopen`] tries it again.
    pub fn open(&self, side: Option<Side>, path: &Path) -> io::Result<()> {
        let state = &self.sinks.file(side).state;
        let opened = append_to(path);
        let mut log = lock(state);
        log.path = Some(path.to_owned());
        let opened = opened?;
        let had = log.file.is_some();
        if log.file.as_ref().is_some_and(|old| is_same(old, &opened)) {
            return Ok(());
        }
        drop(log);
        let db = side.map(Side::short);
        if had {
            tracing::info!(db, "closing log file");
        }
        lock(state).file = Some(Arc::new(opened));
        tracing::info!(db, "opened log file {}", path.display());
        Ok(())
    }

    /// Opens the log file anew, after it was moved away by log rotation (`vlog/reopen`). `None` if
    /// there is none.
    pub fn reopen(&self, side: Option<Side>) -> Option<io::Result<()>> {
        // The path is taken first: the lock is held for no system call but the writes.
        let path = lock(&self.sinks.file(side).state).path.clone()?;
        Some(self.open(side, &path))
    }

    /// Opens all files anew, for a signal. What cannot be opened is said.
    pub fn reopen_all(&self) {
        for file in &self.sinks.files {
            if let Some(Err(error)) = self.reopen(file.side) {
                tracing::warn!("the log file cannot be opened again: {error}");
            }
            if file.side.is_none() {
                return;
            }
        }
    }

    /// Ends writing to the log file (`vlog/close`).
    pub fn close(&self, side: Option<Side>) {
        lock(&self.sinks.file(side).state).file = None;
    }

    /// Begins to send messages to the system's log, with the values of `--syslog-method` (or of
    /// the environment, or as the C library does) and `--syslog-target`.
    ///
    /// # Errors
    /// The reference's words, if there is no such method.
    pub fn open_syslog(&self, method: Option<&str>, target: Option<&str>) -> Result<(), String> {
        let set = std::env::var(SYSLOG_METHOD).ok();
        let set = set.filter(|method| !method.is_empty());
        let method = method.or(set.as_deref()).unwrap_or("libc");
        let method = Method::parse(method)?;
        let lost = match &method {
            Method::Lost(error) => Some(error.clone()),
            _ => None,
        };
        let address = target.map(|target| syslog::parse_address(target, None));
        let (target, wrong) = match address {
            None => (None, None),
            Some(Ok(address)) => (Some(Sender::new(Place::Udp(address))), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let deprecated = target.is_some();
        self.sinks.syslog.open(method, target);
        for error in [lost, wrong].into_iter().flatten() {
            tracing::error!(target: "socket_util", "{error}");
        }
        if deprecated {
            tracing::warn!("--syslog-target flag is deprecated, use --syslog-method instead");
        }
        Ok(())
    }

    /// Says which part of the program this process is, for lines (`%t`, `%T`): `monitor`.
    pub fn set_subprogram(&self, name: &'static str) {
        let subprogram = self.sinks.subprogram.write();
        *subprogram.unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// The handle of one side's control socket; `None` for a process that knows no sides.
    pub fn of_side(&self, side: Option<Side>) -> SideLog {
        SideLog::new(self.clone(), side)
    }

    /// True if an error is seen on the console.
    pub fn console_shows_errors(&self) -> bool {
        self.sinks.console.levels.admit(0, Level::ERROR)
    }

    /// Changes levels, and what is dropped before it gets here.
    fn set(&self, change: impl FnOnce(&Sinks)) {
        change(&self.sinks);
        tracing::callsite::rebuild_interest_cache();
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

fn is_same(one: &File, other: &File) -> bool {
    let place = |file: &File| file.metadata().map(|data| (data.dev(), data.ino())).ok();
    place(one).is_some_and(|one| Some(one) == place(other))
}

/// Makes a line of each event and puts it where it belongs.
struct Lines(Arc<Sinks>);

/// A span for work on one database: what is logged there, or with it as a parent, is about that one.
pub fn of_database(side: Side) -> tracing::Span {
    // Spans of this level are never left out.
    tracing::error_span!("database", db = side.short())
}

impl Lines {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let foreign = FOREIGN.iter().find(|(name, _)| target.starts_with(name));
        foreign.is_none_or(|(_, most)| metadata.level() <= most) && self.0.admit(metadata)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    // Asked once for each place in the code, and again when levels have changed.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.wants(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.highest())
    }

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
        let mut parts = Parts::of(event);
        if parts.about.is_empty()
            && let Some(mut scope) = context.event_scope(event)
            && let Some(about) = scope.find_map(|span| span.extensions().get::<About>().cloned())
        {
            parts.about = about;
        }
        self.0.take(&parts, event.metadata());
    }
}

#[cfg(test)]
mod tests;
