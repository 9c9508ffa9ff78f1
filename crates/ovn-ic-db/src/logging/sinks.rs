//! Where lines go: the console, the system's log, and a file for each side.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use jiff::Timestamp;
use ovsdb_server::log_control::Facility;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};

use super::flood::{Flood, Verdict};
use super::levels::{Levels, level_of};
use super::line::{Parts, longest};
use super::modules::{self, MODULES, module_of};
use super::pattern::{self, Facts, Pattern};
use super::problem::Problem;
use super::queue::{LineQueue, Place};
use super::syslog::{Method, Sender, TARGET};
use super::{ALWAYS, Shape};
use crate::schemas::Side;

/// How a destination's lines look.
pub(super) enum Format {
    Json,
    Pattern(Pattern),
}

impl Format {
    fn new(shape: Shape, pattern: &str) -> RwLock<Format> {
        RwLock::new(match shape {
            Shape::Json => Format::Json,
            Shape::Text => Format::Pattern(Pattern::parse(pattern)),
        })
    }

    /// From now on lines look like that.
    pub(super) fn set(format: &RwLock<Format>, pattern: &str) {
        let pattern = Format::Pattern(Pattern::parse(pattern));
        *format.write().unwrap_or_else(PoisonError::into_inner) = pattern;
    }
}

/// Standard error.
pub(super) struct Console {
    pub(super) levels: Levels,
    pub(super) format: RwLock<Format>,
    queue: LineQueue,
}

/// One side's file; in a process that knows no sides, the only one.
pub(super) struct FileSink {
    pub(super) side: Option<Side>,
    pub(super) levels: Levels,
    pub(super) format: RwLock<Format>,
    pub(super) state: Mutex<LogFile>,
    queue: LineQueue,
}

/// A log file: without a path there is none, without an open file it is closed for a while.
#[derive(Default)]
pub(super) struct LogFile {
    pub(super) path: Option<PathBuf>,
    pub(super) file: Option<Arc<File>>,
    /// The last warning or error, in the file or not.
    pub(super) problem: Option<Problem>,
}

/// The system's log, and a target beside it.
pub(super) struct Syslog {
    pub(super) levels: Levels,
    pub(super) format: RwLock<Format>,
    /// [`UNSET`], or a facility's number.
    facility: AtomicU8,
    outlet: RwLock<Outlet>,
}

const UNSET: u8 = u8::MAX;

struct Outlet {
    method: Method,
    sender: Option<Mutex<Sender>>,
    target: Option<(Pattern, Mutex<Sender>)>,
}

impl Syslog {
    fn new(level: LevelFilter) -> Syslog {
        Syslog {
            levels: Levels::all(level),
            format: Format::new(Shape::Text, pattern::SYSLOG),
            facility: AtomicU8::new(UNSET),
            outlet: RwLock::new(Outlet {
                method: Method::Null,
                sender: None,
                target: None,
            }),
        }
    }

    /// From now on messages go there.
    pub(super) fn open(&self, method: Method, target: Option<Sender>) {
        let mut outlet = self.outlet.write().unwrap_or_else(PoisonError::into_inner);
        *outlet = Outlet {
            sender: method.place().map(|place| Mutex::new(Sender::new(place))),
            method,
            target: target.map(|target| (Pattern::parse(TARGET), Mutex::new(target))),
        };
    }

    pub(super) fn set_facility(&self, facility: Facility) {
        self.facility.store(facility.number(), Ordering::Relaxed);
    }

    fn facility(&self) -> Option<Facility> {
        Facility::numbered(self.facility.load(Ordering::Relaxed))
    }

    pub(super) fn prefix(&self) -> &'static str {
        read(&self.outlet).method.prefix()
    }

    fn write(&self, facts: &Facts<'_>, text: &str) {
        let outlet = read(&self.outlet);
        if let Some(sender) = &outlet.sender {
            let line = match &*read(&self.format) {
                Format::Json => text.to_owned(),
                Format::Pattern(pattern) => pattern.line(facts, text),
            };
            for line in line.lines().filter(|line| !line.is_empty()) {
                lock(sender).send(&outlet.method.message(facts, line));
            }
        }
        if let Some((pattern, target)) = &outlet.target {
            lock(target).send(&pattern.line(facts, text));
        }
    }
}

/// All destinations, and what their lines have in common.
pub(super) struct Sinks {
    pub(super) console: Console,
    pub(super) syslog: Syslog,
    /// The first is the northbound's, or the only one.
    pub(super) files: [FileSink; 2],
    pub(super) flood: Flood,
    lines: AtomicU64,
    program: &'static str,
    pub(super) subprogram: RwLock<&'static str>,
    host: String,
    started: Instant,
    /// The module of what is no other's.
    own: usize,
}

impl Sinks {
    /// `sides`: each database has a file of its own; otherwise the process stands in for the
    /// replaced server.
    pub(super) fn new(
        (console, files): (LevelFilter, LevelFilter),
        shape: Shape,
        sides: bool,
    ) -> Sinks {
        let file = |side: Side| FileSink {
            side: sides.then_some(side),
            levels: Levels::all(files),
            format: Format::new(shape, pattern::FILE),
            state: Mutex::default(),
            queue: LineQueue::new(),
        };
        let (program, syslog) = match sides {
            true => ("ovn-ic-db", LevelFilter::OFF),
            false => ("ovsdb-server", console),
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
        Sinks {
            console: Console {
                levels: Levels::all(console),
                format: Format::new(shape, pattern::CONSOLE),
                queue: LineQueue::new(),
            },
            syslog: Syslog::new(syslog),
            files: Side::BOTH.map(file),
            flood: Flood::new(),
            lines: AtomicU64::new(1),
            program,
            subprogram: RwLock::new(""),
            host: host.unwrap_or_default().trim().to_owned(),
            started: Instant::now(),
            own: modules::own(!sides),
        }
    }

    pub(super) fn file(&self, side: Option<Side>) -> &FileSink {
        let [first, second] = &self.files;
        match side {
            None | Some(Side::Northbound) => first,
            Some(Side::Southbound) => second,
        }
    }

    /// The most that goes anywhere.
    pub(super) fn highest(&self) -> LevelFilter {
        let levels = self.all_levels().map(Levels::highest);
        levels.max().unwrap_or(ALWAYS).max(ALWAYS)
    }

    /// Whether an event goes somewhere.
    pub(super) fn admit(&self, metadata: &Metadata<'_>) -> bool {
        let level = *metadata.level();
        level <= ALWAYS || {
            let module = module_of(metadata, self.own);
            self.all_levels().any(|levels| levels.admit(module, level))
        }
    }

    fn all_levels(&self) -> impl Iterator<Item = &Levels> {
        let files = self.files.iter().map(|file| &file.levels);
        files.chain([&self.console.levels, &self.syslog.levels])
    }

    /// Puts an event where it belongs.
    pub(super) fn take(&self, parts: &Parts, metadata: &Metadata<'_>) {
        let module = module_of(metadata, self.own);
        self.keep_problem(parts, *metadata.level());
        self.tell_left_out(metadata, module);
        match self.flood.judge(metadata, module, Instant::now()) {
            Verdict::Drop => return,
            Verdict::After(message) => {
                let told = Parts {
                    message,
                    about: parts.about.clone(),
                    ..Parts::default()
                };
                self.write(&told, metadata, module);
            }
            Verdict::Write => {}
        }
        self.write(parts, metadata, module);
    }

    /// Says it where nobody reads, and in the other places, as soon as somebody does again.
    fn tell_left_out(&self, metadata: &Metadata<'_>, module: usize) {
        let files = self.files.iter().map(|file| (&file.queue, "log file"));
        for (queue, name) in files.chain([(&self.console.queue, "console")]) {
            if let Some(lines) = queue.left_out() {
                let told = Parts {
                    message: format!(
                        "{lines} lines for the {name} were left out, as nobody read it"
                    ),
                    ..Parts::default()
                };
                self.write(&told, metadata, module);
            }
        }
    }

    /// Waits until what was logged is written; false if the console's lines are not, as nobody reads them.
    pub(super) fn flush(&self) -> bool {
        for file in &self.files {
            file.queue.flush();
        }
        self.console.queue.flush()
    }

    /// The files that an event belongs into.
    fn files_of(&self, parts: &Parts) -> impl Iterator<Item = &FileSink> {
        let about = parts.about.side;
        let files = self.files.iter();
        files.filter(move |file| file.side.is_none() || about.is_none() || about == file.side)
    }

    fn keep_problem(&self, parts: &Parts, level: Level) {
        for file in self.files_of(parts) {
            if let Some(problem) = Problem::of(parts, level) {
                lock(&file.state).problem = Some(problem);
            }
        }
    }

    fn write(&self, parts: &Parts, metadata: &Metadata<'_>, module: usize) {
        let level = *metadata.level();
        let mut facts = None;
        let facts = &mut || -> Facts<'_> {
            let now = Timestamp::now();
            let (number, now) = *facts.get_or_insert_with(|| {
                let number = self.lines.fetch_add(1, Ordering::Relaxed);
                (number, now)
            });
            Facts {
                program: self.program,
                subprogram: *read(&self.subprogram),
                host: &self.host,
                facility: self.syslog.facility(),
                module: MODULES[module],
                level: level_of(level),
                number,
                now,
                age: self.started.elapsed().as_millis(),
            }
        };
        let line = |format: &RwLock<Format>, facts: &Facts<'_>, named: bool| {
            let mut line = match &*read(format) {
                Format::Json => parts.json_line(metadata.target(), level),
                Format::Pattern(pattern) => {
                    let text = match named {
                        true => parts.named_text(longest(level)),
                        false => parts.text(longest(level)),
                    };
                    pattern.line(facts, &text)
                }
            };
            line.push('\n');
            line
        };
        if self.console.levels.admit(module, level) {
            let line = line(&self.console.format, &facts(), true);
            let is_error = level == Level::ERROR;
            self.console.queue.put(&Place::Console, line, is_error);
        }
        if self.syslog.levels.admit(module, level) {
            let text = parts.named_text(longest(level));
            self.syslog.write(&facts(), &text);
        }
        for file in self.files_of(parts) {
            let open = lock(&file.state).file.clone();
            let Some(open) = open.filter(|_| file.levels.admit(module, level)) else {
                continue;
            };
            let line = line(&file.format, &facts(), false);
            let is_error = level == Level::ERROR;
            file.queue.put(&Place::File(open), line, is_error);
        }
    }
}

/// A panic in the middle of a line costs that line, not the log.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, of what is seldom changed.
pub(super) fn read<T>(place: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    place.read().unwrap_or_else(PoisonError::into_inner)
}
