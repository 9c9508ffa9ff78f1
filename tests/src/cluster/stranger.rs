//! Somebody who calls a member's Raft port, and may lie about everything.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::harness::Cluster;
use super::status::Status;
use crate::world::interconnect::Side;

/// How long a member may take to hang up or to take bytes: longer than it waits for a caller's
/// first message.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a stranger knows of the member that it calls: nothing of it is secret.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its Raft port.
    pub address: SocketAddr,
    /// Its cluster's id.
    pub cluster: String,
    /// Its server id.
    pub server: String,
    /// Its term.
    pub term: u64,
}

impl Target {
    /// Asks a node for all that.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn of(cluster: &Cluster, number: usize, side: Side) -> Result<Self> {
        let status: Status = cluster.status(number, side)?;
        let own = |(short, _): &&(String, String)| status.server_id.starts_with(short.as_str());
        let (_, address) = status.servers.iter().find(own).context("its own line")?;
        let address = address.strip_prefix("tcp:").context("a TCP address")?;
        let id = cluster
            .node(number)
            .control(side, "cluster/cid", &[side.database()])?;
        Ok(Self {
            address: address.parse()?,
            cluster: id.trim().to_owned(),
            server: status.server_id,
            term: status.term,
        })
    }

    /// Calls it.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn call(&self) -> io::Result<Stranger> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Stranger(stream))
    }

    /// A message for it, of somebody of its cluster, with these members besides.
    #[must_use]
    pub fn message(&self, method: &str, from: &str, fields: &Value) -> Vec<u8> {
        let mut object = json!({"cluster": self.cluster, "from": from, "to": self.server});
        if let (Some(object), Some(fields)) = (object.as_object_mut(), fields.as_object()) {
            object.extend(fields.clone());
        }
        let message = json!({"id": null, "method": method, "params": [object]});
        message.to_string().into_bytes()
    }

    /// The first message of somebody at an address.
    #[must_use]
    pub fn hello(&self, from: &str, address: &str) -> Vec<u8> {
        self.message("hello_request", from, &json!({"address": address}))
    }
}

/// A connection that a stranger has made.
#[derive(Debug)]
pub struct Stranger(TcpStream);

impl Stranger {
    /// Sends bytes.
    ///
    /// # Errors
    /// If the other side has hung up, or takes nothing more.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.0.shutdown(std::net::Shutdown::Write)
    }

    /// Reads on until the other side hangs up.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let mut some = [0; 4096];
        loop {
            match self.0.read(&mut some) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => bail!("not hung up on: {error}"),
            }
        }
    }
}

/// The most memory that a process has ever had in use, and what it has now, in bytes.
///
/// # Errors
/// If it does not run.
pub fn memory(pid: u32) -> Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib
            .with_context(|| name.to_owned())?
            .trim()
            .parse::<u64>()?
            << 10)
    };
    Ok((line("VmHWM:")?, line("VmRSS:")?))
}
