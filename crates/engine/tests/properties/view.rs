//! What a client makes of what it is told.

use std::collections::BTreeMap;

use ovsdb::json::{Document, Json};
use ovsdb::{ColumnId, Datum, Schema, TableSchema};

/// What a client knows of a table's rows: columns as canonical text of their values.
pub(crate) type View = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

fn text(json: Json<'_>) -> String {
    json.string().expect("string").into_owned()
}

/// What a client makes of `<table-updates>`, knowing what it knew.
pub(crate) fn follow(view: &mut View, updates: &[u8], schema: &Schema) {
    let document = Document::parse(updates.to_vec()).expect("JSON");
    for (table, rows) in document.root().members() {
        let table_schema = schema.table(schema.find(&text(table)).expect("table"));
        let known = view.entry(text(table)).or_default();
        for (uuid, row) in rows.members() {
            follow_row(known, text(uuid), row, table_schema);
        }
    }
    view.retain(|_, rows| !rows.is_empty());
}

fn follow_row(
    known: &mut BTreeMap<String, BTreeMap<String, String>>,
    uuid: String,
    row: Json<'_>,
    schema: &TableSchema,
) {
    let column_type = |name: &str| {
        &schema
            .column(schema.find(name).expect("column"))
            .column_type
    };
    let value =
        |name: &str, json: Json<'_>| Datum::parse_diff(json, column_type(name)).expect("value");
    let print = |name: &str, value: &Datum| {
        let mut out = Vec::new();
        value.write_json(
            &mut out,
            column_type(name),
            ovsdb::datum_print::Reals::Rounded,
        );
        String::from_utf8(out).expect("UTF-8")
    };
    if let Some(new) = row.member("new") {
        let old = row.member("old");
        assert_eq!(old.is_some(), known.contains_key(&uuid), "old of {uuid}");
        for (name, before) in old.into_iter().flat_map(|old| old.members()) {
            let before = print(&text(name), &value(&text(name), before));
            assert_eq!(known[&uuid][&text(name)], before, "old value");
        }
        let columns = new
            .members()
            .map(|(name, json)| (text(name), print(&text(name), &value(&text(name), json))))
            .collect();
        known.insert(uuid, columns);
    } else if let Some(first) = row.member("initial").or(row.member("insert")) {
        assert!(!known.contains_key(&uuid), "inserted twice");
        let mut columns: BTreeMap<_, _> = schema
            .all_columns()
            .filter(|(id, _)| *id != ColumnId::UUID)
            .map(|(_, column)| {
                let default = column.column_type.default_datum();
                (column.name.to_string(), print(&column.name, &default))
            })
            .collect();
        for (name, json) in first.members() {
            columns.insert(text(name), print(&text(name), &value(&text(name), json)));
        }
        known.insert(uuid, columns);
    } else if let Some(modify) = row.member("modify") {
        let columns = known.get_mut(&uuid).expect("modified row is known");
        for (name, json) in modify.members() {
            let name = text(name);
            let document = Document::parse(format!("[{}]", columns[&name])).expect("JSON");
            let before = value(&name, document.root().element(0).expect("value"));
            let after = before.apply_diff(&value(&name, json), column_type(&name));
            columns.insert(name.clone(), print(&name, &after));
        }
    } else {
        assert!(known.remove(&uuid).is_some(), "deleted row is known");
    }
}
