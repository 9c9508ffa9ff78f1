//! The text of one event's line.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::schemas::Side;

/// The longest message of a line, in characters; of longer ones the beginning is written.
pub(super) const LONGEST: usize = 8000;
/// The same at level debug, where lines hold what clients have sent.
const LONGEST_DEBUG: usize = 65536;

/// The longest message at a level.
pub(super) fn longest(level: Level) -> usize {
    match level > Level::INFO {
        true => LONGEST_DEBUG,
        false => LONGEST,
    }
}

/// The event's parts that a line needs.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) message: String,
    /// The other fields, in their order.
    pub(super) fields: Vec<(&'static str, Value)>,
    pub(super) about: About,
    /// The text is another program's, word for word: it does not say whose it is.
    pub(super) as_it_is: bool,
}

/// Which database an event or a span is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    /// Whose file it goes to; `None` is both.
    pub(super) side: Option<Side>,
    /// The database's name where it is none of the two.
    pub(super) other: Option<String>,
}

impl About {
    /// The value of the field `db`: a side's short name, or a database's.
    fn set(&mut self, name: &str) {
        let named = |side: &Side| name == side.short() || name == side.database();
        self.side = Side::BOTH.into_iter().find(named);
        self.other = match self.side {
            Some(_) => None,
            None => Some(name.to_owned()),
        };
    }

    /// It says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.side.is_none() && self.other.is_none()
    }

    /// The name as a line has it.
    pub(super) fn name(&self) -> Option<&str> {
        let side = self.side.map(Side::short);
        side.or(self.other.as_deref())
    }
}

impl Parts {
    pub(super) fn of(event: &Event<'_>) -> Parts {
        let mut parts = Parts::default();
        event.record(&mut parts);
        // Changed rows are told as the replaced server does.
        parts.as_it_is = event.metadata().target() == "transaction";
        parts
    }

    /// A line's text for a reader who has both databases' lines: it says whose it is.
    pub(super) fn named_text(&self, longest: usize) -> String {
        let mut text = self.text(longest);
        if let Some(side) = self.about.side
            && !self.as_it_is
            && !self.message.starts_with(side.database())
        {
            text.push_str(" db=");
            text.push_str(side.short());
        }
        text
    }

    /// The message and the fields on one line, cut off after so many characters.
    pub(super) fn text(&self, longest: usize) -> String {
        let mut text = String::with_capacity(128);
        let mut push = |part: &str| push_on_one_line(&mut text, part);
        push(&self.message);
        if let Some(other) = &self.about.other
            && !self.as_it_is
            && !self.message.starts_with(other.as_str())
        {
            push(&format!(" db={other}"));
        }
        for (name, value) in &self.fields {
            match value {
                Value::String(value) => push(&format!(" {name}={value}")),
                value => push(&format!(" {name}={value}")),
            }
        }
        clip(&mut text, longest);
        text
    }
}

/// The time, in UTC with milliseconds (RFC 3339).
pub(super) fn now() -> String {
    let mut time = String::with_capacity(128);
    // Fails only where a clock does: the line is worth more.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    if let Some(point) = time.find('.') {
        time.truncate(point + 4);
        time.push('Z');
    }
    time
}

/// Cuts a text off after so many characters.
pub(super) fn clip(text: &mut String, longest: usize) {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push_str("...");
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

impl Parts {
    fn push(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name(), value));
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "db" => self.about.set(value),
            "message" => value.clone_into(&mut self.message),
            _ => self.push(field, value.into()),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Visit for About {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "db" {
            self.set(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
