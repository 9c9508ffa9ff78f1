//! TLS of `ovsdb-server`: with other servers, in every service model.

mod bootstrap;
mod following;
mod members;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::keys::Keys;
use ovn_ic_db_tests::process::{
    Options, Program, Server, Source, executable, free_port, require, wait_for,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// An authority, and keys that it has issued.
pub struct Pki(PathBuf);

impl Pki {
    /// Made by our own command, in a new folder.
    pub fn new(folder: &Path, names: &[&str]) -> Result<Pki> {
        let mut command = Command::new(executable(Program::Ours)?);
        command.arg("pki").arg(folder);
        for name in names {
            command.args(["--name", name]);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(Pki(folder.to_owned()))
    }

    pub fn keys(&self, name: &str) -> Keys {
        Keys {
            key: self.0.join(format!("{name}.key")),
            certificate: self.0.join(format!("{name}.cert")),
            authority: self.authority(),
        }
    }

    fn authority(&self) -> PathBuf {
        self.0.join("cacert")
    }
}

/// Keys that were [put](Keys::put) into a folder, where others may take their place.
fn keys_in(folder: &Path) -> Keys {
    Keys {
        key: folder.join("key"),
        certificate: folder.join("cert"),
        authority: folder.join("cacert"),
    }
}

/// Starts a server with keys.
pub fn start(program: Program, source: &Source, keys: &Keys, more: &[String]) -> Result<Server> {
    start_with(program, source, &keys.options(), more)
}

/// Starts a server with these arguments.
fn start_with(
    program: Program,
    source: &Source,
    keys: &[String],
    more: &[String],
) -> Result<Server> {
    let options = Options {
        arguments: keys.iter().chain(more).map(Into::into).collect(),
        ..Options::default()
    };
    Server::start(program, source, &options)
}

/// A new database of this name.
pub fn new_database(name: &str) -> Source {
    Source::SchemaText(crate::schema(name))
}

/// A free port, and the option to listen at it by TLS.
pub fn listening() -> Result<(u16, String)> {
    let port = free_port()?;
    Ok((port, format!("--remote=pssl:{port}:127.0.0.1")))
}

fn insert(server: &Server, n: i64) -> Result<Value> {
    let row = json!({"op": "insert", "table": "T", "row": {"n": n}});
    Ok(json!(server.client()?.transact("D", &[row])?))
}

/// Writes a number into a server's database.
pub fn write(server: &Server, n: i64) -> Result<()> {
    let results = insert(server, n).with_context(|| server.said())?;
    ensure!(results[0]["uuid"].is_array(), "{results}");
    Ok(())
}

/// All numbers of a database.
pub fn select() -> Value {
    json!({"op": "select", "table": "T", "where": [], "columns": ["n"]})
}

/// Waits until a server's database has just these numbers.
pub fn wait_for_numbers(server: &Server, numbers: &[i64]) -> Result<()> {
    let select = select();
    let found = wait_for("the numbers", PATIENCE, || {
        let results = server
            .client()?
            .transact("D", std::slice::from_ref(&select));
        let Ok(results) = results else {
            return Ok(None);
        };
        let rows = results[0]["rows"].as_array().cloned().unwrap_or_default();
        let mut found: Vec<i64> = rows.iter().filter_map(|row| row["n"].as_i64()).collect();
        found.sort_unstable();
        Ok((found == numbers).then_some(()))
    });
    found.with_context(|| format!("{numbers:?}: {}", server.said()))
}

/// Waits until a line of a server's log has all these words.
fn wait_for_line(server: &Server, words: &[&str]) -> Result<()> {
    let found = wait_for("a line", PATIENCE, || {
        let said = fs::read_to_string(server.log()).unwrap_or_default();
        let has = |line: &str| words.iter().all(|word| line.contains(word));
        Ok(said.lines().any(has).then_some(()))
    });
    found.with_context(|| format!("{words:?} in: {}", server.said()))
}

/// The subject of the certificate that is shown at a port to a client of these keys.
fn shown_at(port: u16) -> Result<String> {
    let output = Command::new(require("openssl", "openssl")?)
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let subject = text.lines().find(|line| line.starts_with("subject="));
    Ok(subject.with_context(|| text.clone())?.to_owned())
}

/// Waits until the certificate that is shown at a port has this name.
fn wait_until_shown(port: u16, name: &str) -> Result<()> {
    let found = wait_for("the certificate", PATIENCE, || {
        Ok(shown_at(port)?.contains(name).then_some(()))
    });
    found.with_context(|| format!("{name} at {port}"))
}

/// What `ovsdb-client list-dbs` says of a port, or how it fails.
fn list(port: u16, keys: &Keys) -> Result<String> {
    let output = Command::new(require("ovsdb-client", "openvswitch-common")?)
        .args(["--timeout=5", "list-dbs", &format!("ssl:127.0.0.1:{port}")])
        .args(keys.options())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}
