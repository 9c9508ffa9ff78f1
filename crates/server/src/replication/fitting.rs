//! Whether contents of another schema have a place here.

use ovsdb::Schema;

/// True if this server's schema has every table and column of the active server's, of the same types.
/// The log says what is missing.
pub(super) fn fits(name: &str, own: &Schema, active: &Schema) -> bool {
    for (_, table) in active.all_tables() {
        let Some(own_table) = own.find(&table.name) else {
            tracing::info!(
                db = name,
                "Table {} not present in the local db schema",
                table.name
            );
            return false;
        };
        let own_table = own.table(own_table);
        for (_, column) in table.own_columns() {
            let Some(own_column) = own_table.find(&column.name) else {
                tracing::info!(
                    db = name,
                    "Column {} not present in the local db schema table {}.",
                    column.name,
                    table.name
                );
                return false;
            };
            if own_table.column(own_column) != column {
                tracing::info!(
                    db = name,
                    "Column {} mismatch in local db schema table {}.",
                    column.name,
                    table.name
                );
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_schema_takes_a_smaller_ones_contents() {
        let schema = |columns: &str| {
            let text = format!(r#"{{"name":"D","tables":{{"T":{{"columns":{{{columns}}}}}}}}}"#);
            Schema::from_text(text.as_bytes()).expect("schema")
        };
        let small = schema(r#""a":{"type":"integer"}"#);
        let large = schema(r#""a":{"type":"integer"},"b":{"type":"string"}"#);
        let other = schema(r#""a":{"type":"string"}"#);
        assert!(fits("D", &large, &small) && fits("D", &small, &small));
        assert!(!fits("D", &small, &large) && !fits("D", &other, &small));
    }
}
