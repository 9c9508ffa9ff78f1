//! Two well-behaved clients that notice if anything is wrong with a server
//! while others misbehave: one writes, the other one monitors what is written.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::client::{Client, Received};
use crate::differential::symbols::Symbols;
use crate::process::Server;

/// The schema that the witness works with; others may use table `t` as well,
/// without negative numbers.
pub const SCHEMA: &str = r#"{"name":"d","version":"1.0.0","tables":{"t":{"isRoot":true,
 "columns":{"i":{"type":"integer"},"s":{"type":"string"}}}}}"#;

/// The two clients and what they know.
#[derive(Debug)]
pub struct Witness {
    writer: Client,
    watcher: Client,
    written: BTreeSet<i64>,
    last: i64,
}

impl Witness {
    /// Connects to a server whose database has [`SCHEMA`].
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn start(server: &Server) -> Result<Self> {
        let mut watcher = server.client()?;
        let request = json!(["d", "w", {"t": [{"columns": ["i"], "where": [["i", "<", 0]]}]}]);
        watcher.call("monitor_cond", request)?;
        Ok(Self {
            writer: server.client()?,
            watcher,
            written: BTreeSet::new(),
            last: 0,
        })
    }

    /// Writes a row, sees it come, and finds all others still there. Says how
    /// long that took.
    ///
    /// # Errors
    /// If anything of that fails.
    pub fn check(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.last -= 1;
        let row = json!({"i": self.last, "s": "witness"});
        let insert = json!({"op": "insert", "table": "t", "row": row});
        let results = self.writer.transact("d", &[insert]);
        let results = results.context("the witness' insert")?;
        ensure!(
            results[0]["uuid"].is_array(),
            "the witness' insert: {results:?}"
        );
        self.written.insert(self.last);
        let notice = self
            .watcher
            .receive()
            .context("the witness' notification")?;
        ensure!(
            notice["method"] == "update2"
                && notice.to_string().contains(&format!("\"i\":{}", self.last)),
            "the witness was told {notice}"
        );
        let took = start.elapsed();
        let select =
            json!({"op": "select", "table": "t", "where": [["i", "<", 0]], "columns": ["i"]});
        let results = self.writer.transact("d", &[select])?;
        let rows = results[0]["rows"].as_array().context("rows")?;
        let found: BTreeSet<i64> = rows.iter().filter_map(|row| row["i"].as_i64()).collect();
        ensure!(
            found == self.written,
            "{found:?} instead of {:?}",
            self.written
        );
        Ok(took)
    }

    /// How many rows others have written.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn others(&mut self) -> Result<usize> {
        let select =
            json!({"op": "select", "table": "t", "where": [["i", ">=", 0]], "columns": ["i"]});
        let results = self.writer.transact("d", &[select])?;
        Ok(results[0]["rows"].as_array().context("rows")?.len())
    }
}

/// What a server says to bytes of a new client: all its messages, up to the
/// end of the connection or to the answer to an `echo` sent behind them. UUIDs
/// are replaced, and what has no order is put in one.
///
/// # Errors
/// If it says nothing at all in time.
pub fn said_to(server: &Server, bytes: &[u8]) -> Result<Vec<Value>> {
    let mut client = server.client()?;
    // A server that has closed already says so on reading.
    let _ = client.send_bytes(bytes);
    let _ = client.send(&json!({"method": "echo", "params": [], "id": "the end"}));
    let mut said = Vec::new();
    loop {
        match client.receive_within(client.deadline)? {
            Received::Message(message) if message["id"] == "the end" => return Ok(said),
            Received::Message(mut message) => {
                if message.get("method").is_none()
                    && let Some(members) = message.as_object_mut()
                {
                    // In 3.1 an error comes without a result.
                    members.entry("result").or_insert(Value::Null);
                }
                if let Some(list) = message["result"].as_array_mut()
                    && list.iter().all(Value::is_string)
                {
                    list.sort_by_key(Value::to_string);
                }
                said.push(Symbols::default().canonical(&message));
            }
            Received::Closed => {
                said.push(json!("closed"));
                return Ok(said);
            }
            Received::Nothing => anyhow::bail!("no answer to {}", String::from_utf8_lossy(bytes)),
        }
    }
}
