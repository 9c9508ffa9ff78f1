//! What is said over a connection with another server, as a state machine without I/O.

use ovsdb::message::Message;

use crate::outbox::Outbox;

/// What is to be sent.
pub(crate) type Outgoing = Outbox;

/// Why a connection is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leave {
    /// This server is of no use now, or does not go on: another attempt, without a wait.
    AtOnce(String),
    /// The same, after the usual wait.
    Later(String),
    /// Nothing can be made of what it says: no further attempt.
    ForGood,
}

/// One side of the talk. All methods are called by one task, and must not block.
pub(crate) trait Talk: Send {
    /// There is a connection.
    fn begin(&mut self, out: &mut Outgoing);

    /// The other side has said something: no `echo`, which is answered already.
    fn hear(&mut self, message: &Message<'_>, out: &mut Outgoing) -> Result<(), Leave>;

    /// Somebody has work for this connection, or has done what was waited for.
    fn look(&mut self, out: &mut Outgoing) -> Result<(), Leave>;

    /// The next message can be taken.
    fn listens(&self) -> bool {
        true
    }

    /// The connection is gone.
    fn end(&mut self);

    /// There is none: nobody has answered.
    fn missed(&mut self) {}
}
