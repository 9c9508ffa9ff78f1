//! Asking all servers at once.

use std::net::SocketAddr;
use std::time::Duration;

use ovsdb::Schema;
use ovsdb_cluster::address::Address;
use ovsdb_server::report;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::answer::{Answer, Outcome, ServerRow};
use crate::client::{CallError, Client, Remotes, quoted};
use crate::schemas::Side;

/// Asks everybody about both databases; the answers are in the order of the remotes. Who does not
/// answer within the limit counts as gone.
pub async fn ask_all(remotes: &Remotes, limit: Duration) -> [Vec<Answer>; 2] {
    let asked = Side::BOTH.map(|side| {
        let remotes = remotes.of(side).iter();
        let asked = remotes.map(|remote| {
            let task = tokio::spawn(ask(remote.clone(), side.database(), limit));
            (task, remote)
        });
        asked.collect::<Vec<_>>()
    });
    let [northbound, southbound] = asked;
    [collect(northbound).await, collect(southbound).await]
}

async fn collect(asked: Vec<(JoinHandle<Answer>, &Address)>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (task, remote) in asked {
        answers.push(task.await.unwrap_or_else(|error| Answer {
            remote: remote.to_string(),
            outcome: Outcome::Error(error.to_string()),
            at: Vec::new(),
        }));
    }
    answers
}

async fn ask(remote: Address, database: &'static str, limit: Duration) -> Answer {
    let asking = tokio::time::timeout(limit, ask_patiently(&remote, database));
    let looking = tokio::time::timeout(limit, addresses(&remote));
    let (asked, at) = tokio::join!(asking, looking);
    let outcome = match asked {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Error(error.to_string()),
        Err(_) => Outcome::Error(format!("no answer within {} s", limit.as_secs())),
    };
    Answer {
        remote: remote.to_string(),
        outcome,
        at: at.unwrap_or_default(),
    }
}

/// Where a remote is; a name may stand for several addresses.
async fn addresses(remote: &Address) -> Vec<SocketAddr> {
    let Address::Network { host, port, .. } = remote else {
        return Vec::new();
    };
    match remote.ip_and_port() {
        Some(address) => vec![address.into()],
        None => {
            let found = tokio::net::lookup_host((host.to_resolve(), *port)).await;
            found.map(Iterator::collect).unwrap_or_default()
        }
    }
}

async fn ask_patiently(remote: &Address, database: &str) -> Result<Outcome, CallError> {
    let mut client = Client::connect(remote).await?;
    let params = format!("[{}]", quoted(database));
    match client.call(report::METHOD, &params).await {
        Ok(result) => match serde_json::from_slice(&result) {
            Ok(report) => Ok(Outcome::Report(Box::new(report))),
            // Perhaps one of another version.
            Err(_) => ask_reference(&mut client, database).await,
        },
        Err(CallError::UnknownMethod) => ask_reference(&mut client, database).await,
        Err(error) => Err(error),
    }
}

/// What can be learned from a server that is not ours.
async fn ask_reference(client: &mut Client, database: &str) -> Result<Outcome, CallError> {
    let select = json!(["_Server", {
        "op": "select", "table": "Database", "where": [["name", "==", database]],
        "columns": ["model", "connected", "leader", "schema", "cid", "sid", "index"]
    }]);
    let results = transact(client, &select).await?;
    let Some(row) = results.first().and_then(|result| result["rows"].get(0)) else {
        let why = format!("does not serve {database}");
        return Ok(Outcome::Error(why));
    };
    let (mut server, schema) = ServerRow::read(row);
    if let Some(schema) = schema {
        count_rows(client, database, &schema, &mut server).await?;
    }
    Ok(Outcome::Server(Box::new(server)))
}

async fn count_rows(
    client: &mut Client,
    database: &str,
    schema: &Schema,
    server: &mut ServerRow,
) -> Result<(), CallError> {
    let tables = || schema.tables.iter().map(|table| table.name.to_string());
    let selects = tables()
        .map(|table| json!({"op": "select", "table": table, "where": [], "columns": ["_uuid"]}));
    let params: Vec<Value> = [json!(database)].into_iter().chain(selects).collect();
    let results = transact(client, &Value::Array(params)).await?;
    for (table, result) in tables().zip(results) {
        if let Some(rows) = result["rows"].as_array() {
            let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            server.rows.insert(table, count);
        }
    }
    Ok(())
}

async fn transact(client: &mut Client, params: &Value) -> Result<Vec<Value>, CallError> {
    let results = client.call("transact", &params.to_string()).await?;
    serde_json::from_slice(&results).map_err(|error| CallError::Protocol(error.to_string()))
}
