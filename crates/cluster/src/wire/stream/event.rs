//! What happens on the connections.

use std::sync::Arc;

use super::budget::Held;
use super::identity::Refusal;
use crate::entry::ServerId;
use crate::wire::Message;

/// A connection's number, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// News. Those of one connection come in order: [`Event::Connected`] first,
/// [`Event::Disconnected`] last. What a [`Receiver`] takes does not wait for them.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection can be used. It does not prove that the peer's process is alive: its system
    /// answers for it.
    Connected {
        /// Which one.
        link: LinkId,
        /// Who is at the other end; not known where only an address was dialled.
        server: Option<ServerId>,
        /// The dialled address, or where the caller called from.
        address: String,
        /// This side made it.
        dialled: bool,
    },
    /// A message that is right in its form, its cluster, its sender and its receiver.
    Received {
        /// On which connection.
        link: LinkId,
        /// The message; its head says from whom.
        message: Message,
        /// To be kept as long as the message is.
        held: Held,
    },
    /// A connection is gone, and with it what was queued on it or under way. Where the peer's
    /// process ended, this comes at once, and no connection remains.
    Disconnected {
        /// Which one.
        link: LinkId,
        /// Who was at the other end.
        server: Option<ServerId>,
        /// As in [`Event::Connected`].
        address: String,
        /// Why.
        why: Closed,
        /// How many other connections with that server there are.
        remaining: usize,
    },
    /// An address did not answer. It is tried again.
    Unreachable {
        /// Who should be there.
        server: Option<ServerId>,
        /// The address.
        address: String,
        /// The system's words.
        error: String,
        /// The system there, or a router, said no; otherwise there was no answer at all.
        refused: bool,
        /// Somebody is there, but there is no TLS with it.
        no_tls: bool,
    },
    /// A peer was refused, and the connection is being closed.
    Refused {
        /// On which connection.
        link: LinkId,
        /// Who was at the other end, as far as it was known.
        server: Option<ServerId>,
        /// As in [`Event::Connected`].
        address: String,
        /// Why.
        refusal: Refusal,
    },
}

/// Takes messages in the task that reads them: those that need no order among other events, so that these
/// cost one task less.
pub trait Receiver: Send + Sync {
    /// Takes a message, or gives it back: then it becomes an [`Event::Received`]. Must not wait.
    fn take(self: Arc<Self>, link: LinkId, message: Message, held: Held)
    -> Option<(Message, Held)>;
}

/// Why a connection was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed it, or its process ended.
    ByPeer,
    /// The system says that it is broken.
    Failed(String),
    /// The peer gave no sign of life.
    Silent,
    /// The peer was refused.
    Refused(Box<Refusal>),
    /// It is not wanted any more.
    ByUs,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Closed::ByPeer => f.write_str("closed by the peer"),
            Closed::Failed(error) => f.write_str(error),
            Closed::Silent => f.write_str("no sign of life"),
            Closed::Refused(refusal) => refusal.fmt(f),
            Closed::ByUs => f.write_str("not wanted any more"),
        }
    }
}
