//! One server with a file for each database.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Bound, Fault, Home, kill, revive};
use crate::process::{Options, Program, Server, Source, create_database};
use crate::world::interconnect::debian_schema;

/// The server.
#[derive(Debug)]
pub struct Standalone {
    pub(super) server: Server,
}

impl Standalone {
    /// Starts `program` on new databases; the Northbound's file is in `folder`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: Program, folder: &Path) -> Result<Self> {
        let northbound = folder.join("nb.db");
        create_database(&northbound, &debian_schema(Bound::North.schema())?)?;
        let options = Options {
            tcp: true,
            arguments: vec![northbound.into()],
            ..Options::default()
        };
        let southbound = Source::Schema(debian_schema(Bound::South.schema())?);
        let server = Server::start(program, &southbound, &options)?;
        Ok(Self { server })
    }
}

impl Home for Standalone {
    fn remotes(&self, _: Bound) -> String {
        format!("unix:{}", self.server.socket().display())
    }

    fn sockets(&self, _: Bound) -> Vec<PathBuf> {
        vec![self.server.socket()]
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault {
            name: "the server is killed",
            survived: false,
        }]
    }

    fn inflict(&mut self, _: usize) -> Result<()> {
        kill(std::slice::from_mut(&mut self.server))
    }

    fn mend(&mut self) -> Result<()> {
        revive(std::slice::from_mut(&mut self.server))
    }

    fn servers(&mut self) -> Vec<&mut Server> {
        vec![&mut self.server]
    }
}
