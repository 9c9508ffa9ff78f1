//! Who founds a cluster, who joins it, and who has to wait.
//!
//! `Founding` (`rule.rs`) decides it for one node and one database, from what the node is told and what it hears from
//! the others; `docs/cluster.md` has the rule in words. It is pure: events and the time go in, decisions and
//! what the others are to be told come out. [`Seeker`] is it on real connections: it dials all other
//! nodes as a server that wants to join, turns what happens there into events (`contacts.rs`), and gives
//! the decisions to whoever has the file.
//!
//! [`Decision::Found`] is final. [`Decision::Join`] lasts until a leader takes the node in: if
//! all others lose what they have meanwhile, the node may still have to found.
//!
//! A member goes on telling what it is ([`Report::member`]), and [`meeting`] says what becomes of two
//! clusters whose members meet.

mod claim;
mod contacts;
mod decision;
pub mod meeting;
mod peer;
mod reason;
mod report;
mod rule;
mod seek;
#[cfg(test)]
mod tests;

pub use decision::Decision;
pub use report::{Holding, Report};
pub use seek::{Seeker, Seeking, Step};

#[cfg(test)]
use self::{decision::Event, reason::Reason, report::Standing, rule::Founding};

/// What a node's own file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// There is none, or that of a standalone database.
    Nothing,
    /// The server has yet to join: when the file was made, somebody had a cluster.
    Joining,
    /// The server is a member: nothing is to be decided.
    Member,
    /// The server has left its cluster.
    Left,
    /// It cannot be read.
    Damaged,
}
