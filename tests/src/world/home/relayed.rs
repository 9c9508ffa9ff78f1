//! A standalone server, and a relay of its Southbound for all chassis.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::standalone::Standalone;
use super::{Bound, Fault, Home, kill, revive};
use crate::process::{Options, Program, Server, Source};

/// Both servers.
#[derive(Debug)]
pub struct Relayed {
    source: Standalone,
    relay: Server,
}

/// Starts a relay of a Southbound.
pub(super) fn start_relay(program: Program, remotes: &str) -> Result<Server> {
    let source = Source::Relay(format!("{}:{remotes}", Bound::South.database()));
    Server::start(program, &source, &Options::default())
}

impl Relayed {
    /// Starts both, with files in `folder`.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(program: Program, folder: &Path) -> Result<Self> {
        let source = Standalone::start(program, folder)?;
        let address = source.server.tcp_address().context("no TCP")?;
        let relay = start_relay(program, &format!("tcp:{address}"))?;
        Ok(Self { source, relay })
    }
}

impl Home for Relayed {
    fn remotes(&self, bound: Bound) -> String {
        self.source.remotes(bound)
    }

    fn remotes_of_chassis(&self, _: usize) -> String {
        format!("unix:{}", self.relay.socket().display())
    }

    fn sockets(&self, bound: Bound) -> Vec<PathBuf> {
        self.source.sockets(bound)
    }

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault {
                name: "the relay's source is killed",
                survived: false,
            },
            Fault {
                name: "the relay is killed",
                survived: false,
            },
        ]
    }

    fn inflict(&mut self, fault: usize) -> Result<()> {
        match fault {
            0 => self.source.inflict(0),
            _ => kill(std::slice::from_mut(&mut self.relay)),
        }
    }

    fn mend(&mut self) -> Result<()> {
        self.source.mend()?;
        revive(std::slice::from_mut(&mut self.relay))
    }

    fn servers(&mut self) -> Vec<&mut Server> {
        let mut servers = self.source.servers();
        servers.push(&mut self.relay);
        servers
    }

    fn copies(&self) -> Vec<PathBuf> {
        let mut copies = self.sockets(Bound::South);
        copies.push(self.relay.socket());
        copies
    }
}
