//! All rows of a database in one comparable form, as a `select` gives them
//! and as a monitor's updates add up to them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::history::Rows;
use crate::client::Client;
use crate::differential::replica::{differ, members};

/// What has to be known of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    /// `None` for a scalar, otherwise whether it is a map.
    collection: Option<bool>,
    /// More than one element may be in it: updates then carry differences.
    many: bool,
    /// The value that updates leave out.
    default: Value,
}

/// The tables of a database with their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables(BTreeMap<String, BTreeMap<String, Column>>);

impl Tables {
    /// Asks a server.
    ///
    /// # Errors
    /// If it does not answer with a schema.
    pub fn ask(client: &mut Client, database: &str) -> Result<Self> {
        Self::of(&client.call("get_schema", json!([database]))?)
    }

    /// Of a schema as `get_schema` gives it.
    pub(super) fn of(schema: &Value) -> Result<Self> {
        let tables = schema["tables"].as_object().context("a schema's tables")?;
        let tables = tables.iter().map(|(name, table)| {
            let columns = table["columns"].as_object().context("a table's columns")?;
            let columns = columns
                .iter()
                .map(|(name, column)| (name.clone(), Column::of(&column["type"])));
            Ok((name.clone(), columns.collect()))
        });
        Ok(Self(tables.collect::<Result<_>>()?))
    }

    /// The requests of a monitor of everything.
    #[must_use]
    pub fn everything(&self) -> Value {
        self.0
            .keys()
            .map(|name| (name.clone(), json!([{}])))
            .collect()
    }

    /// Asks a member for all rows, in one transaction.
    ///
    /// # Errors
    /// If it does not answer with them.
    pub fn select(&self, client: &mut Client, database: &str) -> Result<Rows> {
        let operations: Vec<Value> = self
            .0
            .keys()
            .map(|table| json!({"op": "select", "table": table, "where": []}))
            .collect();
        let results = client.transact(database, &operations)?;
        let mut rows = Rows::new();
        for (table, result) in self.0.keys().zip(&results) {
            let list = result["rows"].as_array();
            for row in list.with_context(|| format!("{table}: {result}"))? {
                let mut row = row.as_object().context("a row")?.clone();
                let uuid = row.remove("_uuid").unwrap_or_default();
                let uuid = uuid[1].as_str().context("a UUID")?.to_owned();
                self.normalize(table, &mut row);
                rows.insert((table.clone(), uuid), row);
            }
        }
        Ok(rows)
    }

    /// Applies the tables of an `update2`, `update3` or first answer.
    ///
    /// # Errors
    /// If it inserts what is there, or changes or deletes what is not.
    pub fn apply(&self, rows: &mut Rows, update: &Value) -> Result<()> {
        for (table, changes) in update.as_object().into_iter().flatten() {
            for (uuid, change) in changes.as_object().into_iter().flatten() {
                let key = (table.clone(), uuid.clone());
                let change = change.as_object().context("a change")?;
                let Some((kind, value)) = change.iter().next() else {
                    bail!("an empty change of {key:?}");
                };
                match &kind[..] {
                    "initial" | "insert" => {
                        let mut row = value.as_object().cloned().unwrap_or_default();
                        self.normalize(table, &mut row);
                        let before = rows.insert(key.clone(), row);
                        ensure!(before.is_none(), "{kind} of {key:?}, which is there");
                    }
                    "delete" => {
                        let before = rows.remove(&key);
                        ensure!(before.is_some(), "delete of {key:?}, which is not there");
                    }
                    "modify" => {
                        let row = rows.get_mut(&key);
                        let row = row.with_context(|| format!("no {key:?} to modify: {value}"))?;
                        self.modify(table, row, value);
                    }
                    _ => bail!("{kind} of {key:?}"),
                }
            }
        }
        Ok(())
    }

    fn modify(&self, table: &str, row: &mut Map<String, Value>, change: &Value) {
        for (name, change) in change.as_object().into_iter().flatten() {
            let value = match self.column(table, name) {
                Some(column) if column.many => {
                    let old = row.get(name).unwrap_or(&column.default);
                    differ(old, change, column.collection == Some(true))
                }
                _ => change.clone(),
            };
            row.insert(name.clone(), value);
        }
        self.normalize(table, row);
    }

    /// Puts elements in order and leaves out what has its default value, and
    /// `_version`, which each server makes for itself.
    fn normalize(&self, table: &str, row: &mut Map<String, Value>) {
        row.remove("_version");
        let columns = std::mem::take(row);
        for (name, mut value) in columns {
            let Some(column) = self.column(table, &name) else {
                row.insert(name, value);
                continue;
            };
            if let Some(map) = column.collection {
                let mut elements = members(&value);
                elements.sort_by_key(Value::to_string);
                value = json!([if map { "map" } else { "set" }, elements]);
            }
            if value != column.default {
                row.insert(name, value);
            }
        }
    }

    fn column(&self, table: &str, name: &str) -> Option<&Column> {
        self.0.get(table)?.get(name)
    }
}

impl Column {
    /// Of a column's type as the schema has it (RFC 7047, section 3.2).
    fn of(kind: &Value) -> Self {
        let map = kind.get("value").is_some();
        let least = kind.get("min").and_then(Value::as_i64).unwrap_or(1);
        let most = kind.get("max").map_or(Some(1), Value::as_i64);
        if map || (least, most) != (1, Some(1)) {
            return Self {
                collection: Some(map),
                many: most != Some(1),
                default: json!([if map { "map" } else { "set" }, []]),
            };
        }
        let key = kind.get("key").unwrap_or(kind);
        let atom = key.get("type").unwrap_or(key).as_str();
        let default = match atom.unwrap_or_default() {
            "integer" => json!(0),
            "real" => json!(0.0),
            "boolean" => json!(false),
            "uuid" => json!(["uuid", "00000000-0000-0000-0000-000000000000"]),
            _ => json!(""),
        };
        Self {
            collection: None,
            many: false,
            default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        let schema = json!({"tables": {"t": {"columns": {
            "s": {"type": "string"},
            "i": {"type": {"key": {"type": "integer", "minInteger": 1}}},
            "o": {"type": {"key": "integer", "min": 0}},
            "l": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
            "m": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        }}}});
        Tables::of(&schema).unwrap()
    }

    #[test]
    fn updates_add_up_to_the_contents() {
        let (tables, mut rows) = (tables(), Rows::new());
        let updates = [
            json!({"t": {"u": {"initial": {"s": "a", "i": 1, "l": 7, "m": ["map", [["k", "v"]]]}}}}),
            json!({"t": {"w": {"insert": {"i": 2}}, "x": {"insert": {"i": 3}}}}),
            json!({"t": {"u": {"modify": {"s": "", "o": 4, "l": ["set", [7, 9, 8]],
                "m": ["map", [["k", "v"], ["n", "v"]]]}}}}),
            json!({"t": {"x": {"delete": null}, "u": {"modify": {"o": ["set", []]}}}}),
        ];
        for update in &updates {
            tables.apply(&mut rows, update).unwrap();
        }
        let row = |value: Value| value.as_object().cloned().unwrap();
        let key = |uuid: &str| ("t".to_owned(), uuid.to_owned());
        let expected = Rows::from([
            (
                key("u"),
                row(json!({"i": 1, "l": ["set", [8, 9]], "m": ["map", [["n", "v"]]]})),
            ),
            (key("w"), row(json!({"i": 2}))),
        ]);
        assert_eq!(rows, expected);
    }

    #[test]
    fn impossible_updates_are_refused() {
        let tables = tables();
        for (update, text) in [
            (json!({"t": {"u": {"insert": {}}}}), "which is there"),
            (json!({"t": {"w": {"delete": null}}}), "which is not there"),
            (json!({"t": {"w": {"modify": {"i": 3}}}}), "to modify"),
            (json!({"t": {"w": {}}}), "empty"),
        ] {
            let mut rows = Rows::from([(("t".into(), "u".into()), Map::new())]);
            let error = tables.apply(&mut rows, &update).unwrap_err();
            assert!(format!("{error:#}").contains(text), "{error:#}");
        }
    }
}
