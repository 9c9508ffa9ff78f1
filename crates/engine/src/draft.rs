//! Drafts: a version in the making, with what it has touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use ovsdb::{TableId, Uuid};

use crate::row::Row;
use crate::version::Version;

/// A version that a transaction is changing. Dropping it undoes everything.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) version: Version,
    /// The rows that were changed, as they were before; none for inserted ones.
    pub(crate) touched: BTreeMap<(TableId, Uuid), Option<Arc<Row>>>,
}

impl Draft {
    pub(crate) fn new(version: Version) -> Self {
        Draft {
            version,
            touched: BTreeMap::new(),
        }
    }

    pub(crate) fn row(&self, table: TableId, uuid: &Uuid) -> Option<&Arc<Row>> {
        self.version.row(table, uuid)
    }

    /// The row as it was before the transaction.
    pub(crate) fn old(&self, table: TableId, uuid: &Uuid) -> Option<&Arc<Row>> {
        match self.touched.get(&(table, *uuid)) {
            Some(old) => old.as_ref(),
            None => self.version.row(table, uuid),
        }
    }

    /// Inserts a row that is not there, or puts one in the place of its older self.
    pub(crate) fn put(&mut self, table: TableId, row: Arc<Row>) {
        let uuid = row.uuid();
        let version = &self.version;
        self.touched
            .entry((table, uuid))
            .or_insert_with(|| version.row(table, &uuid).cloned());
        self.version.table_mut(table).insert(row);
    }

    pub(crate) fn delete(&mut self, table: TableId, uuid: &Uuid) {
        let Some(row) = self.version.row(table, uuid).cloned() else {
            return;
        };
        self.version.table_mut(table).remove(uuid);
        let key = (table, *uuid);
        // A row that was inserted by this transaction leaves no trace.
        if let Some(None) = self.touched.get(&key) {
            self.touched.remove(&key);
        } else {
            self.touched.entry(key).or_insert(Some(row));
        }
    }

    /// Puts touched rows that ended as they began back to the very same object, and forgets
    /// about them.
    pub(crate) fn drop_unchanged(&mut self) {
        let version = &mut self.version;
        self.touched.retain(|(table, uuid), old| {
            let Some(old) = old else { return true };
            match version.row(*table, uuid) {
                Some(new) if Arc::ptr_eq(new, old) => false,
                Some(new) if new == old => {
                    version.table_mut(*table).insert(old.clone());
                    false
                }
                _ => true,
            }
        });
    }
}
