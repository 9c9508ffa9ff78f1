//! Versions: the contents of a database at one moment.

use std::sync::Arc;

use ovsdb::{Schema, TableId, Uuid};

use crate::row::Row;
use crate::table::Table;

/// The contents of a database at one moment.
#[derive(Debug, Clone)]
pub struct Version {
    schema: Arc<Schema>,
    tables: Vec<Arc<Table>>,
    sequence: u64,
    id: Uuid,
}

impl Version {
    /// A database without rows.
    pub fn empty(schema: Arc<Schema>) -> Version {
        let tables = schema
            .tables
            .iter()
            .map(|table| Arc::new(Table::new(table)))
            .collect();
        Version {
            schema,
            tables,
            sequence: 0,
            id: Uuid::nil(),
        }
    }

    /// The schema that the contents follow.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// How many transactions that changed something came before; 0 for an empty database.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The id of the transaction that made this version (`eid` in a clustered log); nil before
    /// the first one and in standalone databases.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The same contents under a transaction's id.
    pub fn with_id(mut self, id: Uuid) -> Version {
        self.id = id;
        self
    }

    /// The same contents at another place in the sequence: after a conversion, which goes on
    /// where the old schema's sequence stopped.
    pub fn with_sequence(mut self, sequence: u64) -> Version {
        self.sequence = sequence;
        self
    }

    /// The same contents with another copy of their schema, which must be equal to the first:
    /// requests that were parsed with that one fit them then.
    pub fn with_schema(mut self, schema: Arc<Schema>) -> Version {
        debug_assert_eq!(schema, self.schema);
        self.schema = schema;
        self
    }

    /// A table.
    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[id.index()]
    }

    /// All tables with their places.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Table)> {
        self.tables
            .iter()
            .enumerate()
            .map(|(i, table)| (TableId(i as u32), &**table))
    }

    /// The row of a UUID in a table.
    pub fn row(&self, table: TableId, uuid: &Uuid) -> Option<&Arc<Row>> {
        self.table(table).get(uuid)
    }

    /// How many rows there are in all tables.
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(|table| table.len()).sum()
    }

    pub(crate) fn table_mut(&mut self, id: TableId) -> &mut Table {
        Arc::make_mut(&mut self.tables[id.index()])
    }

    pub(crate) fn advance(&mut self) {
        self.sequence += 1;
    }
}
