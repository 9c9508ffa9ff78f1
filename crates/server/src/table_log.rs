//! Tables whose changes are written to the log, row by row (`ovsdb-server/tlog-set`).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ovsdb::TableSchema;
use ovsdb_cluster::wire::stream::LogLimit;
use ovsdb_engine::{Changes, Row, RowChange};
use parking_lot::Mutex;

/// So many rows at once, and one more each time this has passed, as in the reference.
const BURST: u32 = 60;
const REFILL: Duration = Duration::from_secs(2);

/// Which tables of a database those are.
#[derive(Debug)]
pub(crate) struct TableLog {
    /// There is one.
    any: AtomicBool,
    tables: Mutex<BTreeSet<String>>,
    limit: LogLimit,
}

impl Default for TableLog {
    fn default() -> Self {
        TableLog {
            any: AtomicBool::new(false),
            tables: Mutex::default(),
            limit: LogLimit::with(BURST, REFILL),
        }
    }
}

impl TableLog {
    /// From now on a table's changes are logged, or not.
    pub(crate) fn set(&self, table: &str, logged: bool) {
        let mut tables = self.tables.lock();
        match logged {
            true => tables.insert(table.to_owned()),
            false => tables.remove(table),
        };
        self.any.store(!tables.is_empty(), Ordering::Relaxed);
    }

    /// The tables whose changes are logged.
    pub(crate) fn tables(&self) -> BTreeSet<String> {
        self.tables.lock().clone()
    }

    /// Something has changed.
    pub(crate) fn tell(&self, changes: &Changes) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let tables = self.tables();
        for table in &changes.tables {
            let schema = changes.schema.table(table.table);
            if !tables.contains(&*schema.name) {
                continue;
            }
            for change in &table.rows {
                if let Some(line) = line(schema, change)
                    && self.limit.allow().is_some()
                {
                    let name = &*changes.schema.name;
                    tracing::info!(target: "transaction", db = name, "{line}");
                }
            }
        }
    }
}

fn line(schema: &TableSchema, change: &RowChange) -> Option<String> {
    let (operation, row): (_, &Row) = match (&change.old, &change.new) {
        (None, Some(new)) => ("inserted", new),
        (Some(_), Some(new)) => ("updated", new),
        (Some(old), None) => ("deleted", old),
        (None, None) => return None,
    };
    let mut line = format!("table:{},op:{operation}", schema.name);
    for (column, value) in schema.columns.iter().zip(row.columns()) {
        let text = value.to_text(&column.column_type);
        // Strings take all that is written.
        let _ = write!(line, ",{}:{text}", column.name);
    }
    Some(line)
}
