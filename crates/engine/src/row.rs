//! Rows.

use ovsdb::{ColumnId, Datum, TableSchema, Uuid};

/// A row: one value for each column of its table, `_uuid` and `_version` included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    columns: Box<[Datum]>,
}

impl Row {
    /// A row with every column at its default value.
    pub fn with_defaults(table: &TableSchema, uuid: Uuid) -> Row {
        let mut columns: Box<[Datum]> = table
            .columns
            .iter()
            .map(|column| column.column_type.default_datum())
            .collect();
        columns[ColumnId::UUID.index()] = Datum::One(ovsdb::Atom::Uuid(uuid));
        Row { columns }
    }

    /// The row's UUID.
    pub fn uuid(&self) -> Uuid {
        match &self.columns[ColumnId::UUID.index()] {
            Datum::One(ovsdb::Atom::Uuid(uuid)) => *uuid,
            _ => Uuid::nil(),
        }
    }

    /// All values, by the columns' places.
    pub fn columns(&self) -> &[Datum] {
        &self.columns
    }

    /// The value of a column.
    pub fn get(&self, column: ColumnId) -> &Datum {
        &self.columns[column.index()]
    }

    /// Replaces the value of a column.
    pub fn set(&mut self, column: ColumnId, value: Datum) {
        self.columns[column.index()] = value;
    }

    /// Gives the row a new `_uuid`.
    pub fn set_uuid(&mut self, uuid: Uuid) {
        self.set(ColumnId::UUID, Datum::One(ovsdb::Atom::Uuid(uuid)));
    }

    /// Gives the row a new `_version`.
    pub fn set_version(&mut self, version: Uuid) {
        self.set(ColumnId::VERSION, Datum::One(ovsdb::Atom::Uuid(version)));
    }
}
