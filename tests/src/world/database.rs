//! Looking into a running database over a raw connection that is kept, so
//! that a wait costs no process for each look.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::status::announcement;
use crate::process::wait_for;

/// How long anything in the world may take to converge.
///
/// Most take milliseconds, but a client that has lost its server waits up to
/// 8 s before it tries again, and a machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// One database behind a Unix socket, or behind that of the leader of several servers, reconnected to
/// whenever that is needed.
#[derive(Debug)]
pub struct Database {
    sockets: Vec<PathBuf>,
    name: &'static str,
    client: Option<Client>,
}

/// One row as `select` gives it: column name to RFC 7047 value.
pub type Row = serde_json::Map<String, Value>;

impl Database {
    /// The database `name` behind `socket`; nothing is connected yet.
    #[must_use]
    pub fn new(socket: PathBuf, name: &'static str) -> Self {
        Self::among(vec![socket], name)
    }

    /// The database `name` of that of several servers which leads.
    #[must_use]
    pub fn among(sockets: Vec<PathBuf>, name: &'static str) -> Self {
        Self {
            sockets,
            name,
            client: None,
        }
    }

    /// Its socket, or the first one.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.sockets.first().map_or(Path::new(""), PathBuf::as_path)
    }

    fn client(&mut self) -> Result<&mut Client> {
        if self.client.is_none() {
            self.client = Some(self.connect()?);
        }
        self.client.as_mut().context("just connected")
    }

    fn connect(&self) -> Result<Client> {
        if let [socket] = self.sockets.as_slice() {
            return Ok(Client::unix(socket)?);
        }
        let leading = |socket: &PathBuf| {
            let mut client = Client::unix(socket).ok()?;
            let told = announcement(&mut client, self.name).ok()?;
            told.leader.then_some(client)
        };
        let leader = self.sockets.iter().find_map(leading);
        leader.with_context(|| format!("nobody leads {}", self.name))
    }

    /// Asks on the connection that there is, and if it turns out to be one to a
    /// server that is gone, on a new one.
    fn ask<T>(&mut self, question: impl Fn(&mut Client) -> Result<T>) -> Result<T> {
        let kept = self.client.is_some();
        let answer = question(self.client()?);
        if answer.is_ok() {
            return answer;
        }
        self.client = None;
        if kept {
            question(self.client()?)
        } else {
            answer
        }
    }

    /// The rows of `table` for which `conditions` (an RFC 7047 `where`) hold.
    ///
    /// # Errors
    /// If the server is not there or refuses.
    pub fn select(&mut self, table: &str, conditions: Value) -> Result<Vec<Row>> {
        let name = self.name;
        let operation = json!({"op": "select", "table": table, "where": conditions});
        let results = self.ask(|client| client.transact(name, std::slice::from_ref(&operation)))?;
        let rows = results
            .first()
            .and_then(|result| result.get("rows"))
            .and_then(Value::as_array)
            .with_context(|| format!("select in {table}: {results:?}"))?;
        Ok(rows
            .iter()
            .filter_map(|row| row.as_object().cloned())
            .collect())
    }

    /// Waits until the rows that [`Database::select`] finds please `holds`, and
    /// gives them. A server that is away is one that has not pleased yet.
    ///
    /// # Errors
    /// If that takes longer than [`DEADLINE`], with the last rows.
    pub fn wait_for(
        &mut self,
        what: &str,
        table: &str,
        conditions: Value,
        holds: impl Fn(&[Row]) -> bool,
    ) -> Result<Vec<Row>> {
        let mut last = String::new();
        wait_for(what, DEADLINE, || {
            match self.select(table, conditions.clone()) {
                Ok(rows) if holds(&rows) => Ok(Some(rows)),
                Ok(rows) => {
                    last = format!("{rows:?}");
                    Ok(None)
                }
                Err(error) => {
                    last = format!("{error:#}");
                    Ok(None)
                }
            }
        })
        .with_context(|| format!("{}, table {table}, last seen: {last:.2000}", self.name))
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// As [`Database::wait_for`].
    pub fn wait_until_served(&mut self, table: &str) -> Result<()> {
        self.client = None;
        self.wait_for("the server's answer", table, json!([]), |_| true)?;
        Ok(())
    }

    /// Every row of every table with its UUID, in an order that does not
    /// depend on the server.
    ///
    /// # Errors
    /// If the server is not there.
    pub fn contents(&mut self) -> Result<Vec<String>> {
        let name = self.name;
        let schema = self.ask(|client| client.call("get_schema", json!([name])))?;
        let tables: Vec<String> = schema
            .get("tables")
            .and_then(Value::as_object)
            .context("a schema without tables")?
            .keys()
            .cloned()
            .collect();
        let mut lines = Vec::new();
        for table in tables {
            for mut row in self.select(&table, json!([]))? {
                // Made anew for each process that serves the row.
                row.remove("_version");
                lines.push(format!("{table} {}", Value::Object(row)));
            }
        }
        lines.sort();
        Ok(lines)
    }
}

/// A column of a row as text, empty if it is not one.
#[must_use]
pub fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// The UUID that a column (of exactly one UUID) holds, empty if none.
#[must_use]
pub fn uuid<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column)
        .and_then(|value| value.get(1))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// What a map column of texts has under `key`.
#[must_use]
pub fn entry<'a>(row: &'a Row, column: &str, key: &str) -> Option<&'a str> {
    row.get(column)?
        .get(1)?
        .as_array()?
        .iter()
        .find(|pair| pair.get(0).and_then(Value::as_str) == Some(key))?
        .get(1)?
        .as_str()
}
