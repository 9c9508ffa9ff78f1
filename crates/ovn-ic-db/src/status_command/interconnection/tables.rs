//! Rows as `select` gives them, of tables and columns that a schema may lack.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The tables and columns that are asked for, where the schema has them.
pub const NORTHBOUND: &[(&str, &[&str])] = &[
    ("Transit_Switch", &["name"]),
    ("Transit_Switch_Port", &["name", "chassis"]),
    ("Transit_Router", &["name"]),
    ("Transit_Router_Port", &["name", "chassis"]),
];
/// The same of the southbound.
pub const SOUTHBOUND: &[(&str, &[&str])] = &[
    ("Availability_Zone", &["_uuid", "name"]),
    (
        "Gateway",
        &["name", "availability_zone", "hostname", "encaps"],
    ),
    ("Encap", &["_uuid", "type", "ip"]),
    (
        "Datapath_Binding",
        &["transit_switch", "type", "tunnel_key"],
    ),
    (
        "Port_Binding",
        &[
            "logical_port",
            "transit_switch",
            "availability_zone",
            "tunnel_key",
            "gateway",
            "address",
            "type",
        ],
    ),
    (
        "Route",
        &[
            "transit_switch",
            "availability_zone",
            "route_table",
            "ip_prefix",
            "nexthop",
            "origin",
        ],
    ),
];

/// One database's rows, and the server that they are from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Where they were read.
    pub remote: String,
    /// The rows.
    pub tables: Tables,
}

/// Rows by table. A table that the schema lacks has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables(BTreeMap<&'static str, Vec<Row>>);

/// A row. A column that the schema lacks has no value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row(Map<String, Value>);

/// A `select` for each of the tables that the schema (as `get_schema` gives it) has, of the columns
/// that it has there.
pub fn selects(
    wanted: &'static [(&'static str, &'static [&'static str])],
    schema: &Value,
) -> Vec<(&'static str, Value)> {
    let mut selects = Vec::new();
    for (table, columns) in wanted {
        let known = &schema["tables"][table]["columns"];
        if known.is_object() {
            // Every row has an id, which no schema lists.
            let columns: Vec<&&str> = columns
                .iter()
                .filter(|column| **column == "_uuid" || known.get(column).is_some())
                .collect();
            let select = json!({"op": "select", "table": table, "where": [], "columns": columns});
            selects.push((*table, select));
        }
    }
    selects
}

impl Tables {
    /// Reads what the selects of these tables have given.
    ///
    /// # Errors
    /// What the server says instead of rows.
    pub fn read(tables: &[&'static str], results: Vec<Value>) -> Result<Tables, String> {
        let mut read = BTreeMap::new();
        let mut results = results.into_iter();
        for table in tables {
            let mut result = results.next().unwrap_or_default();
            let Value::Array(rows) = result["rows"].take() else {
                return Err(format!("{table}: {result}"));
            };
            let rows = rows.into_iter().filter_map(|row| match row {
                Value::Object(columns) => Some(Row(columns)),
                _ => None,
            });
            read.insert(*table, rows.collect());
        }
        Ok(Tables(read))
    }

    /// A table's rows.
    pub fn rows(&self, table: &str) -> &[Row] {
        self.0.get(table).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Row {
    /// A column of one text or of none at most.
    pub fn optional(&self, column: &str) -> Option<&str> {
        match elements(self.0.get(column)?).first()? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A column's text, empty if there is none.
    pub fn text(&self, column: &str) -> &str {
        self.optional(column).unwrap_or_default()
    }

    /// A column's number.
    pub fn integer(&self, column: &str) -> Option<i64> {
        elements(self.0.get(column)?).first()?.as_i64()
    }

    /// The ids in a column.
    pub fn ids(&self, column: &str) -> impl Iterator<Item = &str> {
        let values = self.0.get(column).map(elements).unwrap_or_default();
        values.iter().filter_map(|value| match value {
            Value::Array(pair) if pair.first()?.as_str()? == "uuid" => pair.get(1)?.as_str(),
            _ => None,
        })
    }
}

/// The values in a column: several are `["set", [...]]` (RFC 7047 section 5.1).
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(pair) if pair.first().is_some_and(|tag| tag == "set") => pair
            .get(1)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice),
        one => std::slice::from_ref(one),
    }
}
