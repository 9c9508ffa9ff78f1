//! Tables that a backup keeps for itself.

use std::collections::BTreeSet;

use ovsdb::{Schema, TableId};

/// The tables of one database that are not replicated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExcludedTables {
    database: String,
    tables: BTreeSet<String>,
}

impl ExcludedTables {
    /// Those of a database in a list of `DATABASE:TABLE`s; a table alone is one of every database.
    pub fn parse(list: &str, database: &str) -> ExcludedTables {
        let names = list.split([' ', ',']).filter(|name| !name.is_empty());
        let tables = names.filter_map(|name| match name.split_once(':') {
            Some((of, table)) => (of == database).then_some(table),
            None => Some(name),
        });
        ExcludedTables {
            database: database.to_owned(),
            tables: tables.map(str::to_owned).collect(),
        }
    }

    pub(super) fn contains(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    /// Their places in a schema.
    pub(super) fn places(&self, schema: &Schema) -> BTreeSet<TableId> {
        self.tables
            .iter()
            .filter_map(|table| schema.find(table))
            .collect()
    }

    /// `DATABASE:TABLE` for each, in alphabetical order.
    pub fn full_names(&self) -> Vec<String> {
        let database = &self.database;
        let name = |table| format!("{database}:{table}");
        self.tables.iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_of_several_databases() {
        let list = "mydb:b,other:c mydb:a,,d";
        let names = ExcludedTables::parse(list, "mydb").full_names();
        assert_eq!(names, ["mydb:a", "mydb:b", "mydb:d"]);
        assert!(ExcludedTables::parse("", "mydb").full_names().is_empty());
    }
}
