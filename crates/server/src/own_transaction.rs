//! Transactions that the program itself executes, as a client inside of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_engine::{Transaction, Version};
use tokio::sync::oneshot;

use crate::database::{Answer, Database, Job, JobKey};

/// No session has this number, and these transactions never wait.
const KEY: JobKey = JobKey {
    session: u64::MAX,
    number: 0,
};

/// Executes a transaction that was made for `version`, and waits until it is kept. `params` is as
/// in RFC 7047 section 4.1.3; a `wait` in it must have a timeout of 0. Gives the results.
///
/// # Errors
/// Words that say why there are no results: the database has another schema by now, is gone, or
/// nobody knows what became of the transaction.
pub async fn execute(
    database: &Database,
    version: &Version,
    params: String,
) -> Result<Vec<u8>, String> {
    let text = Bytes::from(params);
    let document = Document::parse(text.clone()).map_err(|error| error.to_string())?;
    let transaction = Transaction::parse(document.root(), version.schema(), Uuid::new_v4);
    let (sender, results) = oneshot::channel();
    database.submit(Job {
        key: KEY,
        transaction,
        read_only: false,
        role: None,
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

/// What the first operation that failed says.
///
/// # Errors
/// If the results are no JSON.
pub fn first_error(results: &[u8]) -> Result<Option<String>, String> {
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
            // Who asked may have stopped waiting.
            let _ = sender.send(results);
        }
    }

    /// Never: a timeout of 0 is over at once.
    fn blocked(&self, _: Option<u64>) {}

    /// The next one will be made for the new schema.
    fn canceled(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The next one sees what has come of it.
    fn unknown(&self) {
        self.canceled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
