//! The transaction that makes a difference good.

use ovsdb::datum_print::Reals;
use ovsdb::json::write;
use ovsdb::{ColumnId, TableSchema, Uuid};
use ovsdb_engine::Row;
use serde_json::Value;

use super::difference::{Change, Difference};
use crate::client::Fetched;

/// The parameters of `transact`. It begins with a `wait` for each table, so that it fails if anything is
/// not as it was fetched, and is on the disk before it is answered. How many operations there are
/// for the guard is said, too.
pub fn params(fetched: &Fetched, difference: &Difference) -> (String, usize) {
    let schema = fetched.version.schema();
    let mut out = b"[".to_vec();
    write::string(&mut out, &schema.name);
    for (table, marks) in schema.tables.iter().zip(&fetched.marks) {
        guard(&mut out, table, marks);
    }
    for (table, uuid, change) in &difference.changes {
        operation(&mut out, schema.table(*table), uuid, change);
    }
    out.extend_from_slice(br#",{"op":"comment","comment":"ovn-ic-db restore"}"#);
    out.extend_from_slice(br#",{"op":"commit","durable":true}]"#);
    let text = String::from_utf8_lossy(&out).into_owned();
    (text, schema.tables.len())
}

/// A row's `_version` changes with the row, on one server.
fn guard(out: &mut Vec<u8>, table: &TableSchema, marks: &[(Uuid, Uuid)]) {
    out.extend_from_slice(br#",{"op":"wait","timeout":0,"until":"==","where":[],"table":"#);
    write::string(out, &table.name);
    out.extend_from_slice(br#","columns":["_uuid","_version"],"rows":["#);
    for (place, (uuid, version)) in marks.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"_uuid":["uuid","#);
        write::uuid(out, uuid);
        out.extend_from_slice(br#"],"_version":["uuid","#);
        write::uuid(out, version);
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
}

fn operation(out: &mut Vec<u8>, table: &TableSchema, uuid: &Uuid, change: &Change) {
    let name = match change {
        Change::Insert(_) => "insert",
        Change::Delete(_) => "delete",
        Change::Update { .. } => "update",
    };
    out.extend_from_slice(b",{\"op\":");
    write::string(out, name);
    out.extend_from_slice(b",\"table\":");
    write::string(out, &table.name);
    match change {
        Change::Insert(row) => {
            out.extend_from_slice(b",\"uuid\":");
            write::uuid(out, uuid);
            let default = |id: ColumnId| table.column(id).column_type.default_datum();
            let columns = table.own_columns().filter(|(_, column)| column.persistent);
            let set = columns.map(|(id, _)| id);
            let set = set.filter(|id| *row.get(*id) != default(*id));
            write_row(out, table, row, set);
        }
        Change::Delete(_) => write_where(out, uuid),
        Change::Update { new, columns, .. } => {
            write_where(out, uuid);
            write_row(out, table, new, columns.iter().copied());
        }
    }
    out.push(b'}');
}

fn write_where(out: &mut Vec<u8>, uuid: &Uuid) {
    out.extend_from_slice(br#","where":[["_uuid","==",["uuid","#);
    write::uuid(out, uuid);
    out.extend_from_slice(b"]]]");
}

fn write_row(
    out: &mut Vec<u8>,
    table: &TableSchema,
    row: &Row,
    columns: impl Iterator<Item = ColumnId>,
) {
    out.extend_from_slice(b",\"row\":{");
    for (place, id) in columns.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let column = table.column(id);
        write::string(out, &column.name);
        out.push(b':');
        row.get(id)
            .write_json(out, &column.column_type, Reals::Exact);
    }
    out.push(b'}');
}

/// How the server answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// Something was not as it was fetched; nothing has been done.
    Changed,
    /// It cannot be done; nothing has been done.
    Refused(String),
}

/// Reads the results of a transaction whose first operations are the guard.
pub fn answer(results: &[Value], guards: usize) -> Answer {
    let failed = results
        .iter()
        .position(|result| result["error"].is_string());
    let Some(place) = failed else {
        return Answer::Done;
    };
    let (tag, details) = (&results[place]["error"], &results[place]["details"]);
    if place < guards && tag == "timed out" {
        return Answer::Changed;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Answer::Refused(match details.is_string() {
        true => format!("{} ({})", text(details), text(tag)),
        false => text(tag),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let timed_out = json!({"error": "timed out", "details": "x"});
        for (results, expected) in [
            (json!([{}, {}, {"count": 1}]), Answer::Done),
            (json!([{}, timed_out, null]), Answer::Changed),
            (
                json!([{}, {}, timed_out]),
                Answer::Refused("x (timed out)".to_owned()),
            ),
            (
                json!([{}, {}, {}, {"error": "constraint violation"}]),
                Answer::Refused("constraint violation".to_owned()),
            ),
        ] {
            let results = results.as_array().expect("an array");
            assert_eq!(answer(results, 2), expected);
        }
    }
}
