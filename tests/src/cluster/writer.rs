//! A client that writes over a raw connection, and notes what it is told.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::check::{NAME_PREFIX, Violation};
use super::diary::Diary;
use super::history::{Action, Contents, Outcome, Rows};
use super::session::Search;
use super::status::error_in;
use crate::client::Client;

/// The database's tables that rows and counters are in.
const NAMES: &str = "Availability_Zone";
const COUNTERS: &str = "Datapath_Binding";

/// Counters lie this far apart, as their values are a unique index.
const APART: i64 = 100_000;

/// Errors of a transaction that had no effect, by RFC 7047. Anything else that
/// goes wrong leaves the outcome open.
const DEFINITE: [&str; 6] = [
    "timed out",
    "aborted",
    "constraint violation",
    "referential integrity violation",
    "domain error",
    "range error",
];

/// A writer of the southbound database.
#[derive(Debug)]
pub struct Writer {
    /// Its name, in the history and in what it writes.
    pub name: String,
    /// Where it connects.
    pub search: Search,
    /// How long it rests after each transaction.
    pub rest: Duration,
    /// The counter that it alone adds to.
    pub own: String,
    /// The counter that all step.
    pub shared: String,
}

/// The operations that make a counter with this number, unlike all others.
#[must_use]
pub fn make_counter(name: &str, number: i64) -> Value {
    let base = (number + 1) * APART;
    json!({"op": "insert", "table": COUNTERS, "row": {"transit_switch": name,
        "tunnel_key": base, "external_ids": ["map", [["base", base.to_string()]]]}})
}

/// What the checker wants to know of a southbound database.
#[must_use]
pub fn contents(rows: &Rows) -> Contents {
    let mut contents = Contents::default();
    for ((table, _), row) in rows {
        if table == NAMES {
            let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
            *contents.names.entry(name.to_owned()).or_default() += 1;
        } else if table == COUNTERS
            && let Some((name, value, base)) = counter(row)
        {
            contents.counters.insert(name, value - base);
        }
    }
    contents
}

/// A counter's name, value and base.
fn counter(row: &serde_json::Map<String, Value>) -> Option<(String, i64, i64)> {
    let pairs = row.get("external_ids")?.get(1)?.as_array()?;
    let base = pairs.iter().find(|pair| pair[0] == "base")?;
    let base = base[1].as_str()?.parse().ok()?;
    let name = row.get("transit_switch")?.as_str()?.to_owned();
    Some((name, row.get("tunnel_key")?.as_i64()?, base))
}

impl Writer {
    /// Writes until the diary is closed, through any number of connections.
    pub fn write(mut self, diary: &Diary) {
        let mut number = 0;
        while diary.is_open() {
            if let Ok(mut client) = self.search.connect() {
                // Why it ended is in the history, if it matters.
                let _ = self.session(&mut client, &mut number, diary);
            }
            // Tries again as soon as a client that is in a hurry would.
            std::thread::sleep(self.rest.max(Duration::from_millis(5)));
        }
    }

    fn session(&self, client: &mut Client, number: &mut u64, diary: &Diary) -> Result<()> {
        while diary.is_open() {
            *number += 1;
            let (action, operations) = match *number % 8 {
                3 => self.add(),
                5 => self.step(client)?,
                _ => self.insert(*number),
            };
            let sent = diary.now();
            let reply = client.transact(self.search.side().database(), &operations);
            let broken = reply.is_err();
            let outcome = judge(reply);
            let done = outcome == Outcome::Done;
            diary.note(&self.name, action.clone(), sent, outcome);
            if broken {
                break;
            }
            if done && number.is_multiple_of(16) {
                self.read_own(client, &action, diary)?;
            }
            std::thread::sleep(self.rest);
        }
        Ok(())
    }

    fn insert(&self, number: u64) -> (Action, Vec<Value>) {
        let name = format!("{NAME_PREFIX}{}-{number}", self.name);
        let insert = json!({"op": "insert", "table": NAMES, "row": {"name": name}});
        (Action::Insert(name), vec![insert])
    }

    fn add(&self) -> (Action, Vec<Value>) {
        let mutate = json!({"op": "mutate", "table": COUNTERS,
            "where": [["transit_switch", "==", self.own]],
            "mutations": [["tunnel_key", "+=", 1]]});
        (Action::Add(self.own.clone()), vec![mutate])
    }

    /// Reads, as any client does, and writes if nobody was faster.
    fn step(&self, client: &mut Client) -> Result<(Action, Vec<Value>)> {
        let this = json!([["transit_switch", "==", self.shared]]);
        let select = json!({"op": "select", "table": COUNTERS, "where": this});
        let results = client.transact(self.search.side().database(), &[select])?;
        let row = results[0]["rows"][0].as_object();
        let (_, value, base) = row.and_then(counter).context("no counter yet")?;
        let wait = json!({"op": "wait", "table": COUNTERS, "where": this, "timeout": 0,
            "columns": ["tunnel_key"], "until": "==", "rows": [{"tunnel_key": value}]});
        let update = json!({"op": "update", "table": COUNTERS, "where": this,
            "row": {"tunnel_key": value + 1}});
        let action = Action::Step {
            counter: self.shared.clone(),
            from: value - base,
        };
        Ok((action, vec![wait, update]))
    }

    /// What was acknowledged on a connection is visible on it.
    fn read_own(&self, client: &mut Client, action: &Action, diary: &Diary) -> Result<()> {
        let Action::Insert(name) = action else {
            return Ok(());
        };
        let select = json!({"op": "select", "table": NAMES, "where": [["name", "==", name]]});
        let results = client.transact(self.search.side().database(), &[select])?;
        let rows = results[0]["rows"].as_array().context("rows")?;
        if rows.len() != 1 {
            let text = format!("{} does not see its own {name}: {rows:?}", self.name);
            diary.complain(Violation::Wrong(text));
        }
        Ok(())
    }
}

/// What a reply says about its transaction.
fn judge(reply: Result<Vec<Value>>) -> Outcome {
    match reply {
        Err(error) => Outcome::Unknown(format!("{error:#}")),
        Ok(results) => match error_in(&results) {
            None if results.iter().any(|result| result["count"] == 0) => {
                Outcome::Refused("no such row".into())
            }
            None => Outcome::Done,
            Some(error) if DEFINITE.contains(&error) => Outcome::Refused(error.to_owned()),
            Some(_) => Outcome::Unknown(format!("{results:?}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn replies_are_judged() {
        let judged = |results: Value| judge(Ok(results.as_array().cloned().unwrap()));
        assert_eq!(judged(json!([{"uuid": ["uuid", "x"]}])), Outcome::Done);
        assert_eq!(judged(json!([{}, {"count": 1}])), Outcome::Done);
        let refused = judged(json!([{"error": "timed out"}, null]));
        assert_eq!(refused, Outcome::Refused("timed out".into()));
        assert!(matches!(judged(json!([{"count": 0}])), Outcome::Refused(_)));
        let open = judged(json!([{"uuid": []}, {"error": "I/O error"}]));
        assert!(matches!(open, Outcome::Unknown(_)));
        assert!(matches!(judge(Err(anyhow!("x"))), Outcome::Unknown(_)));
    }

    #[test]
    fn contents_are_counted_from_their_base() {
        let row = |value: Value| value.as_object().cloned().unwrap();
        let key = |table: &str, uuid: &str| (table.to_owned(), uuid.to_owned());
        let rows = Rows::from([
            (key(NAMES, "a"), row(json!({"name": "row-1"}))),
            (key(NAMES, "b"), row(json!({"name": "row-1"}))),
            (
                key(COUNTERS, "c"),
                row(json!({"transit_switch": "x", "tunnel_key": 105,
                    "external_ids": ["map", [["base", "100"]]]})),
            ),
        ]);
        let contents = contents(&rows);
        assert_eq!(contents.names, [("row-1".into(), 2)].into());
        assert_eq!(contents.counters, [("x".into(), 5)].into());
    }
}
