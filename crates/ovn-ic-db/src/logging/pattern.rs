//! What a line is made of, as `vlog/set PATTERN:...` says it (ovs-appctl(8)).

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ovsdb_server::log_control::{Facility, Level};

/// What the replaced server's system log gets.
pub(super) const SYSLOG: &str = "ovs|%05N|%c%T|%p|%m";
/// What its console gets.
pub(super) const CONSOLE: &str = "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m";
/// What its files get.
pub(super) const FILE: &str = "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m";

/// A time's shape where the pattern does not say it.
const TIME: &str = "%Y-%m-%d %H:%M:%S.###";
/// No part is made longer than that.
const WIDEST: usize = 1000;

/// A pattern, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Value {
        value: Value,
        /// At least so many characters.
        width: usize,
        /// What is missing is put behind it.
        left: bool,
        /// It is zeros instead of spaces.
        zeros: bool,
    },
}

#[derive(Debug, Clone)]
enum Value {
    Program,
    Priority,
    Module,
    Time { utc: bool, shape: String },
    Host,
    Message,
    Number,
    LineEnd,
    Level,
    Process,
    Age,
    Thread,
    ThreadIfNotMain,
    Itself(char),
}

/// What there is to say of one event.
pub(super) struct Facts<'a> {
    pub(super) program: &'a str,
    /// The part of the program, where it is not the main one.
    pub(super) subprogram: &'a str,
    pub(super) host: &'a str,
    pub(super) facility: Option<Facility>,
    pub(super) module: &'a str,
    pub(super) level: Level,
    pub(super) number: u64,
    pub(super) now: Timestamp,
    /// How long the program runs, in milliseconds.
    pub(super) age: u128,
}

impl Pattern {
    /// Every text is a pattern.
    pub(super) fn parse(text: &str) -> Pattern {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (plain, conversion) = rest.split_once('%').unwrap_or((rest, ""));
            let mut plain = plain.to_owned();
            let (part, after) = conversion_of(conversion);
            if part.is_none() && plain.len() < rest.len() {
                // The last character is a `%`.
                plain.push('%');
            }
            if !plain.is_empty() {
                parts.push(Part::Text(plain));
            }
            parts.extend(part);
            rest = after;
        }
        let text = text.to_owned();
        Pattern { text, parts }
    }

    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// One event's line, without its end.
    pub(super) fn line(&self, facts: &Facts<'_>, message: &str) -> String {
        let mut line = String::with_capacity(message.len() + 96);
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Value {
                    value,
                    width,
                    left,
                    zeros,
                } => {
                    let begin = line.len();
                    value.put(&mut line, facts, message);
                    if *width > 0 {
                        let length = line[begin..].chars().count();
                        let pad = if *zeros { "0" } else { " " };
                        let pad = pad.repeat(width.saturating_sub(length));
                        let at = if *left { line.len() } else { begin };
                        line.insert_str(at, &pad);
                    }
                }
            }
        }
        line
    }
}

/// What stands behind a `%`, and the text behind that; nothing if there is nothing.
fn conversion_of(text: &str) -> (Option<Part>, &str) {
    let (left, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (zeros, text) = match text.strip_prefix('0') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    // Too many digits are too wide, too.
    let width = text[..digits]
        .parse()
        .unwrap_or(WIDEST * usize::from(digits > 0));
    let text = &text[digits..];
    let mut characters = text.chars();
    let Some(letter) = characters.next() else {
        return (None, "");
    };
    let text = characters.as_str();
    let (value, text) = match letter {
        'A' => (Value::Program, text),
        'B' => (Value::Priority, text),
        'c' => (Value::Module, braces(text).1),
        'd' | 'D' => {
            let (shape, text) = braces(text);
            let shape = shape.unwrap_or(TIME).to_owned();
            let utc = letter == 'D';
            (Value::Time { utc, shape }, text)
        }
        'E' => (Value::Host, text),
        'm' => (Value::Message, text),
        'N' => (Value::Number, text),
        'n' => (Value::LineEnd, text),
        'p' => (Value::Level, text),
        'P' => (Value::Process, text),
        'r' => (Value::Age, text),
        't' => (Value::Thread, text),
        'T' => (Value::ThreadIfNotMain, text),
        other => (Value::Itself(other), text),
    };
    let part = Part::Value {
        value,
        width: width.min(WIDEST),
        left,
        zeros,
    };
    (Some(part), text)
}

/// What is in braces at the text's beginning, and what comes behind them.
fn braces(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix('{') {
        Some(inner) => {
            let (inside, rest) = inner.split_once('}').unwrap_or((inner, ""));
            (Some(inside), rest)
        }
        None => (None, text),
    }
}

impl Value {
    fn put(&self, line: &mut String, facts: &Facts<'_>, message: &str) {
        // Strings take all that is written.
        let _ = match self {
            Value::Program => line.write_str(facts.program),
            Value::Priority => {
                let facility = facts.facility.unwrap_or(Facility::LOCAL0);
                write!(line, "{}", facility.priority(facts.level))
            }
            Value::Module => line.write_str(facts.module),
            Value::Time { utc, shape } => line.write_str(&time(facts.now, *utc, shape)),
            Value::Host => line.write_str(facts.host),
            Value::Message => line.write_str(message.trim_end_matches('\n')),
            Value::Number => write!(line, "{}", facts.number),
            Value::LineEnd => line.write_char('\n'),
            Value::Level => line.write_str(facts.level.name()),
            Value::Process => write!(line, "{}", std::process::id()),
            Value::Age => write!(line, "{}", facts.age),
            Value::Thread => line.write_str(match facts.subprogram {
                "" => "main",
                name => name,
            }),
            Value::ThreadIfNotMain => match facts.subprogram {
                "" => Ok(()),
                name => write!(line, "({name})"),
            },
            Value::Itself(c) => line.write_char(*c),
        };
    }
}

/// A time in the notation of strftime(3), with `#` for digits of a second's fraction. A notation
/// that is none stands for itself.
pub(super) fn time(now: Timestamp, utc: bool, shape: &str) -> String {
    let zone = if utc {
        TimeZone::UTC
    } else {
        TimeZone::system()
    };
    let shown = jiff::fmt::strtime::format(shape, &now.to_zoned(zone));
    let text = shown.unwrap_or_else(|_| shape.to_owned());
    let Some(begin) = text.find('#') else {
        return text;
    };
    let places = text[begin..].len() - text[begin..].trim_start_matches('#').len();
    let millis = now.as_millisecond().rem_euclid(1000);
    let mut digits = format!("{millis:03}");
    digits.truncate(places);
    let digits = format!("{digits:0<places$}");
    format!("{}{digits}{}", &text[..begin], &text[begin + places..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pattern: &str) -> String {
        let facts = Facts {
            program: "program",
            subprogram: "",
            host: "host",
            facility: None,
            module: "module",
            level: Level::Warning,
            number: 7,
            now: Timestamp::from_millisecond(1_767_225_600_045).expect("a time"),
            age: 5,
        };
        Pattern::parse(pattern).line(&facts, "message\n")
    }

    #[test]
    fn patterns_are_those_of_the_reference() {
        for (pattern, expected) in [
            ("%p|%m", "WARN|message"),
            (FILE, "2026-01-01T00:00:00.045Z|00007|module|WARN|message"),
            (CONSOLE, "2026-01-01T00:00:00Z|00007|module|WARN|message"),
            (SYSLOG, "ovs|00007|module|WARN|message"),
            ("%D", "2026-01-01 00:00:00.045"),
            ("%D{%H:%M:%S.#####}", "00:00:00.04500"),
            ("%D{%H", "00"),
            ("%D{%!}", "%!"),
            ("%A %B %c{x}%E %n%r", "program 132 modulehost \n5"),
            ("[%-8p|%8p|%-08p|%2p]", "[WARN    |    WARN|WARN0000|WARN]"),
            ("%t%T%%%z%", "main%z%"),
            ("%", "%"),
            ("", ""),
            ("%-", "%"),
        ] {
            assert_eq!(line(pattern), expected, "{pattern}");
        }
        let long = line("%99999999999999999999999999p");
        assert_eq!(long.len(), WIDEST);
        assert_eq!(line("%P"), std::process::id().to_string());
    }

    #[test]
    fn a_part_of_the_program_is_named() {
        let facts = Facts {
            program: "",
            subprogram: "monitor",
            host: "",
            facility: Some(Facility::DAEMON),
            module: "",
            level: Level::Error,
            number: 0,
            now: Timestamp::UNIX_EPOCH,
            age: 0,
        };
        let shown = Pattern::parse("%t|%T|%B").line(&facts, "");
        assert_eq!(shown, "monitor|(monitor)|27");
    }
}
