//! What is in a database.

use std::sync::Arc;

use ovsdb_server::database::Database;
use ovsdb_server::service::Service;

use super::catalogue::{COMMITS, MONITORS, ROWS, SCHEMA_INFO};
use super::exposition::Exposition;

/// Adds it, and gives the database; none before there are contents.
pub fn add(exposition: &mut Exposition, name: &str, service: &Service) -> Option<Arc<Database>> {
    let (contents, database) = service.contents(name)?;
    exposition.number(&SCHEMA_INFO, &[name, &contents.schema_version], 1);
    for (table, rows) in &contents.rows {
        exposition.number(&ROWS, &[name, table], *rows);
    }
    exposition.number(&COMMITS, &[name], contents.commits);
    exposition.number(&MONITORS, &[name], contents.monitors);
    Some(database)
}
