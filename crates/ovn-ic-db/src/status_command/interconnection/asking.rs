//! Reading both databases' contents over their client ports, with nothing but OVSDB's own methods:
//! it works with every server.

use std::time::Duration;

use ovsdb_cluster::address::Address;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::super::summary;
use super::building::Read;
use super::tables::{self, Contents, Tables};
use crate::client::{CallError, Client, Remotes, quoted};
use crate::schemas::Side;

/// Reads the northbound and the southbound, each from the best of the servers that have answered
/// when they were asked for their state. Each of them has `limit` for it.
pub async fn read(remotes: &Remotes, answers: &[Vec<Answer>; 2], limit: Duration) -> [Read; 2] {
    let [north, south] = answers;
    let northbound = read_side(Side::Northbound, remotes, north, limit);
    let southbound = read_side(Side::Southbound, remotes, south, limit);
    let (northbound, southbound) = tokio::join!(northbound, southbound);
    [northbound, southbound]
}

async fn read_side(side: Side, remotes: &Remotes, answers: &[Answer], limit: Duration) -> Read {
    let mut failure = format!("nobody answers for {}", side.database());
    for place in summary::by_usefulness(answers) {
        let Some(remote) = remotes.of(side).get(place) else {
            continue;
        };
        let reading = tokio::time::timeout(limit, read_server(side, remote));
        failure = match reading.await {
            Ok(Ok(contents)) => return Ok(contents),
            Ok(Err(error)) => format!("{remote}: {error}"),
            Err(_) => format!("{remote}: no answer within {} s", limit.as_secs()),
        };
    }
    Err(failure)
}

async fn read_server(side: Side, remote: &Address) -> Result<Contents, CallError> {
    let mut client = Client::connect(remote).await?;
    let database = side.database();
    let params = format!("[{}]", quoted(database));
    let schema = parsed(&client.call("get_schema", &params).await?)?;
    let wanted = match side {
        Side::Northbound => tables::NORTHBOUND,
        Side::Southbound => tables::SOUTHBOUND,
    };
    let (tables, selects): (Vec<&'static str>, Vec<Value>) =
        tables::selects(wanted, &schema).into_iter().unzip();
    // All in one transaction: the rows are of one moment.
    let mut params = vec![json!(database)];
    params.extend(selects);
    let results = client
        .call("transact", &Value::Array(params).to_string())
        .await?;
    let Value::Array(results) = parsed(&results)? else {
        return Err(CallError::Protocol("no array of results".to_owned()));
    };
    Ok(Contents {
        remote: remote.to_string(),
        tables: Tables::read(&tables, results).map_err(CallError::Refused)?,
    })
}

fn parsed(json: &[u8]) -> Result<Value, CallError> {
    serde_json::from_slice(json).map_err(|error| CallError::Protocol(error.to_string()))
}
