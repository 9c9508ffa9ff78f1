//! What takes memory, in figures, for `memory/show` (ovsdb-server(1)): of everything that grows, how
//! much there is.

use std::collections::BTreeMap;

use ovsdb::{Atom, BaseType, TableSchema};
use ovsdb_engine::{Row, Version};

use crate::service::Service;

/// Names and numbers.
pub type Figures = BTreeMap<&'static str, usize>;

/// Those that are told even if they are zero, as in the reference.
const ALWAYS: [&str; 2] = ["monitors", "n-weak-refs"];

/// The figures as one line, without those that are zero.
pub fn line(figures: &Figures) -> String {
    let told = figures
        .iter()
        .filter(|(name, number)| **number > 0 || ALWAYS.contains(name));
    let words: Vec<String> = told
        .map(|(name, number)| format!("{name}:{number}"))
        .collect();
    words.join(" ")
}

impl Service {
    /// Looks at everything, every row included: nothing to do where others wait for this thread.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::new();
        let mut add = |name, number| *figures.entry(name).or_default() += number;
        for served in self.all_served() {
            let version = served.database.committed().version.clone();
            let contents = Contents::of(&version);
            add("atoms", contents.atoms);
            add("cells", contents.cells);
            add("n-weak-refs", contents.weak_references);
            let (monitors, updates) = served.groups.cached();
            add("monitors", monitors);
            add("json-caches", updates);
            let commits: Vec<_> = served.database.with_history(|history| {
                let commits = history.iter().map(|past| past.changes.clone());
                commits.collect()
            });
            add("txn-history", commits.len());
            for changes in commits {
                for table in &changes.tables {
                    let schema = changes.schema.table(table.table);
                    let rows = table.rows.iter();
                    let rows = rows.flat_map(|change| change.old.iter().chain(&change.new));
                    let number = rows.map(|row| atoms(schema, row)).sum();
                    add("txn-history-atoms", number);
                }
            }
        }
        add("sessions", self.session_count());
        add("triggers", self.roll.transactions());
        let backlog = self.counters.backlog.get();
        add("backlog", usize::try_from(backlog).unwrap_or(usize::MAX));
        figures
    }
}

/// What a database's rows are made of.
#[derive(Default)]
struct Contents {
    cells: usize,
    atoms: usize,
    weak_references: usize,
}

impl Contents {
    fn of(version: &Version) -> Contents {
        let mut contents = Contents::default();
        for (id, table) in version.tables() {
            let schema = version.schema().table(id);
            contents.cells += table.len() * schema.columns.len();
            let weak = weak_columns(schema);
            for row in table.rows() {
                contents.atoms += atoms(schema, row);
                let weak = weak.iter().map(|weak| weak.count(row));
                contents.weak_references += weak.sum::<usize>();
            }
        }
        contents
    }
}

/// How many atoms a row has.
fn atoms(schema: &TableSchema, row: &Row) -> usize {
    let columns = schema.columns.iter().zip(row.columns());
    let numbers = columns.map(|(column, value)| match column.column_type.is_map() {
        true => 2 * value.len(),
        false => value.len(),
    });
    numbers.sum()
}

/// A column with weak references.
struct WeakColumn {
    place: usize,
    keys: bool,
    values: bool,
}

impl WeakColumn {
    /// How many references a row has there to others: its own to itself do not count, as in the
    /// reference.
    fn count(&self, row: &Row) -> usize {
        let to_others = |atom: &Atom| atom.as_uuid().is_some_and(|uuid| uuid != row.uuid());
        let value = &row.columns()[self.place];
        let atoms = value.atoms().iter().filter(|atom| to_others(atom)).count();
        let pairs = value.pairs().iter().map(|(key, value)| {
            usize::from(self.keys && to_others(key)) + usize::from(self.values && to_others(value))
        });
        atoms + pairs.sum::<usize>()
    }
}

fn weak_columns(schema: &TableSchema) -> Vec<WeakColumn> {
    let is_weak = |base: &BaseType| base.weak_reference().is_some();
    let columns = schema.columns.iter().enumerate();
    let weak = columns.map(|(place, column)| WeakColumn {
        place,
        keys: is_weak(&column.column_type.key),
        values: column.column_type.value.as_ref().is_some_and(is_weak),
    });
    weak.filter(|weak| weak.keys || weak.values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_told_where_the_reference_does() {
        let figures = Figures::from([("monitors", 0), ("sessions", 0), ("cells", 3)]);
        assert_eq!(line(&figures), "cells:3 monitors:0");
    }
}
