//! Makes the transit switches what the settings ask for, as a client inside the program.

use std::sync::Arc;
use std::time::Duration;

use ovsdb_cluster::replica::Place;
use ovsdb_engine::Version;
use ovsdb_server::database::Database;
use ovsdb_server::own_transaction;
use tokio::sync::watch;

use crate::schemas::Side;
use crate::transit_switches::{TransitSwitch, Wanted, plan};

/// How often a plan is made anew because somebody else was faster.
const ATTEMPTS: u32 = 5;
/// How long the first round may hold up the clients.
const FIRST_ROUND: Duration = Duration::from_secs(2);

/// Looks after the northbound database's transit switches.
pub struct SwitchKeeper {
    database: Arc<Database>,
    wanted: Wanted,
    every: Duration,
    /// What went wrong last, so that it is said once.
    complaint: Option<String>,
}

impl SwitchKeeper {
    /// A keeper that has not looked yet.
    pub fn new(database: Arc<Database>, wanted: Wanted, every: Duration) -> SwitchKeeper {
        SwitchKeeper {
            database,
            wanted,
            every,
            complaint: None,
        }
    }

    /// The round at start, before clients come; a slow disk does not keep them out for long.
    pub async fn start(&mut self) {
        if tokio::time::timeout(FIRST_ROUND, self.round())
            .await
            .is_err()
        {
            tracing::warn!(
                db = Side::Northbound.short(),
                "transit switches: not ready in time"
            );
        }
    }

    /// Goes on looking where a number is to be kept; otherwise there is nothing more to do.
    pub async fn keep(mut self) {
        if !matches!(self.wanted, Wanted::Number { .. }) {
            return;
        }
        loop {
            tokio::time::sleep(self.every).await;
            self.round().await;
        }
    }

    /// The same for a member of a cluster: only whoever leads does it.
    pub async fn keep_as_leader(mut self, mut place: watch::Receiver<Place>) {
        let mut started = false;
        loop {
            let leads = place.wait_for(|place| place.leading.is_some());
            if leads.await.is_err() {
                return;
            }
            if !started {
                started = true;
                self.start().await;
            }
            if !matches!(self.wanted, Wanted::Number { .. }) {
                return;
            }
            tokio::time::sleep(self.every).await;
            if place.borrow().leading.is_some() {
                self.round().await;
            }
        }
    }

    async fn round(&mut self) {
        let db = Side::Northbound.short();
        match self.settle().await {
            Ok(says) => {
                for line in says {
                    tracing::info!(db, "{line}");
                }
                self.complaint = None;
            }
            Err(complaint) => {
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!(db, "transit switches: {complaint}");
                }
                self.complaint = Some(complaint);
            }
        }
    }

    /// One way from what there is to what is wanted; gives what was done.
    async fn settle(&self) -> Result<Vec<String>, String> {
        for _ in 0..ATTEMPTS {
            let version = self.database.committed().version.clone();
            let present = present(&version)?;
            let plan = plan(&self.wanted, &present);
            if plan.operations.is_empty() {
                return Ok(Vec::new());
            }
            let results = own_transaction::execute(&self.database, &version, plan.params()).await?;
            match own_transaction::first_error(&results)? {
                None => return Ok(plan.says),
                // A guard: the rows are no longer what the plan was made for.
                Some(error) if error == "timed out" => {}
                Some(error) => return Err(error),
            }
        }
        Err(format!("changed by others {ATTEMPTS} times in a row"))
    }
}

/// The rows of `Transit_Switch`.
pub(crate) fn present(version: &Version) -> Result<Vec<TransitSwitch>, String> {
    let schema = version.schema();
    let found = schema.find("Transit_Switch").and_then(|id| {
        let table = schema.table(id);
        Some((id, table.find("name")?, table.find("external_ids")?))
    });
    let Some((table, name, external_ids)) = found else {
        return Err(format!("schema {} does not have them", schema.version));
    };
    let rows = version.table(table).rows();
    Ok(rows
        .map(|row| TransitSwitch {
            uuid: row.uuid().to_string(),
            name: row
                .get(name)
                .atoms()
                .first()
                .and_then(|atom| atom.as_str())
                .unwrap_or_default()
                .to_owned(),
            external_ids: row
                .get(external_ids)
                .pairs()
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?.into(), value.as_str()?.into())))
                .collect(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::Schema;
    use ovsdb_server::ordering::Unbacked;

    fn names(database: &Database) -> Vec<String> {
        let rows = present(&database.committed().version).expect("the table");
        let mut names: Vec<_> = rows.into_iter().map(|row| row.name).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn the_number_is_kept() {
        let schema = Schema::from_text(Side::Northbound.schema().as_bytes()).expect("a schema");
        let version = Version::empty(Arc::new(schema));
        let database = Database::new(version, Box::new(Unbacked), Box::new(|| {}));
        for (count, kept) in [(3, &["ts", "ts1", "ts2"][..]), (1, &["ts"]), (0, &[])] {
            let wanted = Wanted::Number {
                count,
                families: crate::transit_switches::Families::V4,
            };
            let mut keeper = SwitchKeeper::new(database.clone(), wanted, Duration::ZERO);
            keeper.start().await;
            assert_eq!(keeper.complaint, None);
            assert_eq!(names(&database), kept);
            assert_eq!(
                keeper.settle().await,
                Ok(Vec::new()),
                "nothing is left to do"
            );
        }
    }
}
