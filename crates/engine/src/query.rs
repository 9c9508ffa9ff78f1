//! Finding the rows that satisfy an operation's `where`.

use std::sync::Arc;

use ovsdb::{Atom, ColumnId, Condition, Datum, TableId, Uuid};

use crate::draft::Draft;
use crate::row::Row;
use crate::table::index_hash;

/// The rows of a table that satisfy every clause: by UUID or by a unique index where the
/// condition allows it.
pub(crate) fn find(draft: &Draft, table: TableId, condition: &Condition) -> Vec<Arc<Row>> {
    let schema = draft.version.schema().clone();
    let table_schema = schema.table(table);
    let matches = |row: &&Arc<Row>| condition.matches_all(row.columns(), table_schema);
    if let Some(uuid) = condition.equal_to(ColumnId::UUID) {
        let Datum::One(Atom::Uuid(uuid)) = uuid else {
            return Vec::new();
        };
        return draft
            .row(table, uuid)
            .filter(matches)
            .cloned()
            .into_iter()
            .collect();
    }
    if let Some(candidates) = find_by_index(draft, table, condition) {
        let rows = candidates.iter().filter_map(|uuid| draft.row(table, uuid));
        return rows.filter(matches).cloned().collect();
    }
    draft
        .version
        .table(table)
        .rows()
        .filter(matches)
        .cloned()
        .collect()
}

/// The only rows that can satisfy the condition, if it names all columns of a unique index.
///
/// Indexes are those of the version before the transaction, so that rows which the transaction
/// has touched are candidates as well.
fn find_by_index(draft: &Draft, table: TableId, condition: &Condition) -> Option<Vec<Uuid>> {
    let table_schema = draft.version.schema().table(table);
    let (place, index) = table_schema.indexes.iter().enumerate().find(|(_, index)| {
        index
            .iter()
            .all(|column| condition.equal_to(*column).is_some())
    })?;
    let mut wanted = Row::with_defaults(table_schema, Uuid::nil());
    for column in index {
        wanted.set(*column, condition.equal_to(*column)?.clone());
    }
    let hash = index_hash(&wanted, index);
    let mut candidates: Vec<Uuid> = draft
        .version
        .table(table)
        .index_matches(place, hash)
        .collect();
    let first = (table, Uuid::nil());
    let last = (table, Uuid::max());
    candidates.extend(
        draft
            .touched
            .range(first..=last)
            .map(|((_, uuid), _)| *uuid),
    );
    candidates.sort_unstable();
    candidates.dedup();
    Some(candidates)
}
