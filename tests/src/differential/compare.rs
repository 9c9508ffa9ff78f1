//! What a client received, in a form that is the same for two servers that
//! mean the same.

use serde_json::{Value, json};

use super::known;
use super::requests::CLIENTS;
use super::side::{Side, closed};

/// How exactly a step is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Without update notifications: the reference may have merged those of
    /// several commits. The clients' replicas are compared instead.
    pub merged: bool,
    /// With [`known::without_member_order`].
    pub any_member_order: bool,
}

/// All that the clients of a side received in this step.
#[must_use]
pub fn normal(side: &Side, rule: Rule) -> [Value; CLIENTS] {
    std::array::from_fn(|client| {
        // Whether a last notification is sent before a connection is closed
        // is nobody's business, nor who has a lock for that moment.
        let received = &side.received[client];
        let ends = received.contains(&closed());
        let mut messages: Vec<Value> = received
            .iter()
            .filter_map(|message| one(side, message))
            .filter(|message| !ends || message.get("method").is_none())
            .filter(|message| !rule.merged || !is_update(message))
            .collect();
        if rule.any_member_order {
            for message in &mut messages {
                if message.get("method").is_none()
                    && let Some(request) = side.request(message)
                {
                    known::without_member_order(request, message);
                }
            }
        }
        // A conversion ends others' connections and cancels waits; which of their locks come free
        // before or after that is chance.
        if messages
            .iter()
            .any(|message| message["error"] == "canceled")
        {
            messages.sort_by_key(|message| message["method"] == "locked");
        }
        sort_runs(&mut messages);
        // Where several clients are cut off at once, one that stays may get and
        // lose a lock a few times.
        messages.dedup_by(|next, before| next["method"] == "locked" && next == before);
        Value::Array(messages)
    })
}

/// Whether it is an update notification of any kind.
#[must_use]
pub fn is_update(message: &Value) -> bool {
    message["method"]
        .as_str()
        .is_some_and(|method| method.starts_with("update"))
}

/// The tables of an update notification.
#[must_use]
pub fn tables(update: &Value) -> &Value {
    let last = update["params"].as_array().and_then(|params| params.last());
    last.unwrap_or(&Value::Null)
}

/// The canonical form of one message; `None` for an update of nothing.
pub fn one(side: &Side, message: &Value) -> Option<Value> {
    let mut message = side.symbols.canonical(message);
    schemas_as_json(&mut message, side.converted);
    if is_update(&message) {
        return changed_rows(message);
    }
    let Some(members) = message.as_object_mut() else {
        return Some(message);
    };
    if !members.contains_key("method") {
        // In 3.1 an error comes without a result.
        members.entry("result").or_insert(Value::Null);
        let request = side.request(&message).unwrap_or(&Value::Null);
        match request["method"].as_str() {
            Some("transact") => known::without_chance(&request["params"], &mut message),
            Some("convert") => known::without_rows(&mut message),
            Some("list_dbs") => {
                if let Some(names) = message["result"].as_array_mut() {
                    names.sort_by_key(Value::to_string);
                }
            }
            _ => {}
        }
    }
    Some(message)
}

/// An update without the rows that did not change.
fn changed_rows(mut update: Value) -> Option<Value> {
    let tables = update["params"].as_array_mut()?.last_mut()?;
    let tables = tables.as_object_mut()?;
    for rows in tables.values_mut() {
        if let Some(rows) = rows.as_object_mut() {
            rows.retain(|_, row| !known::is_no_change(row));
        }
    }
    tables.retain(|_, rows| rows.as_object().is_some_and(|rows| !rows.is_empty()));
    if tables.is_empty() {
        return None;
    }
    Some(update)
}

/// The `schema` column of `_Server` holds text whose spacing is nobody's business.
/// After a conversion it is left out: 3.1 leaves the old one there.
fn schemas_as_json(value: &mut Value, converted: bool) {
    match value {
        Value::Array(items) => {
            for item in items {
                schemas_as_json(item, converted);
            }
        }
        Value::Object(members) => {
            if converted && members.get("schema").is_some_and(Value::is_string) {
                members.remove("schema");
            }
            for (name, member) in members {
                if name == "schema"
                    && let Value::String(text) = member
                    && let Ok(parsed) = serde_json::from_str(text)
                {
                    *member = parsed;
                } else {
                    schemas_as_json(member, converted);
                }
            }
        }
        _ => {}
    }
}

/// The reference goes through a client's monitors and locks in the order of
/// its hash tables, and through its waiting transactions as well: neighbours of one kind are put in
/// the order of their ids.
fn sort_runs(messages: &mut [Value]) {
    let kind = |message: &Value| match message["method"].as_str() {
        Some("update" | "update2" | "update3") => Some("update".to_owned()),
        Some(method) => Some(method.to_owned()),
        None if message["error"] == "canceled" => Some("canceled".to_owned()),
        None => None,
    };
    let mut start = 0;
    while start < messages.len() {
        let of = kind(&messages[start]);
        let length = messages[start..]
            .iter()
            .take_while(|message| kind(message) == of)
            .count();
        if of.is_some() {
            messages[start..start + length].sort_by_key(|message| {
                (message["params"][0].to_string(), message["id"].to_string())
            });
        }
        start += length;
    }
}

/// A short text of the messages that differ, client by client.
#[must_use]
pub fn differing(answers: [&[Value]; 2]) -> String {
    let mut text = String::new();
    for (client, (first, second)) in answers[0].iter().zip(answers[1]).enumerate() {
        if first == second {
            continue;
        }
        text.push_str(&format!("client {client}:\n"));
        for (name, messages) in [("first ", first), ("second", second)] {
            let none = vec![json!("nothing")];
            let list = messages.as_array().filter(|list| !list.is_empty());
            for message in list.unwrap_or(&none) {
                text.push_str(&format!("  {name} {message}\n"));
            }
        }
    }
    text
}
