//! One event as one line, in the shape that the replaced server's log files have.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::schemas::Side;

/// What a line is made of, in the notation of `vlog/list-pattern` (ovs-vswitchd(8)).
pub(super) const PATTERN: &str = "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c|%p|%m";

/// The event's parts that a line needs.
#[derive(Default)]
pub(super) struct Parts {
    message: String,
    fields: String,
    /// Whose file it goes to; `None` is both.
    pub(super) side: Option<Side>,
}

impl Parts {
    pub(super) fn of(event: &Event<'_>) -> Parts {
        let mut parts = Parts::default();
        event.record(&mut parts);
        parts
    }

    /// The line, with its end.
    pub(super) fn line(&self, number: u64, module: &str, level: Level) -> String {
        let mut line = String::with_capacity(128);
        // Writing into a String fails only where a clock does: the line is worth more.
        let _ = SystemTime.format_time(&mut Writer::new(&mut line));
        if let Some(point) = line.find('.') {
            line.truncate(point + 4);
            line.push('Z');
        }
        let _ = write!(line, "|{number:05}|{module}|{}|", name(level));
        push_on_one_line(&mut line, &self.message);
        push_on_one_line(&mut line, &self.fields);
        line.push('\n');
        line
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DBG",
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
