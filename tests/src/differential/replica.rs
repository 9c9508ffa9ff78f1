//! What a client makes of the update notifications: the rows of each of its
//! monitors. Two servers that merge updates differently lead to the same rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema::Schema;

/// The rows of all monitors of one side's clients. Rows that a monitor does
/// not tell of at first start empty, the same on both sides.
#[derive(Debug, Default)]
pub struct Replicas {
    rows: BTreeMap<(usize, String, String, String), Map<String, Value>>,
}

impl Replicas {
    /// Applies the tables of one notification (or of a first answer) to the
    /// monitor `id` of a client.
    pub fn apply(&mut self, client: usize, id: &Value, tables: &Value, schema: &Schema) {
        for (table, rows) in tables.as_object().into_iter().flatten() {
            for (uuid, change) in rows.as_object().into_iter().flatten() {
                let key = (client, id.to_string(), table.clone(), uuid.clone());
                if change.get("delete").is_some()
                    || change.get("old").is_some() && change.get("new").is_none()
                {
                    self.rows.remove(&key);
                } else if let Some(modify) = change.get("modify") {
                    let row = self.rows.entry(key).or_default();
                    modify_row(row, table, modify, schema);
                } else {
                    let whole = ["new", "insert", "initial"]
                        .into_iter()
                        .find_map(|kind| change.get(kind)?.as_object());
                    self.rows.insert(key, whole.cloned().unwrap_or_default());
                }
            }
        }
    }

    /// Forgets what a client knew, when its connection ends.
    pub fn forget(&mut self, client: usize) {
        self.rows.retain(|(of, ..), _| *of != client);
    }

    /// All rows, without columns that have their type's default value (which
    /// some notifications leave out).
    #[must_use]
    pub fn view(&self, schema: &Schema) -> Value {
        self.rows
            .iter()
            .map(|((client, id, table, uuid), row)| {
                let row: Map<String, Value> = row
                    .iter()
                    .filter(|(column, value)| {
                        *column != "_version" && default(schema, table, column) != **value
                    })
                    .map(|(column, value)| (column.clone(), value.clone()))
                    .collect();
                json!([client, id, table, uuid, row])
            })
            .collect()
    }
}

fn default(schema: &Schema, table: &str, column: &str) -> Value {
    find(schema, table, column).map_or(Value::Null, |column| column.default_value())
}

fn find<'a>(schema: &'a Schema, table: &str, column: &str) -> Option<&'a super::schema::Column> {
    let columns = &schema.table(table)?.columns;
    columns.iter().find(|known| known.name == column)
}

fn modify_row(row: &mut Map<String, Value>, table: &str, modify: &Value, schema: &Schema) {
    for (name, change) in modify.as_object().into_iter().flatten() {
        let column = find(schema, table, name);
        let value = match column {
            Some(column) if !column.is_scalar() && !column.is_optional() => {
                let old = row.get(name).cloned();
                let old = old.unwrap_or_else(|| column.default_value());
                differ(&old, change, column.value.is_some())
            }
            _ => change.clone(),
        };
        row.insert(name.clone(), value);
    }
}

/// The value that differs from `old` in just what `change` holds.
pub(crate) fn differ(old: &Value, change: &Value, map: bool) -> Value {
    let mut elements = members(old);
    for item in members(change) {
        if let Some(place) = elements.iter().position(|known| *known == item) {
            elements.remove(place);
            continue;
        }
        if map {
            elements.retain(|known| known[0] != item[0]);
        }
        elements.push(item);
    }
    elements.sort_by_key(Value::to_string);
    match (&elements[..], map) {
        ([one], false) => one.clone(),
        (_, map) => json!([if map { "map" } else { "set" }, elements]),
    }
}

pub(crate) fn members(value: &Value) -> Vec<Value> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(tag), Value::Array(elements)]) if tag == "set" || tag == "map" => {
            elements.clone()
        }
        _ => vec![value.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_applied() {
        let set = json!(["set", [1, 2]]);
        assert_eq!(
            differ(&set, &json!(["set", [2, 3]]), false),
            json!(["set", [1, 3]])
        );
        assert_eq!(differ(&set, &json!(2), false), json!(1));
        let map = json!(["map", [["a", 1], ["b", 2]]]);
        let change = json!(["map", [["a", 1], ["b", 3]]]);
        assert_eq!(differ(&map, &change, true), json!(["map", [["b", 3]]]));
    }
}
