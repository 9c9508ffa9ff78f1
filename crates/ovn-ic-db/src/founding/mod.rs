//! Who founds a cluster, who joins it, and who has to wait.
//!
//! [`Founding`] decides it for one node and one database, from what the node is told and what it hears from
//! the others; `docs/cluster.md` has the rule in words. Pure: the caller has the connections, the clock and
//! the file. It goes like this:
//!
//! 1. The caller dials all other nodes as a server that wants to join ([`Contacts`] makes the
//!    [`Event`]s of what happens there), and sends what [`Founding::report`] says with its request.
//! 2. Each [`Event`] goes to [`Founding::on`]. A new decision is logged, shown in `status`, and done; a new
//!    report is sent to all. [`Founding::next_look`] says when the clock alone changes something.
//! 3. [`Decision::Found`] is final. [`Decision::Join`] lasts until a leader has taken the node in: if all
//!    others lose what they had meanwhile, the node may still have to found.
//!
//! A member goes on telling what it is ([`Report::member`]), and [`meeting`] says what becomes of two
//! clusters whose members meet.

mod claim;
mod contacts;
pub mod meeting;
mod peer;
mod reason;
mod report;
mod rule;
#[cfg(test)]
mod tests;

pub use claim::Claim;
pub use contacts::Contacts;
pub use reason::Reason;
pub use report::{Holding, Report, Standing};
pub use rule::{Decision, Event, Founding, News};

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
