//! A server with remotes of its own database, which limit their clients.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::keys::{Authority, Keys};
use ovn_ic_db_tests::process::{Options, Program, Server, Source, free_port, require, wait_for};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// What limits the clients of a remote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limits {
    /// Their role; the empty one is none.
    pub role: String,
    /// They may only read.
    pub read_only: bool,
}

/// Where its clients come in: plain ones, and those with certificates.
#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: SocketAddr,
    tls: SocketAddr,
}

/// A server on a database with the tables `Root` and `Connection` besides those of a schema.
pub struct Limited {
    server: Server,
    ports: BTreeMap<Limits, Ports>,
}

/// Keys of the server and of clients, by their names.
pub struct People {
    server: Keys,
    clients: BTreeMap<String, Keys>,
}

impl People {
    /// New ones.
    pub fn new<'a>(folder: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<People> {
        let authority = Authority::new(&folder.join("authority"))?;
        let mut clients = BTreeMap::new();
        for name in names {
            clients.insert(name.to_owned(), authority.issue_exactly(name)?);
        }
        Ok(People {
            server: authority.issue("server")?,
            clients,
        })
    }
}

impl Limited {
    /// Starts one, with two remotes for each limits.
    pub fn start(
        program: Program,
        schema: &str,
        people: &People,
        all: impl IntoIterator<Item = Limits>,
    ) -> Result<Limited> {
        let mut schema: Value = serde_json::from_str(schema)?;
        let connection = json!({"key": {"type": "uuid", "refTable": "Connection"},
            "min": 0, "max": "unlimited"});
        schema["tables"]["Root"] =
            json!({"isRoot": true, "columns": {"connections": {"type": connection}}});
        schema["tables"]["Connection"] = json!({"columns": {
            "target": {"type": "string"},
            "role": {"type": "string"},
            "read_only": {"type": {"key": "boolean", "min": 0, "max": 1}}}});
        let name = schema["name"].as_str().context("a name")?.to_owned();
        let mut arguments = vec![OsString::from(format!(
            "--remote=db:{name},Root,connections"
        ))];
        arguments.extend(people.server.options().map(OsString::from));
        let options = Options {
            arguments,
            ..Options::default()
        };
        let server = Server::start(program, &Source::SchemaText(schema.to_string()), &options)?;
        let mut limited = Limited {
            server,
            ports: BTreeMap::new(),
        };
        limited.open(&name, all)?;
        Ok(limited)
    }

    fn open(&mut self, name: &str, all: impl IntoIterator<Item = Limits>) -> Result<()> {
        let mut operations = Vec::new();
        let mut connections = Vec::new();
        for limits in all {
            let address =
                || Ok::<_, anyhow::Error>(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
            let ports = Ports {
                plain: address()?,
                tls: address()?,
            };
            for (scheme, at) in [("ptcp", ports.plain), ("pssl", ports.tls)] {
                let id = format!("c{}", connections.len());
                let target = format!("{scheme}:{}:{}", at.port(), at.ip());
                let row = json!({"target": target, "role": limits.role,
                    "read_only": limits.read_only});
                operations.push(
                    json!({"op": "insert", "table": "Connection", "uuid-name": id, "row": row}),
                );
                connections.push(json!(["named-uuid", id]));
            }
            self.ports.insert(limits, ports);
        }
        let row = json!({"connections": ["set", connections]});
        operations.push(json!({"op": "insert", "table": "Root", "row": row}));
        let results = self.server.client()?.transact(name, &operations)?;
        ensure!(
            results.iter().all(|result| result.get("error").is_none()),
            "{results:?}"
        );
        for ports in self.ports.values() {
            for at in [ports.plain, ports.tls] {
                let opened = wait_for("a remote", PATIENCE, || Ok(TcpStream::connect(at).ok()));
                opened.with_context(|| self.server.said())?;
            }
        }
        Ok(())
    }

    /// A client without limits.
    pub fn free(&self) -> Result<Client> {
        self.server.client()
    }

    /// A client without a certificate.
    pub fn plain(&self, limits: &Limits) -> Result<Client> {
        let ports = self.ports.get(limits).context("no such remote")?;
        Ok(Client::tcp(ports.plain)?)
    }

    /// The results of a transaction of a client with a certificate of this name.
    pub fn transact_as(
        &self,
        limits: &Limits,
        people: &People,
        name: &str,
        params: &Value,
    ) -> Result<Value> {
        let ports = self.ports.get(limits).context("no such remote")?;
        let keys = people.clients.get(name).context("no such client")?;
        let output = Command::new(require("ovsdb-client", "openvswitch-common")?)
            .args(["--timeout=20", "transact"])
            .arg(format!("ssl:{}", ports.tls))
            .arg(params.to_string())
            .args(keys.options())
            .output()?;
        ensure!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.server.said()
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
