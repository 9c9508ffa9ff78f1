//! How a client finds a member, as OVN's clients do.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::status::announcement;
use crate::client::Client;
use crate::world::interconnect::Side;

/// Which member a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// This one alone.
    Member(usize),
    /// Any that is connected to a majority, another one after each failure.
    Any,
    /// The one that leads.
    Leader,
}

/// The members' sockets, and the next one to try.
#[derive(Clone, Debug)]
pub struct Search {
    sockets: Vec<PathBuf>,
    side: Side,
    aim: Aim,
    next: usize,
    patience: Duration,
}

impl Search {
    /// `patience`: how long a member may take for an answer, from now on.
    #[must_use]
    pub fn new(sockets: Vec<PathBuf>, side: Side, aim: Aim, patience: Duration) -> Self {
        Self {
            sockets,
            side,
            aim,
            next: 0,
            patience,
        }
    }

    /// The database that is meant.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// Tries the next member.
    ///
    /// # Errors
    /// If nobody is there, or it is not the one that is wanted.
    pub fn connect(&mut self) -> Result<Client> {
        let number = match self.aim {
            Aim::Member(number) => number,
            Aim::Any | Aim::Leader => {
                self.next += 1;
                (self.next - 1) % self.sockets.len()
            }
        };
        let mut client = Client::unix(&self.sockets[number])?;
        client.deadline = self.patience;
        if !matches!(self.aim, Aim::Member(_)) {
            let told = announcement(&mut client, self.side.database())?;
            ensure!(told.connected, "node {number} is not connected");
            ensure!(
                told.leader || self.aim == Aim::Any,
                "node {number} does not lead"
            );
        }
        // Otherwise the server closes the session whenever a database changes.
        client.call("set_db_change_aware", json!([true]))?;
        Ok(client)
    }
}
