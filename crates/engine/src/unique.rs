//! Unique indexes (RFC 7047 section 3.2, `indexes`), checked when a transaction commits: within
//! one, rows may swap their values.

use std::cmp::Ordering;
use std::sync::Arc;

use ovsdb::{AtomicType, ColumnId, Error, TableId, TableSchema, Uuid};
use rustc_hash::FxHashMap;

use crate::draft::Draft;
use crate::row::Row;
use crate::table::index_hash;

/// Checks the indexes of the tables that a draft touches, and brings them up to date.
pub(crate) fn settle(draft: &mut Draft) -> Result<(), Error> {
    let schema = draft.version.schema().clone();
    let mut updates: Vec<(TableId, usize, u64, Uuid, bool)> = Vec::new();
    for (table, table_schema) in schema.all_tables() {
        let first = (table, Uuid::nil());
        let last = (table, Uuid::max());
        for (place, index) in table_schema.indexes.iter().enumerate() {
            let mut seen: FxHashMap<u64, Vec<Arc<Row>>> = FxHashMap::default();
            for ((_, uuid), old) in draft.touched.range(first..=last) {
                let new = draft.row(table, uuid);
                if let (Some(old), Some(new)) = (old, new)
                    && index
                        .iter()
                        .all(|column| old.get(*column) == new.get(*column))
                {
                    // The values stay, so that only a row which takes them can clash, and that
                    // row's turn comes.
                    continue;
                }
                if let Some(old) = old {
                    updates.push((table, place, index_hash(old, index), *uuid, false));
                }
                let Some(new) = new else { continue };
                let hash = index_hash(new, index);
                let same = seen.entry(hash).or_default();
                let clash = same
                    .iter()
                    .find(|row| equal(row, new, index))
                    .cloned()
                    .or_else(|| committed_clash(draft, table, place, index, new, hash));
                if let Some(clash) = clash {
                    return Err(duplicate(draft, table, index, &clash, new));
                }
                same.push(new.clone());
                updates.push((table, place, hash, *uuid, true));
            }
        }
    }
    for (table, place, hash, uuid, added) in updates {
        let table = draft.version.table_mut(table);
        if added {
            table.index_insert(place, hash, uuid);
        } else {
            table.index_remove(place, hash, uuid);
        }
    }
    Ok(())
}

fn equal(a: &Row, b: &Row, index: &[ColumnId]) -> bool {
    index.iter().all(|column| a.get(*column) == b.get(*column))
}

/// A row that has held the same values since before the transaction, and still does.
fn committed_clash(
    draft: &Draft,
    table: TableId,
    place: usize,
    index: &[ColumnId],
    row: &Row,
    hash: u64,
) -> Option<Arc<Row>> {
    let uuid = row.uuid();
    draft
        .version
        .table(table)
        .index_matches(place, hash)
        .filter(|other| *other != uuid)
        .filter_map(|other| draft.row(table, &other))
        .find(|other| equal(other, row, index))
        .cloned()
}

fn duplicate(
    draft: &Draft,
    table: TableId,
    index: &[ColumnId],
    a: &Arc<Row>,
    b: &Arc<Row>,
) -> Error {
    let schema = draft.version.schema();
    let table_schema = schema.table(table);
    let (first, second) = match compare_for_report(a, b, table_schema) {
        Ordering::Less => (b, a),
        _ => (a, b),
    };
    let names: Vec<String> = index
        .iter()
        .map(|column| format!("\"{}\"", table_schema.column(*column).name))
        .collect();
    Error::constraint(format!(
        "Transaction causes multiple rows in \"{}\" table to have identical values ({}) for \
         index on column{} {}.  {}  {}",
        table_schema.name,
        values(first, index, table_schema),
        if index.len() > 1 { "s" } else { "" },
        english_list(&names),
        origin(draft, table, index, first, "First"),
        origin(draft, table, index, second, "Second"),
    ))
}

/// An order of two rows that does not depend on random UUIDs: by the values of all columns that
/// hold none.
fn compare_for_report(a: &Row, b: &Row, table: &TableSchema) -> Ordering {
    table
        .all_columns()
        .filter(|(_, column)| {
            column
                .column_type
                .bases()
                .all(|base| base.atomic != AtomicType::Uuid)
        })
        .map(|(id, _)| a.get(id).compare_order(b.get(id)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn values(row: &Row, index: &[ColumnId], table: &TableSchema) -> String {
    let texts: Vec<String> = index
        .iter()
        .map(|id| row.get(*id).to_text(&table.column(*id).column_type))
        .collect();
    english_list(&texts)
}

fn english_list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [others @ .., last] => format!("{}, and {last}", others.join(", ")),
    }
}

fn origin(
    draft: &Draft,
    table: TableId,
    index: &[ColumnId],
    row: &Arc<Row>,
    which: &str,
) -> String {
    let uuid = row.uuid();
    let table_schema = draft.version.schema().table(table);
    let story = match draft.touched.get(&(table, uuid)) {
        None => "existed in the database before this transaction and was not modified by the \
                 transaction."
            .to_owned(),
        Some(None) => "was inserted by this transaction.".to_owned(),
        Some(Some(old)) if equal(old, row, index) => {
            "existed in the database before this transaction, which modified some of the row's \
             columns but not any columns in this index."
                .to_owned()
        }
        Some(Some(old)) => format!(
            "had the following index values before the transaction: {}.",
            values(old, index, table_schema)
        ),
    };
    format!("{which} row, with UUID {uuid}, {story}")
}
