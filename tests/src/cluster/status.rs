//! What a member says about its cluster.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::interconnect::Side;

/// How long a member may take for one question, before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `cluster/status` prints, as far as the tests want it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `cluster member`, `joining cluster`, ...
    pub status: String,
    /// `leader`, `follower`, `candidate`.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// `self`, `unknown`, or the beginning of a server id.
    pub leader: String,
    /// The server id, whole.
    pub server_id: String,
    /// The servers of its newest configuration: the beginning of each one's id
    /// and its address (`tcp:IP:PORT`).
    pub servers: Vec<(String, String)>,
}

impl Status {
    /// Asks a member over its control socket.
    ///
    /// # Errors
    /// If it does not answer in time, or not as `cluster/status` does.
    pub fn ask(control_socket: &Path, side: Side) -> Result<Self> {
        let mut client = Client::unix(control_socket)?;
        client.deadline = PATIENCE;
        let answer = client.call("cluster/status", json!([side.database()]))?;
        let text = answer.as_str();
        Self::parse(text.with_context(|| format!("not a text: {answer}"))?)
    }

    /// Reads the text of `cluster/status`.
    ///
    /// # Errors
    /// If a line that every member prints is missing.
    pub fn parse(text: &str) -> Result<Self> {
        let line = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .with_context(|| format!("no line {name:?} in:\n{text}"))
        };
        let id = line("Server ID")?;
        let id = id.split(['(', ')']).nth(1).unwrap_or(id);
        let servers = text
            .lines()
            .skip_while(|line| *line != "Servers:")
            .skip(1)
            .filter_map(|line| {
                let (_, rest) = line.strip_prefix("    ")?.split_once('(')?;
                let (short, rest) = rest.split_once(" at ")?;
                let (address, _) = rest.split_once(')')?;
                Some((short.to_owned(), address.to_owned()))
            });
        Ok(Self {
            status: line("Status")?.to_owned(),
            role: line("Role")?.to_owned(),
            term: line("Term")?.parse().context("the term")?,
            leader: line("Leader")?.to_owned(),
            server_id: id.to_owned(),
            servers: servers.collect(),
        })
    }
}

/// A member's row of `_Server.Database` for one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// It leads.
    pub leader: bool,
    /// It is in contact with a majority.
    pub connected: bool,
    /// How far it has applied the log; `None` before it has joined.
    pub index: Option<i64>,
}

/// Asks a member over an open connection what it tells clients.
///
/// # Errors
/// If it does not answer, or has no such database.
pub fn announcement(client: &mut Client, database: &str) -> Result<Announcement> {
    let select = json!({"op": "select", "table": "Database",
        "where": [["name", "==", database]], "columns": ["leader", "connected", "index"]});
    let results = client.transact("_Server", &[select])?;
    let row = &results[0]["rows"][0];
    let flag = |name: &str| row[name].as_bool().with_context(|| format!("{results:?}"));
    Ok(Announcement {
        leader: flag("leader")?,
        connected: flag("connected")?,
        index: row["index"].as_i64(),
    })
}

/// The same over a connection of its own.
///
/// # Errors
/// As [`announcement`], and if nobody listens.
pub fn announced(socket: &Path, side: Side) -> Result<Announcement> {
    let mut client = Client::unix(socket)?;
    client.deadline = PATIENCE;
    announcement(&mut client, side.database())
}

/// What keeps a member of ours from being well, in its own words.
///
/// # Errors
/// If it does not answer in time, or is none of ours.
pub fn troubles(socket: &Path, side: Side) -> Result<Vec<String>> {
    let mut client = Client::unix(socket)?;
    client.deadline = PATIENCE;
    let report = client.call("ovn_ic_db.status", json!([side.database()]))?;
    let troubles = report["member"]["troubles"].clone();
    serde_json::from_value(troubles).with_context(|| format!("no troubles: {report}"))
}

/// Whether the results of a transaction hold an error, and which.
#[must_use]
pub fn error_in(results: &[Value]) -> Option<&str> {
    results
        .iter()
        .find_map(|result| result.get("error")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read() -> Result<()> {
        let text = "d2cc\nName: OVN_IC_Northbound\nCluster ID: cc11 (cc11f9d4-15fb-4457-9e58-ce8b520518cf)\n\
            Server ID: d2cc (d2cc3669-7d42-4d1d-b552-ba17f1dd3186)\nAddress: tcp:127.9.9.2:6647\n\
            Status: cluster member\nRole: follower\nTerm: 7\nLeader: 9171\nVote: unknown\n\n\
            Election timer: 1000\nLog: [2, 5]\nServers:\n    9171 (9171 at tcp:127.9.9.1:6647) last msg 325 ms ago\n    \
            d2cc (d2cc at tcp:[::1]:6647) (self)\n";
        let status = Status::parse(text)?;
        let servers = [("9171", "tcp:127.9.9.1:6647"), ("d2cc", "tcp:[::1]:6647")];
        let expected = Status {
            status: "cluster member".into(),
            role: "follower".into(),
            term: 7,
            leader: "9171".into(),
            server_id: "d2cc3669-7d42-4d1d-b552-ba17f1dd3186".into(),
            servers: servers.map(|(id, at)| (id.into(), at.into())).to_vec(),
        };
        assert_eq!(status, expected);
        assert!(Status::parse("Status: cluster member\n").is_err());
        Ok(())
    }
}
