//! One event as one line of JSON.

use serde_json::{Map, Value};
use tracing::Level;

use super::line::{Parts, clip, longest, now};

/// Members that every line may have; fields of these names give way.
const OWN: [&str; 5] = ["time", "level", "db", "module", "message"];

impl Parts {
    /// The line: an object whose members are in the order of [`OWN`], and then the
    /// event's fields.
    pub(super) fn json_line(&self, module: &str, level: Level) -> String {
        let mut line = String::with_capacity(256);
        line.push('{');
        let mut member = |name: &str, value: &Value| {
            if line.len() > 1 {
                line.push(',');
            }
            line.push_str(&Value::from(name).to_string());
            line.push(':');
            line.push_str(&value.to_string());
        };
        member("time", &now().into());
        member("level", &name(level).into());
        if let Some(db) = self.about.name() {
            member("db", &bounded(db, level));
        }
        member("module", &module.into());
        member("message", &bounded(&self.message, level));
        let mut fields = Map::new();
        for (name, value) in &self.fields {
            if !OWN.contains(name) {
                let value = match value {
                    Value::String(text) => bounded(text, level),
                    other => other.clone(),
                };
                fields.insert((*name).to_owned(), value);
            }
        }
        for (name, value) in &fields {
            member(name, value);
        }
        line.push('}');
        line
    }
}

fn bounded(text: &str, level: Level) -> Value {
    let mut text = text.to_owned();
    clip(&mut text, longest(level));
    Value::String(text)
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}
