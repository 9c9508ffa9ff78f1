//! What is true of all contents, by a look at every row.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{Atom, Datum, TableId, Uuid};
use ovsdb_engine::Version;

/// All values but `_version`, ephemeral ones only if asked for.
pub(crate) fn contents(
    version: &Version,
    ephemeral: bool,
) -> BTreeMap<(TableId, Uuid), Vec<Datum>> {
    let mut all = BTreeMap::new();
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        for row in table.rows() {
            let values = schema
                .own_columns()
                .filter(|(_, column)| ephemeral || column.persistent)
                .map(|(column, _)| row.get(column).clone())
                .collect();
            all.insert((id, row.uuid()), values);
        }
    }
    all
}

fn each_reference(
    version: &Version,
    mut visit: impl FnMut((TableId, Uuid), (TableId, Uuid), bool),
) {
    for (id, table) in version.tables() {
        for row in table.rows() {
            for (column_id, column) in version.schema().table(id).own_columns() {
                let column_type = &column.column_type;
                let value = row.get(column_id);
                let keys = value
                    .atoms()
                    .iter()
                    .chain(value.pairs().iter().map(|p| &p.0));
                let values = value.pairs().iter().map(|pair| &pair.1);
                let mut look = |base: &ovsdb::BaseType, atom: &Atom| {
                    let Some(uuid) = atom.as_uuid() else { return };
                    if let Some(table) = base.strong_reference() {
                        visit((id, row.uuid()), (table, uuid), true);
                    }
                    if let Some(table) = base.weak_reference() {
                        visit((id, row.uuid()), (table, uuid), false);
                    }
                };
                keys.for_each(|atom| look(&column_type.key, atom));
                if let Some(base) = &column_type.value {
                    values.for_each(|atom| look(base, atom));
                }
            }
        }
    }
}

pub(crate) fn check_invariants(version: &Version) {
    let mut held = BTreeSet::new();
    each_reference(version, |source, target, strong| {
        assert!(
            version.row(target.0, &target.1).is_some(),
            "{source:?} refers to {target:?}, which is not there"
        );
        if strong && source != target {
            held.insert(target);
        }
    });
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        assert!(table.len() <= schema.max_rows as usize, "maxRows");
        for row in table.rows() {
            assert!(
                schema.is_root || held.contains(&(id, row.uuid())),
                "garbage {}",
                row.uuid()
            );
        }
        for index in &schema.indexes {
            let distinct: BTreeSet<String> = table
                .rows()
                .map(|row| {
                    let values: Vec<_> = index.iter().map(|column| row.get(*column)).collect();
                    format!("{values:?}")
                })
                .collect();
            assert_eq!(distinct.len(), table.len(), "unique index");
        }
    }
}
