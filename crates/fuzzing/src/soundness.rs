//! What is true of a database's contents, whatever has made them: found by a look at every row,
//! where the engine looks only at what has changed.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{Atom, BaseType, Column, TableId, Uuid};
use ovsdb_engine::{Row, Version};

/// Checks numbers of rows and of elements, unique indexes, and references.
pub(crate) fn check(version: &Version) {
    let mut held = BTreeSet::new();
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        assert!(table.len() <= schema.max_rows as usize, "{}", schema.name);
        for index in &schema.indexes {
            let values = |row: &Row| -> Vec<String> {
                let values = index.iter().map(|column| row.get(*column));
                values.map(|value| format!("{value:?}")).collect()
            };
            let mut seen = BTreeMap::new();
            for row in table.rows() {
                let other = seen.insert(values(row), row.uuid());
                assert_eq!(other, None, "two rows of {} are the same", schema.name);
            }
        }
        for row in table.rows() {
            for (place, column) in schema.own_columns() {
                let value = row.get(place);
                let column_type = &column.column_type;
                let most = column_type.max as usize;
                assert!((column_type.min as usize..=most).contains(&value.len()));
                for target in targets(column, row, BaseType::weak_reference, place) {
                    let (table, uuid) = target;
                    assert!(
                        version.row(table, &uuid).is_some(),
                        "{} dangles",
                        column.name
                    );
                }
                for (table, uuid) in targets(column, row, BaseType::strong_reference, place) {
                    assert!(
                        version.row(table, &uuid).is_some(),
                        "{} dangles",
                        column.name
                    );
                    // A row does not hold itself.
                    if (table, uuid) != (id, row.uuid()) {
                        held.insert((table, uuid));
                    }
                }
            }
        }
    }
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        if !schema.is_root {
            for row in table.rows() {
                let is_held = held.contains(&(id, row.uuid()));
                assert!(is_held, "nothing holds {} in {}", row.uuid(), schema.name);
            }
        }
    }
}

/// The references of a kind in a row's column.
fn targets(
    column: &Column,
    row: &Row,
    kind: impl Fn(&BaseType) -> Option<TableId>,
    place: ovsdb::ColumnId,
) -> Vec<(TableId, Uuid)> {
    let column_type = &column.column_type;
    let value = row.get(place);
    let mut found = Vec::new();
    let mut add = |base: Option<&BaseType>, atom: &Atom| {
        found.extend(base.and_then(&kind).zip(atom.as_uuid()));
    };
    for atom in value.atoms() {
        add(Some(&column_type.key), atom);
    }
    for (key, value) in value.pairs() {
        add(Some(&column_type.key), key);
        add(column_type.value.as_ref(), value);
    }
    found
}
