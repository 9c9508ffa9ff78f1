//! Tables: rows with what is derived from them, so that no check walks a table.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};
use ovsdb::{ColumnId, TableId, TableSchema, Uuid};

use crate::changes::RowChange;
use crate::row::Row;

/// A weak reference to a row of the table that holds this entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WeakReference {
    /// The row that is referred to.
    pub(crate) target: Uuid,
    /// The table of the row that refers to it.
    pub(crate) source_table: TableId,
    /// The row that refers to it.
    pub(crate) source: Uuid,
}

/// One table of a version. Cloning is cheap, and changes of a clone leave the original alone.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: OrdMap<Uuid, Arc<Row>>,
    /// For each unique index, the hash of its columns' values with the row: entries of equal
    /// hash are compared by their rows.
    indexes: Vec<OrdSet<(u64, Uuid)>>,
    /// How many strong references (from other rows) each row has, where any.
    strong: OrdMap<Uuid, u64>,
    /// The weak references (from other rows) to this table's rows.
    weak: OrdSet<WeakReference>,
    /// The rows by their names in one column; made when asked for, gone with the next change.
    names: OnceLock<Arc<Names>>,
}

#[derive(Debug)]
struct Names {
    column: ColumnId,
    rows: HashMap<Box<str>, Uuid>,
}

impl Names {
    fn of<'a>(rows: impl Iterator<Item = &'a Arc<Row>>, column: ColumnId) -> Names {
        let mut names = Names {
            column,
            rows: HashMap::new(),
        };
        for row in rows {
            let datum = row.get(column);
            let keys = datum.pairs().iter().map(|(key, _)| key);
            for name in datum.atoms().iter().chain(keys).filter_map(|a| a.as_str()) {
                names.rows.entry(name.into()).or_insert(row.uuid());
            }
        }
        names
    }
}

/// Keyed, so that nobody can choose values that collide.
static INDEX_HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hash of an index's values in a row.
pub(crate) fn index_hash(row: &Row, index: &[ColumnId]) -> u64 {
    let mut hasher = INDEX_HASHER.build_hasher();
    for column in index {
        row.get(*column).hash(&mut hasher);
    }
    hasher.finish()
}

impl Table {
    pub(crate) fn new(schema: &TableSchema) -> Self {
        Table {
            indexes: vec![OrdSet::new(); schema.indexes.len()],
            ..Table::default()
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of a UUID.
    pub fn get(&self, uuid: &Uuid) -> Option<&Arc<Row>> {
        self.rows.get(uuid)
    }

    /// All rows, by UUID.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.rows.values()
    }

    /// The first row that has a name in a column of strings, quickly if it is always the same
    /// column that is asked for.
    pub(crate) fn row_named(&self, column: ColumnId, name: &str) -> Option<&Arc<Row>> {
        let names = self
            .names
            .get_or_init(|| Arc::new(Names::of(self.rows(), column)));
        let uuid = if names.column == column {
            names.rows.get(name).copied()
        } else {
            Names::of(self.rows(), column).rows.get(name).copied()
        };
        self.get(&uuid?)
    }

    /// What leads from this table's rows to another version's, by UUID.
    pub(crate) fn changes_to(&self, new: &Table) -> Vec<RowChange> {
        let change = |item| match item {
            DiffItem::Add(uuid, new) => (*uuid, None, Some(Arc::clone(new))),
            DiffItem::Update { old, new } => {
                (*old.0, Some(Arc::clone(old.1)), Some(Arc::clone(new.1)))
            }
            DiffItem::Remove(uuid, old) => (*uuid, Some(Arc::clone(old)), None),
        };
        self.rows
            .diff(&new.rows)
            .map(change)
            .map(|(uuid, old, new)| RowChange { uuid, old, new })
            .collect()
    }

    pub(crate) fn insert(&mut self, row: Arc<Row>) {
        self.names.take();
        self.rows.insert(row.uuid(), row);
    }

    pub(crate) fn remove(&mut self, uuid: &Uuid) {
        self.names.take();
        self.rows.remove(uuid);
    }

    /// The rows whose columns of an index have the same values as `row`'s, by the index as it
    /// was when the version was committed.
    pub(crate) fn index_matches(&self, index: usize, hash: u64) -> impl Iterator<Item = Uuid> {
        self.indexes[index]
            .range((hash, Uuid::nil())..=(hash, Uuid::max()))
            .map(|(_, uuid)| *uuid)
    }

    pub(crate) fn index_insert(&mut self, index: usize, hash: u64, uuid: Uuid) {
        self.indexes[index].insert((hash, uuid));
    }

    pub(crate) fn index_remove(&mut self, index: usize, hash: u64, uuid: Uuid) {
        self.indexes[index].remove(&(hash, uuid));
    }

    pub(crate) fn strong_references(&self, uuid: &Uuid) -> u64 {
        self.strong.get(uuid).copied().unwrap_or(0)
    }

    pub(crate) fn set_strong_references(&mut self, uuid: Uuid, count: u64) {
        if count == 0 {
            self.strong.remove(&uuid);
        } else {
            self.strong.insert(uuid, count);
        }
    }

    /// The rows that refer weakly to `target`.
    pub(crate) fn weak_references(&self, target: Uuid) -> impl Iterator<Item = &WeakReference> {
        let bound = |source_table, source| WeakReference {
            target,
            source_table,
            source,
        };
        let first = bound(TableId(0), Uuid::nil());
        let last = bound(TableId(u32::MAX), Uuid::max());
        self.weak.range(first..=last)
    }

    pub(crate) fn weak_insert(&mut self, reference: WeakReference) {
        self.weak.insert(reference);
    }

    pub(crate) fn weak_remove(&mut self, reference: &WeakReference) {
        self.weak.remove(reference);
    }
}
