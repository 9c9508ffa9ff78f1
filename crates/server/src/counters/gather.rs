//! What is in a database at a moment, for who shows it beside what was counted.

use std::sync::Arc;

use super::ServiceCounters;
use crate::database::Database;
use crate::service::Service;

/// A database's contents in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// How many rows each table has, in the schema's order.
    pub rows: Vec<(String, u64)>,
    /// How many monitors watch it.
    pub monitors: u64,
    /// How many transactions have changed something, whoever has executed them.
    pub commits: u64,
    /// The schema's version.
    pub schema_version: String,
}

impl Service {
    /// What has happened to the clients.
    pub fn counters(&self) -> &Arc<ServiceCounters> {
        &self.counters
    }

    /// A database's contents in figures, and the database; none if it is not there.
    pub fn contents(&self, name: &str) -> Option<(Contents, Arc<Database>)> {
        let served = self.served(name)?;
        let version = served.database.committed().version.clone();
        let schema = version.schema();
        let rows = version.tables().map(|(id, table)| {
            let rows = u64::try_from(table.len()).unwrap_or(u64::MAX);
            (schema.table(id).name.to_string(), rows)
        });
        let contents = Contents {
            rows: rows.collect(),
            monitors: u64::try_from(served.groups.subscription_count()).unwrap_or(u64::MAX),
            commits: version.sequence(),
            schema_version: schema.version.clone(),
        };
        Some((contents, served.database.clone()))
    }
}
