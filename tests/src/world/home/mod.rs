//! What serves the Northbound and the Southbound of a whole OVN, and what can befall it.

pub mod clusters;
pub mod relayed;
pub mod standalone;

use std::fmt::Debug;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::database::{DEADLINE, Database};
use crate::process::{Server, wait_for};

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `OVN_Northbound`.
    North,
    /// `OVN_Southbound`.
    South,
}

impl Bound {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::North, Self::South];

    /// The database's name.
    #[must_use]
    pub fn database(self) -> &'static str {
        match self {
            Self::North => "OVN_Northbound",
            Self::South => "OVN_Southbound",
        }
    }

    /// Its schema's file in Debian's packages.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Self::North => "ovn-nb.ovsschema",
            Self::South => "ovn-sb.ovsschema",
        }
    }
}

/// Something that befalls a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How reports call it.
    pub name: &'static str,
    /// Whether writes of all clients go on before it is mended.
    pub survived: bool,
}

/// Servers of both databases.
pub trait Home: Debug {
    /// What clients of a database call: one remote or a comma list.
    fn remotes(&self, bound: Bound) -> String;

    /// What the `ovn-controller` of a chassis calls for the Southbound; the first is number 0.
    fn remotes_of_chassis(&self, number: usize) -> String {
        let _ = number;
        self.remotes(Bound::South)
    }

    /// The sockets at which a database can be looked into.
    fn sockets(&self, bound: Bound) -> Vec<PathBuf>;

    /// What can befall it.
    fn faults(&self) -> &'static [Fault];

    /// Lets one of [`Home::faults`] befall it, by its place there.
    ///
    /// # Errors
    /// If that cannot be done.
    fn inflict(&mut self, fault: usize) -> Result<()>;

    /// Starts again what a fault has ended, on the files as they are.
    ///
    /// # Errors
    /// If it does not start.
    fn mend(&mut self) -> Result<()>;

    /// All of its servers, to be looked after.
    fn servers(&mut self) -> Vec<&mut Server>;

    /// The sockets of all copies of the Southbound.
    fn copies(&self) -> Vec<PathBuf> {
        self.sockets(Bound::South)
    }

    /// Fails if one of its servers has ended by itself.
    ///
    /// # Errors
    /// Then.
    fn check_alive(&mut self) -> Result<()> {
        for server in self.servers() {
            ensure!(
                server.pid().is_some() && server.ended()?.is_none(),
                "the server ended: {}",
                server.said()
            );
        }
        Ok(())
    }

    /// The end of what each of its servers said.
    fn said(&mut self) -> String {
        let said: Vec<String> = self.servers().iter().map(|server| server.said()).collect();
        said.join("\n")
    }

    /// Waits until all copies of the Southbound have the same contents.
    ///
    /// # Errors
    /// If that takes too long, with what is only here or only there.
    fn wait_alike(&self) -> Result<()> {
        let name = Bound::South.database();
        let mut copies: Vec<Database> = self
            .copies()
            .into_iter()
            .map(|socket| Database::new(socket, name))
            .collect();
        let mut difference = String::new();
        let waited = wait_for("copies that are alike", DEADLINE, || {
            difference = match copies.split_first_mut() {
                None => return Ok(Some(())),
                Some((first, others)) => difference_of(first, others)?,
            };
            Ok(difference.is_empty().then_some(()))
        });
        waited.map_err(|error| error.context(difference))
    }
}

/// What the first of the others that is not like it has too much or too little.
fn difference_of(first: &mut Database, others: &mut [Database]) -> Result<String> {
    let expected = first.contents()?;
    for copy in others {
        let found = copy.contents()?;
        if found != expected {
            let only = |here: &[String], there: &[String]| -> Vec<String> {
                let only = here.iter().filter(|line| !there.contains(line));
                only.cloned().collect()
            };
            return Ok(format!(
                "{}: missing {:#?}, too many {:#?}",
                copy.socket().display(),
                only(&expected, &found),
                only(&found, &expected)
            ));
        }
    }
    Ok(String::new())
}

/// Kills servers, some of which may be dead already.
fn kill(servers: &mut [Server]) -> Result<()> {
    servers.iter_mut().try_for_each(Server::kill9)
}

/// Starts those again that are dead.
fn revive(servers: &mut [Server]) -> Result<()> {
    servers
        .iter_mut()
        .filter(|server| server.pid().is_none())
        .try_for_each(Server::start_again)
}
