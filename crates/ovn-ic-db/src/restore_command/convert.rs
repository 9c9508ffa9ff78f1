//! A copy's contents under the schema of the server that they go to.

use std::sync::Arc;

use anyhow::{Context, bail};
use ovsdb::{Schema, Uuid};
use ovsdb_engine::Version;
use ovsdb_engine::convert::convert;

/// The contents under that schema.
///
/// # Errors
/// If something in them would be lost, or is forbidden there.
pub fn under(copy: &Version, schema: &Arc<Schema>) -> anyhow::Result<Version> {
    if **copy.schema() == **schema {
        return Ok(copy.clone().with_schema(Arc::clone(schema)));
    }
    let (from, to) = (&copy.schema().version, &schema.version);
    let lost = lost(copy, schema);
    if !lost.is_empty() {
        bail!(
            "the server's schema {to} has no place for what the copy (schema {from}) holds: {}; start a server of a newer version",
            lost.join(", ")
        );
    }
    convert(copy, Arc::clone(schema), &mut Uuid::new_v4)
        .with_context(|| format!("the copy (schema {from}) does not fit the server's schema {to}"))
}

/// Tables and columns with contents that another schema does not have.
fn lost(copy: &Version, schema: &Schema) -> Vec<String> {
    let mut lost = Vec::new();
    for (id, table) in copy.schema().all_tables() {
        let rows = copy.table(id);
        let Some(other) = schema.find(&table.name) else {
            if !rows.is_empty() {
                lost.push(format!("{} rows of {}", rows.len(), table.name));
            }
            continue;
        };
        let other = schema.table(other);
        for (column, its) in table.own_columns() {
            if other.find(&its.name).is_some() {
                continue;
            }
            let default = its.column_type.default_datum();
            let set = rows.rows().filter(|row| *row.get(column) != default);
            let count = set.count();
            if count > 0 {
                lost.push(format!("{}.{} of {count} rows", table.name, its.name));
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use ovsdb::json::Document;
    use ovsdb_engine::record::{self, Strictness};

    use super::*;

    fn schema(version: &str, tables: &str) -> Arc<Schema> {
        let text = format!(r#"{{"name":"D","version":"{version}","tables":{{{tables}}}}}"#);
        Arc::new(Schema::from_text(text.as_bytes()).expect("a schema"))
    }

    fn rows(schema: &Arc<Schema>, text: &str) -> Version {
        let record = Document::parse(text).expect("JSON");
        let empty = Version::empty(Arc::clone(schema));
        let strictness = Strictness::Exact;
        let replayed = record::replay(empty, record.root(), strictness, &mut Uuid::new_v4);
        replayed.expect("rows").0
    }

    #[test]
    fn nothing_is_lost_without_a_word() {
        let wide = schema(
            "2.0.0",
            r#""T":{"columns":{"a":{"type":"string"},"b":{"type":"integer"}},"isRoot":true},
               "U":{"columns":{"c":{"type":"string"}},"isRoot":true}"#,
        );
        let narrow = schema(
            "1.0.0",
            r#""T":{"columns":{"a":{"type":"string"}},"isRoot":true}"#,
        );
        let id = "00000000-0000-4000-8000-000000000001";
        let fits = rows(&wide, &format!(r#"{{"T":{{"{id}":{{"a":"x"}}}}}}"#));
        let down = under(&fits, &narrow).expect("fits");
        assert_eq!(down.row_count(), 1);
        assert_eq!(under(&down, &wide).expect("fits").row_count(), 1);
        let too_much = rows(
            &wide,
            &format!(r#"{{"T":{{"{id}":{{"b":7}}}},"U":{{"{id}":{{}}}}}}"#),
        );
        let error = under(&too_much, &narrow).expect_err("lost").to_string();
        assert!(error.contains("T.b of 1 rows, 1 rows of U;"), "{error}");
        let forbidding = schema(
            "3.0.0",
            r#""T":{"columns":{"a":{"type":{"key":{"type":"string","enum":["set",["y",""]]}}},"b":{"type":"integer"}},"isRoot":true}"#,
        );
        let error = under(&fits, &forbidding).expect_err("forbidden");
        let error = format!("{error:#}");
        assert!(
            error.contains("does not fit the server's schema 3.0.0"),
            "{error}"
        );
    }
}
