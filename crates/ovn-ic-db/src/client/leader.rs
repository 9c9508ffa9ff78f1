//! Finding the server of a database that can be written to: the one that is alone, or leads.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use ovsdb::Schema;
use ovsdb_cluster::address::Address;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{CallError, Client};

/// Between two rounds, while a cluster elects a leader.
const PAUSE: Duration = Duration::from_millis(200);
/// What one server has for its first answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is tried where nobody is at the sockets of this machine: the server may be starting anew.
const START: Duration = Duration::from_secs(1);

/// Which server will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Only one that is alone or leads.
    Leader,
    /// Any one, the farthest in its cluster's log, where nobody leads.
    Any,
}

/// A connection with the server that was chosen.
#[derive(Debug)]
pub struct Leader {
    /// The connection.
    pub client: Client,
    /// Where it is.
    pub remote: Address,
    /// The database's schema.
    pub schema: Arc<Schema>,
    /// Whether it can be written there.
    pub leads: bool,
}

/// One that serves the database, in whatever way.
struct Candidate {
    client: Client,
    schema: Schema,
    leads: bool,
    index: u64,
}

impl Leader {
    /// Asks all servers until one fits, for at most `limit`.
    ///
    /// # Errors
    /// What each of them said last.
    pub async fn find(
        remotes: &[Address],
        database: &'static str,
        choice: Choice,
        limit: Duration,
    ) -> anyhow::Result<Leader> {
        let begin = Instant::now();
        let deadline = begin + limit;
        loop {
            let mut failures = String::new();
            let mut gone = remotes
                .iter()
                .all(|remote| matches!(remote, Address::Unix(_)));
            let mut best: Option<(Candidate, Address)> = None;
            for (remote, asked) in ask_all(remotes, database, limit.min(PATIENCE)) {
                let said = match asked.await {
                    Ok(Ok(candidate)) if candidate.leads => {
                        return Ok(candidate.chosen(remote));
                    }
                    Ok(Ok(candidate)) => {
                        gone = false;
                        let farther =
                            |(best, _): &(Candidate, Address)| best.index >= candidate.index;
                        if !best.as_ref().is_some_and(farther) {
                            best = Some((candidate, remote.clone()));
                        }
                        "is not the leader, or knows of none".to_owned()
                    }
                    Ok(Err(error)) => {
                        gone &= is_nobody(&error);
                        error.to_string()
                    }
                    Err(error) => error.to_string(),
                };
                let _ = write!(failures, "\n  {remote}: {said}");
            }
            if gone && begin.elapsed() >= START.min(limit) {
                anyhow::bail!("{database}: no server is there{failures}");
            }
            if Instant::now() + PAUSE < deadline {
                sleep(PAUSE).await;
                continue;
            }
            return match best {
                Some((candidate, remote)) if choice == Choice::Any => Ok(candidate.chosen(remote)),
                _ => Err(anyhow::anyhow!(
                    "{database}: no server that leads within {} s{failures}",
                    limit.as_secs()
                )),
            };
        }
    }
}

impl Candidate {
    fn chosen(self, remote: Address) -> Leader {
        Leader {
            client: self.client,
            remote,
            schema: Arc::new(self.schema),
            leads: self.leads,
        }
    }
}

type Asked = JoinHandle<Result<Candidate, CallError>>;

/// There is no such socket, or nobody listens at it, or it is not for us.
fn is_nobody(error: &CallError) -> bool {
    use ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let CallError::Io(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        NotFound | ConnectionRefused | PermissionDenied
    )
}

fn ask_all(remotes: &[Address], database: &'static str, limit: Duration) -> Vec<(Address, Asked)> {
    let ask = |remote: &Address| {
        let to = remote.clone();
        let task = tokio::spawn(async move {
            match timeout(limit, ask(&to, database)).await {
                Ok(result) => result,
                Err(_) => {
                    let words = format!("no answer within {} s", limit.as_secs());
                    Err(CallError::Refused(words))
                }
            }
        });
        (remote.clone(), task)
    };
    remotes.iter().map(ask).collect()
}

async fn ask(remote: &Address, database: &str) -> Result<Candidate, CallError> {
    let mut client = Client::connect(remote).await?;
    let row = server_row(&mut client, database).await?;
    let schema = schema_of(&row)?;
    let flag = |column: &str| row[column].as_bool().unwrap_or(false);
    Ok(Candidate {
        client,
        leads: flag("leader") && flag("connected"),
        // One that is alone has none.
        index: row["index"].as_u64().unwrap_or(0),
        schema,
    })
}

/// What `_Server` says of a database.
pub(super) async fn server_row(client: &mut Client, database: &str) -> Result<Value, CallError> {
    let select = json!(["_Server", {
        "op": "select", "table": "Database", "where": [["name", "==", database]],
        "columns": ["model", "connected", "leader", "schema", "index"]
    }]);
    let reply = client.call("transact", &select.to_string()).await?;
    let mut reply: Value =
        serde_json::from_slice(&reply).map_err(|error| CallError::Protocol(error.to_string()))?;
    match reply[0]["rows"][0].take() {
        Value::Null => Err(CallError::Refused(format!("does not serve {database}"))),
        row => Ok(row),
    }
}

/// The schema in such a row.
pub(super) fn schema_of(row: &Value) -> Result<Schema, CallError> {
    let Some(text) = row["schema"].as_str() else {
        let words = "has not joined its cluster yet".to_owned();
        return Err(CallError::Refused(words));
    };
    Schema::from_text(text.as_bytes()).map_err(|error| CallError::Protocol(error.to_string()))
}
