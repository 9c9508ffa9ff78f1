//! Changes: what lies between two versions of a database.

use std::collections::BTreeMap;
use std::sync::Arc;

use ovsdb::{Schema, TableId, Uuid};

use crate::row::Row;
use crate::version::Version;

/// A row before and after. At least one of the two is there.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// The row's UUID.
    pub uuid: Uuid,
    /// The row before; none if it was inserted.
    pub old: Option<Arc<Row>>,
    /// The row after; none if it was deleted.
    pub new: Option<Arc<Row>>,
}

/// The changed rows of one table.
#[derive(Debug, Clone)]
pub struct TableChanges {
    /// The table.
    pub table: TableId,
    /// The rows, by UUID.
    pub rows: Vec<RowChange>,
}

/// The changed rows of all tables.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The schema that the rows follow.
    pub schema: Arc<Schema>,
    /// The changed tables, by place.
    pub tables: Vec<TableChanges>,
}

impl Changes {
    /// No changes.
    pub fn none(schema: Arc<Schema>) -> Changes {
        Changes {
            schema,
            tables: Vec::new(),
        }
    }

    /// True if nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// How many rows have changed.
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// Rough count of values, by which histories are bounded.
    pub fn weight(&self) -> usize {
        let row = |row: &Option<Arc<Row>>| row.as_ref().map_or(0, |row| row.columns().len());
        self.tables
            .iter()
            .flat_map(|table| &table.rows)
            .map(|change| row(&change.old) + row(&change.new))
            .sum()
    }

    /// The changes of one table.
    pub fn table(&self, id: TableId) -> Option<&TableChanges> {
        self.tables
            .binary_search_by_key(&id, |table| table.table)
            .ok()
            .map(|place| &self.tables[place])
    }

    /// One set of changes for several that follow each other: each row with its first "old" and
    /// its last "new". Rows that end as they began are left out.
    pub fn merge<'a>(schema: Arc<Schema>, all: impl IntoIterator<Item = &'a Changes>) -> Changes {
        let mut rows: BTreeMap<(TableId, Uuid), RowChange> = BTreeMap::new();
        for changes in all {
            for table in &changes.tables {
                for change in &table.rows {
                    rows.entry((table.table, change.uuid))
                        .and_modify(|merged| merged.new = change.new.clone())
                        .or_insert_with(|| change.clone());
                }
            }
        }
        Changes::from_sorted(
            schema,
            rows.into_iter().map(|((table, _), row)| (table, row)),
        )
    }

    /// The changes from one version to a later one of the same schema, however many commits lie
    /// between. Time grows with what differs, not with the tables, as versions share the rest.
    pub fn between(old: &Version, new: &Version) -> Changes {
        let mut tables = Vec::new();
        for ((table, before), (_, after)) in old.tables().zip(new.tables()) {
            let rows = before.changes_to(after);
            if !rows.is_empty() {
                tables.push(TableChanges { table, rows });
            }
        }
        Changes {
            schema: new.schema().clone(),
            tables,
        }
    }

    /// Groups rows, which come sorted by table and UUID, by their tables; rows without a change
    /// are left out.
    pub(crate) fn from_sorted(
        schema: Arc<Schema>,
        rows: impl IntoIterator<Item = (TableId, RowChange)>,
    ) -> Changes {
        let mut tables: Vec<TableChanges> = Vec::new();
        for (table, row) in rows {
            if row.old == row.new {
                continue;
            }
            match tables.last_mut() {
                Some(last) if last.table == table => last.rows.push(row),
                _ => tables.push(TableChanges {
                    table,
                    rows: vec![row],
                }),
            }
        }
        Changes { schema, tables }
    }
}
