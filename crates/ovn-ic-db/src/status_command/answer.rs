//! What a server says of a database, or why it says nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ovsdb::{Schema, Uuid};
use ovsdb_server::report::DatabaseReport;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One server's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where it was asked.
    pub remote: String,
    /// What it said.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The addresses that the remote stands for; none of a Unix socket.
    #[serde(skip)]
    pub at: Vec<SocketAddr>,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A server of our kind.
    Report(Box<DatabaseReport>),
    /// Any other OVSDB server.
    Server(Box<ServerRow>),
    /// No answer, or no such database: why.
    Error(String),
}

/// What any OVSDB server says of a database in `_Server`, and what the data say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRow {
    /// `standalone`, `clustered` or `relay`.
    pub model: String,
    /// It can be read and written there.
    pub connected: bool,
    /// The server leads, or is alone.
    pub leader: bool,
    /// The cluster's id.
    pub cluster_id: Option<Uuid>,
    /// The server's id.
    pub server_id: Option<Uuid>,
    /// The last applied entry of the log.
    pub index: Option<u64>,
    /// The schema's version.
    pub schema_version: Option<String>,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
}

impl ServerRow {
    /// Reads a row of `_Server`'s table `Database` as `select` gives it, and its schema, too.
    pub fn read(row: &Value) -> (ServerRow, Option<Schema>) {
        let text = |column: &str| row[column].as_str().map(str::to_owned);
        let flag = |column: &str| row[column].as_bool().unwrap_or(false);
        // An empty set stands for nothing; and zeros do for the cluster that is not known yet.
        let uuid = |column: &str| match &row[column] {
            Value::Array(pair) if pair.first()?.as_str()? == "uuid" => {
                let id: Uuid = pair.get(1)?.as_str()?.parse().ok()?;
                (!id.is_nil()).then_some(id)
            }
            _ => None,
        };
        let schema = text("schema").and_then(|text| Schema::from_text(text.as_bytes()).ok());
        let server = ServerRow {
            model: text("model").unwrap_or_default(),
            connected: flag("connected"),
            leader: flag("leader"),
            cluster_id: uuid("cid"),
            server_id: uuid("sid"),
            index: row["index"].as_u64(),
            schema_version: schema.as_ref().map(|schema| schema.version.clone()),
            rows: BTreeMap::new(),
        };
        (server, schema)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_of_all_models_are_read() {
        let schema =
            r#"{"name":"D","version":"1.2.3","tables":{"T":{"columns":{"c":{"type":"string"}}}}}"#;
        let id: Uuid = "00000000-0000-4000-8000-000000000001".parse().expect("id");
        let (row, read) = ServerRow::read(&json!({
            "model": "clustered", "connected": true, "leader": false, "schema": schema,
            "cid": ["uuid", id], "sid": ["set", []], "index": 7
        }));
        let expected = ServerRow {
            model: "clustered".to_owned(),
            connected: true,
            cluster_id: Some(id),
            index: Some(7),
            schema_version: Some("1.2.3".to_owned()),
            ..ServerRow::default()
        };
        assert_eq!(row, expected);
        assert_eq!(read.expect("a schema").tables.len(), 1);
        let joining = json!({
            "model": "clustered", "schema": ["set", []], "index": ["set", []],
            "cid": ["uuid", "00000000-0000-0000-0000-000000000000"]
        });
        let (row, read) = ServerRow::read(&joining);
        assert!(!row.connected && row.index.is_none() && read.is_none());
        assert_eq!(row.cluster_id, None);
    }
}
