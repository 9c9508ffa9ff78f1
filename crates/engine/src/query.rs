//! Finding the rows that satisfy an operation's `where`.

use std::sync::Arc;

use ovsdb::{Atom, ColumnId, Condition, Datum, TableId, TableSchema, Uuid};

use crate::draft::Draft;
use crate::row::Row;
use crate::table::index_hash;
use crate::walk::walk;

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
    walk(draft.version.table(table).rows(), condition, table_schema)
}

/// True if [`find`] need not walk the table.
pub(crate) fn is_indexed(schema: &TableSchema, condition: &Condition) -> bool {
    condition.equal_to(ColumnId::UUID).is_some() || matching_index(schema, condition).is_some()
}

/// The first unique index all of whose columns the condition names a value for.
fn matching_index<'a>(
    schema: &'a TableSchema,
    condition: &Condition,
) -> Option<(usize, &'a [ColumnId])> {
    let indexes = schema.indexes.iter().map(|index| &index[..]).enumerate();
    indexes.into_iter().find(|(_, index)| {
        index
            .iter()
            .all(|column| condition.equal_to(*column).is_some())
    })
}

/// The only rows that can satisfy the condition, if it names all columns of a unique index.
///
/// Indexes are those of the version before the transaction, so that rows which the transaction
/// has touched are candidates as well.
fn find_by_index(draft: &Draft, table: TableId, condition: &Condition) -> Option<Vec<Uuid>> {
    let table_schema = draft.version.schema().table(table);
    let (place, index) = matching_index(table_schema, condition)?;
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
