//! Schemas: databases, tables and columns (RFC 7047 section 3.2).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::column_type::ColumnType;

/// A table's place in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

impl TableId {
    /// The place as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A column's place in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u32);

impl ColumnId {
    /// `_uuid`, in every table.
    pub const UUID: ColumnId = ColumnId(0);
    /// `_version`, in every table.
    pub const VERSION: ColumnId = ColumnId(1);
    /// How many columns every table has beside its own.
    pub const STANDARD: usize = 2;

    /// The place as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// True for `_uuid` and `_version`.
    pub fn is_standard(self) -> bool {
        self.index() < ColumnId::STANDARD
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// False if its value cannot change after the row's insert.
    pub mutable: bool,
    /// False if its value need not survive a restart (`ephemeral`).
    pub persistent: bool,
    /// The type of its values.
    pub column_type: ColumnType,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// Its name.
    pub name: Arc<str>,
    /// Its columns by place: the standard ones, then the others by name.
    pub columns: Vec<Column>,
    /// The schema's `mutable` member, which has no effect.
    pub mutable: bool,
    /// The greatest number of rows.
    pub max_rows: u32,
    /// False if rows live only as long as they are referenced.
    pub is_root: bool,
    /// Columns whose values together are unique.
    pub indexes: Vec<Vec<ColumnId>>,
    pub(crate) by_name: FxHashMap<Arc<str>, ColumnId>,
}

impl TableSchema {
    /// The column of a name, standard ones included.
    pub fn find(&self, name: &str) -> Option<ColumnId> {
        self.by_name.get(name).copied()
    }

    /// The column at a place.
    pub fn column(&self, id: ColumnId) -> &Column {
        &self.columns[id.index()]
    }

    /// All columns with their places.
    pub fn all_columns(&self) -> impl Iterator<Item = (ColumnId, &Column)> {
        self.columns
            .iter()
            .enumerate()
            .map(|(i, column)| (ColumnId(i as u32), column))
    }

    /// The columns that the schema declares, with their places.
    pub fn own_columns(&self) -> impl Iterator<Item = (ColumnId, &Column)> {
        self.all_columns().skip(ColumnId::STANDARD)
    }
}

/// The schema of a database.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The database's name.
    pub name: Arc<str>,
    /// `x.y.z`, or empty in very old files.
    pub version: String,
    /// The `cksum` member, or empty.
    pub cksum: String,
    /// The tables by place, which is their order by name.
    pub tables: Vec<TableSchema>,
    pub(crate) by_name: FxHashMap<Arc<str>, TableId>,
}

impl Schema {
    /// The table of a name.
    pub fn find(&self, name: &str) -> Option<TableId> {
        self.by_name.get(name).copied()
    }

    /// The table at a place.
    pub fn table(&self, id: TableId) -> &TableSchema {
        &self.tables[id.index()]
    }

    /// All tables with their places.
    pub fn all_tables(&self) -> impl Iterator<Item = (TableId, &TableSchema)> {
        self.tables
            .iter()
            .enumerate()
            .map(|(i, table)| (TableId(i as u32), table))
    }
}
