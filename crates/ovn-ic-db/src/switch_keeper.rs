//! Makes the transit switches what the settings ask for, as a client inside the program.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_cluster::replica::Place;
use ovsdb_engine::{Transaction, Version};
use ovsdb_server::database::{Answer, Database, Job, JobKey};
use tokio::sync::{oneshot, watch};

use crate::schemas::Side;
use crate::transit_switches::{TransitSwitch, Wanted, plan};

/// How often a plan is made anew because somebody else was faster.
const ATTEMPTS: u32 = 5;
/// How long the first round may hold up the clients.
const FIRST_ROUND: Duration = Duration::from_secs(2);

/// No session has this number, and the keeper's transactions never wait.
const KEY: JobKey = JobKey {
    session: u64::MAX,
    number: 0,
};

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
            let results = self.execute(&version, plan.params()).await?;
            match first_error(&results)? {
                None => return Ok(plan.says),
                // A guard: the rows are no longer what the plan was made for.
                Some(error) if error == "timed out" => {}
                Some(error) => return Err(error),
            }
        }
        Err(format!("changed by others {ATTEMPTS} times in a row"))
    }

    async fn execute(&self, version: &Version, params: String) -> Result<Vec<u8>, String> {
        let text = Bytes::from(params);
        let document = Document::parse(text.clone()).map_err(|error| error.to_string())?;
        let transaction = Transaction::parse(document.root(), version.schema(), Uuid::new_v4);
        let (sender, results) = oneshot::channel();
        self.database.submit(Job {
            key: KEY,
            transaction,
            read_only: false,
            arrived: Instant::now(),
            owns_lock: Arc::new(|_| false),
            answer: Arc::new(Reply(Mutex::new(Some(sender)))),
            text,
            id: None,
            order: 0,
            passed_on_in: None,
        });
        results.await.map_err(|_| "the database is gone".to_owned())
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

/// What the first operation that failed says.
fn first_error(results: &[u8]) -> Result<Option<String>, String> {
    let document = Document::parse(results).map_err(|error| error.to_string())?;
    let error = document.root().elements().find_map(|result| {
        let error = result.member("error")?.string()?.into_owned();
        let details = result
            .member("details")
            .and_then(|details| details.string());
        Some(match details {
            Some(details) if error != "timed out" => format!("{error}: {details}"),
            _ => error,
        })
    });
    Ok(error)
}

struct Reply(Mutex<Option<oneshot::Sender<Vec<u8>>>>);

impl Answer for Reply {
    fn done(&self, results: Vec<u8>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The keeper may have stopped waiting.
            let _ = sender.send(results);
        }
    }

    /// Never: the guards' timeout is 0.
    fn blocked(&self, _: Option<u64>) {}

    /// The next round begins with the new schema.
    fn canceled(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The next round sees what has come of it.
    fn unknown(&self) {
        self.canceled();
    }
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

    #[test]
    fn errors_are_found_in_results() {
        for (results, error) in [
            ("[]", None),
            (r#"[{},null,{"count":1}]"#, None),
            (
                r#"[{},{"error":"timed out","details":"x"},null]"#,
                Some("timed out"),
            ),
            (
                r#"[{},{},{"error":"constraint violation","details":"why"}]"#,
                Some("constraint violation: why"),
            ),
        ] {
            let found = first_error(results.as_bytes()).expect("JSON");
            assert_eq!(found.as_deref(), error);
        }
    }
}
