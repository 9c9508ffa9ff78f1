//! What has to change so that a database holds what a copy holds.

use std::fmt::Write as _;
use std::sync::Arc;

use ovsdb::{ColumnId, TableId, TableSchema, Uuid};
use ovsdb_engine::{Row, Version};

/// A row that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is missing.
    Insert(Arc<Row>),
    /// It should not be there.
    Delete(Arc<Row>),
    /// Some columns have other values.
    Update {
        /// As it is.
        old: Arc<Row>,
        /// As it should be.
        new: Arc<Row>,
        /// Which columns.
        columns: Vec<ColumnId>,
    },
}

/// All rows that are not as they should be, by table and UUID.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// The changes.
    pub changes: Vec<(TableId, Uuid, Change)>,
}

impl Difference {
    /// From what there is to what there should be, both of one schema. What does not last in a file
    /// (ephemeral columns) stays as it is.
    pub fn between(present: &Version, wanted: &Version) -> Difference {
        let schema = present.schema();
        let mut changes = Vec::new();
        for (table, rows) in present.tables() {
            let own = schema.table(table);
            for old in rows.rows() {
                let uuid = old.uuid();
                let change = match wanted.row(table, &uuid) {
                    None => Some(Change::Delete(Arc::clone(old))),
                    Some(new) => update(own, old, new),
                };
                changes.extend(change.map(|change| (table, uuid, change)));
            }
            for new in wanted.table(table).rows() {
                let uuid = new.uuid();
                if rows.get(&uuid).is_none() {
                    changes.push((table, uuid, Change::Insert(Arc::clone(new))));
                }
            }
        }
        Difference { changes }
    }

    /// Whether all is as it should be.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// For people: a line with the numbers, and one for each row. `done` says whether it has been done.
    pub fn show(&self, version: &Version, done: bool) -> String {
        let schema = version.schema();
        let count = |wanted: fn(&Change) -> bool| {
            let changes = self.changes.iter();
            changes.filter(|(_, _, change)| wanted(change)).count()
        };
        let mut text = match self.is_empty() {
            true => format!("{}: holds what the copy holds already\n", schema.name),
            false => format!(
                "{}: {} rows {}inserted, {} deleted, {} changed\n",
                schema.name,
                count(|change| matches!(change, Change::Insert(_))),
                if done { "" } else { "would be " },
                count(|change| matches!(change, Change::Delete(_))),
                count(|change| matches!(change, Change::Update { .. })),
            ),
        };
        for (table, uuid, change) in &self.changes {
            let table = schema.table(*table);
            let sign = match change {
                Change::Insert(_) => '+',
                Change::Delete(_) => '-',
                Change::Update { .. } => '~',
            };
            let _ = write!(text, "  {sign} {} {uuid}", table.name);
            match change {
                Change::Insert(row) | Change::Delete(row) => whole(&mut text, table, row),
                Change::Update { old, new, columns } => {
                    for id in columns {
                        let column = table.column(*id);
                        let value = |row: &Row| row.get(*id).to_text(&column.column_type);
                        let (old, new) = (value(old), value(new));
                        let _ = write!(text, "  {}: {old} -> {new}", column.name);
                    }
                }
            }
            text.push('\n');
        }
        text
    }
}

/// What is not at its default.
fn whole(text: &mut String, table: &TableSchema, row: &Row) {
    for (id, column) in table.own_columns() {
        let value = row.get(id);
        if column.persistent && *value != column.column_type.default_datum() {
            let value = value.to_text(&column.column_type);
            let _ = write!(text, "  {}={value}", column.name);
        }
    }
}

fn update(table: &TableSchema, old: &Arc<Row>, new: &Arc<Row>) -> Option<Change> {
    let differs = |(id, column): (ColumnId, &ovsdb::Column)| {
        (column.persistent && old.get(id) != new.get(id)).then_some(id)
    };
    let columns: Vec<ColumnId> = table.own_columns().filter_map(differs).collect();
    (!columns.is_empty()).then(|| Change::Update {
        old: Arc::clone(old),
        new: Arc::clone(new),
        columns,
    })
}
