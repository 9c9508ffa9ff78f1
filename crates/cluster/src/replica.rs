//! What a member has its log for: a copy of the database, and those who use it.

use ovsdb::Error;
use ovsdb_engine::Version;

use crate::contents::Contents;
use crate::entry::{Entry, Index, ServerId, Term};
use crate::wire::message::{ExecuteCommandReply, ExecuteCommandRequest, Own};
use crate::wire::stream::Held;

/// A member's place in its cluster, as far as its clients are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// It leads in this term, and has applied all that was committed before.
    pub leading: Option<Term>,
    /// Who leads, if that is known and is another one.
    pub leader: Option<ServerId>,
    /// The current term.
    pub term: Term,
    /// It is in touch with a majority.
    pub connected: bool,
}

/// A copy of the database. None of the calls may wait for anything but a lock.
pub trait Replica: Send + Sync + 'static {
    /// Applies committed entries, one after the other. Those that it has applied before are left
    /// out by it: after a member's file was opened anew, they come again.
    fn apply(&self, entries: &[Entry]) -> Result<(), Error>;

    /// Replaces everything.
    fn install(&self, contents: &Contents);

    /// The contents after the last entry that was applied, with its index; none before the first.
    fn version(&self) -> Option<(Index, Version)>;

    /// The member's place has changed.
    fn placed(&self, place: &Place);

    /// A server of our own kind has something to say. It may not be a member. `held` is to be kept as
    /// long as the message.
    fn received(&self, from: ServerId, message: Own, held: Held);

    /// A connection with a member is gone: answers may be lost.
    fn disconnected(&self, from: ServerId);

    /// A follower of the old kind has a transaction for this leader.
    fn command(&self, from: ServerId, request: ExecuteCommandRequest);

    /// The leader of the old kind answers.
    fn command_reply(&self, from: ServerId, reply: ExecuteCommandReply);
}
