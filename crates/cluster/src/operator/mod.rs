//! What an operator can ask of a member, by the commands `cluster/...` of a control socket.
//!
//! Whether a wish can be fulfilled is decided by [`rules`] from the member's status; a [`Member`]
//! sets in motion what was allowed; [`orders`] puts both together. All speak in the reference's words.

pub mod orders;
pub mod rules;

use crate::entry::ServerId;
use crate::failure_test::FailureTest;
use crate::status::MemberStatus;

/// Why a member does not do something, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Refusal {
    fn new(text: &str) -> Refusal {
        Refusal(text.to_owned())
    }
}

/// A member of one database's cluster, as an operator handles it.
///
/// Nothing here waits: what takes time goes on by itself, and the status tells how far it is. Much can
/// have changed since the status that a wish was allowed by; then it is refused.
pub trait Member: Send + Sync {
    /// How it is, now.
    fn status(&self) -> MemberStatus;

    /// As leader, begins to remove another member.
    ///
    /// # Errors
    /// If it cannot be begun.
    fn remove(&self, server: ServerId) -> Result<(), Refusal>;

    /// Asks the leader to remove a member other than this one; false if it cannot be asked.
    fn ask_to_remove(&self, server: ServerId) -> bool;

    /// Begins to leave the cluster; a leader hands its leadership over first.
    ///
    /// # Errors
    /// If it cannot be begun.
    fn leave(&self) -> Result<(), Refusal>;

    /// As leader, begins to change the election timer of all members, to so many milliseconds.
    ///
    /// # Errors
    /// If it cannot be begun.
    fn change_election_timer(&self, milliseconds: u64) -> Result<(), Refusal>;

    /// Bounds what may wait for one connection with another member, from now on and on all of them;
    /// no bytes stand for as many as at the start.
    ///
    /// # Errors
    /// If it is no member yet.
    fn set_backlog_threshold(&self, messages: usize, bytes: usize) -> Result<(), Refusal>;

    /// Gets ready to fail in this way, or in none any more.
    ///
    /// # Errors
    /// If it cannot fail in this way.
    fn test_failure(&self, test: Option<FailureTest>) -> Result<(), Refusal>;
}
