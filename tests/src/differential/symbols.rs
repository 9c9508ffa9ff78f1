//! Random UUIDs replaced by names that mean the same on both servers, so that
//! their messages can be compared.

use std::collections::HashMap;

use serde_json::{Map, Value};
use uuid::Uuid;

/// The length of a UUID as text.
const LENGTH: usize = 36;

/// The UUIDs of one server that have a name, both ways.
#[derive(Debug, Default)]
pub struct Symbols {
    by_uuid: HashMap<String, String>,
    by_name: HashMap<String, String>,
}

impl Symbols {
    /// Names the rows that a `transact` reply says were inserted
    /// `<STEP.INDEX>`, by their place in the reply.
    pub fn learn(&mut self, step: usize, reply: &Value) {
        let results = reply["result"].as_array().map_or(&[][..], Vec::as_slice);
        for (index, result) in results.iter().enumerate() {
            if let Some(uuid) = result["uuid"][1].as_str() {
                let name = format!("<{step}.{index}>");
                self.by_uuid.insert(uuid.into(), name.clone());
                self.by_name.insert(name, uuid.into());
            }
        }
    }

    /// Gives a UUID a name that requests cannot use.
    pub fn name(&mut self, uuid: &str, name: String) {
        self.by_uuid.insert(uuid.to_owned(), name);
    }

    /// Replaces every `<STEP.INDEX>` by this server's UUID. A name that stands
    /// for nothing becomes a UUID of no row, the same on both servers.
    #[must_use]
    pub fn resolve(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            out.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('>') else {
                rest = &rest[start..];
                break;
            };
            let name = &rest[start..=start + length];
            if name[1..name.len() - 1]
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
                && name.len() > 2
            {
                match self.by_name.get(name) {
                    Some(uuid) => out.push_str(uuid),
                    None => out
                        .push_str(&Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()),
                }
                rest = &rest[start + length + 1..];
            } else {
                out.push('<');
                rest = &rest[start + 1..];
            }
        }
        out.push_str(rest);
        out
    }

    /// The message with names for UUIDs, and in one order where the protocol
    /// gives none: rows of a select, and sets and maps that hold UUIDs (the
    /// reference orders those by UUID). `_version` and UUIDs without a name are
    /// random and become `<?>`.
    #[must_use]
    pub fn canonical(&self, message: &Value) -> Value {
        match message {
            Value::String(text) => Value::String(self.name_all(text)),
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| self.canonical(item)).collect();
                if let [Value::String(tag), Value::Array(elements)] = &mut items[..]
                    && (tag == "set" || tag == "map")
                    && elements
                        .iter()
                        .any(|element| element.to_string().contains("\"uuid\""))
                {
                    elements.sort_by_key(Value::to_string);
                }
                Value::Array(items)
            }
            Value::Object(members) => {
                let mut named = Map::new();
                for (key, value) in members {
                    let mut value = self.canonical(value);
                    if key == "rows"
                        && let Value::Array(rows) = &mut value
                    {
                        rows.sort_by_key(Value::to_string);
                    }
                    named.insert(self.name_all(key), value);
                }
                Value::Object(named)
            }
            other => other.clone(),
        }
    }

    fn name_all(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(candidate) = rest.get(..LENGTH)
                && candidate.as_bytes()[8] == b'-'
                && Uuid::try_parse(candidate).is_ok()
            {
                match self.by_uuid.get(candidate) {
                    Some(name) => out.push_str(name),
                    None if candidate.starts_with("00000000-0000-0000") => out.push_str(candidate),
                    None => out.push_str("<?>"),
                }
                rest = &rest[LENGTH..];
            } else if let Some(first) = rest.chars().next() {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }
}
