//! Walking a table: every row compared with a condition.
//!
//! Rows lie all over the memory, so a walk takes as long as its cache misses do. Loads that do not
//! depend on each other overlap: what the comparison of many rows needs is asked for first.

use std::hint::black_box;
use std::sync::Arc;

use ovsdb::{Clause, ColumnId, Condition, Datum, TableSchema};
use smallvec::SmallVec;

use crate::row::Row;

/// How many rows are asked for at once: more than a processor loads at a time.
const AT_ONCE: usize = 64;

/// The rows that satisfy every clause, in their order.
pub(crate) fn walk<'a>(
    mut rows: impl Iterator<Item = &'a Arc<Row>>,
    condition: &Condition,
    table: &TableSchema,
) -> Vec<Arc<Row>> {
    let first_column = condition.clauses.iter().find_map(|clause| match clause {
        Clause::Compare { column, .. } => Some(*column),
        Clause::Constant(_) => None,
    });
    let mut found = Vec::new();
    let mut some: SmallVec<[(&Arc<Row>, &[Datum]); AT_ONCE]> = SmallVec::new();
    loop {
        some.clear();
        some.extend(rows.by_ref().take(AT_ONCE).map(|row| (row, &[][..])));
        if some.is_empty() {
            return found;
        }
        for (row, columns) in &mut some {
            *columns = row.columns();
        }
        if let Some(column) = first_column {
            touch(&some, column);
        }
        for (row, columns) in &some {
            if condition.matches_all(columns, table) {
                found.push(Arc::clone(row));
            }
        }
    }
}

/// Loads a column of all these rows, without a branch that would wait for it.
fn touch(rows: &[(&Arc<Row>, &[Datum])], column: ColumnId) {
    let empty = rows
        .iter()
        .filter(|(_, columns)| columns[column.index()].is_empty());
    black_box(empty.count());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::{Atom, Function, Schema, TableId, Uuid};

    #[test]
    fn every_row_is_compared() {
        let schema = br#"{"name":"D","tables":{"T":{"columns":{"n":{"type":"integer"}}}}}"#;
        let schema = Schema::from_text(schema).expect("schema");
        let table = schema.table(TableId(0));
        let n = table.find("n").expect("column");
        let count = 2 * AT_ONCE as i64 + 1;
        let row = |value| {
            let mut row = Row::with_defaults(table, Uuid::nil());
            row.set(n, Datum::One(Atom::Integer(value)));
            Arc::new(row)
        };
        let rows: Vec<_> = (0..count).map(row).collect();
        let numbers = |clauses| {
            let found = walk(rows.iter(), &Condition { clauses }, table);
            let atoms = found.iter().flat_map(|row| row.get(n).atoms().to_vec());
            atoms.collect::<Vec<_>>()
        };
        let at_least = |value| Clause::Compare {
            column: n,
            function: Function::GreaterOrEqual,
            value: Datum::One(Atom::Integer(value)),
        };
        let expected = |from| (from..count).map(Atom::Integer).collect::<Vec<_>>();
        assert_eq!(numbers(Vec::new()), expected(0));
        assert_eq!(numbers(vec![at_least(60)]), expected(60));
        assert_eq!(numbers(vec![at_least(60), at_least(128)]), expected(128));
        assert_eq!(numbers(vec![Clause::Constant(false), at_least(1)]), []);
    }
}
