//! What a service counts while it works: transactions, sessions, who was turned away, errors.

mod errors;
mod gather;
mod sessions;
mod transactions;

use ovsdb_counters::{ByKind, Counter, Level};

pub use errors::ErrorKind;
pub(crate) use errors::error_of;
pub use gather::Contents;
pub use sessions::{SessionEnd, TurnedAway};
pub use transactions::{Executed, TransactionCounters, TransactionEnd};

/// What has happened to a service's clients.
#[derive(Debug, Default)]
pub struct ServiceCounters {
    /// Sessions that have begun.
    pub sessions: Counter,
    /// How sessions have ended.
    pub session_ends: ByKind<SessionEnd>,
    /// Clients that were not let in.
    pub turned_away: ByKind<TurnedAway>,
    /// Errors that requests were answered, those of transactions included.
    pub errors: ByKind<ErrorKind>,
    /// Bytes that wait to be sent, of all sessions.
    pub backlog: Level,
    /// Listeners that take nobody any more, as the system has refused it.
    pub lost_listeners: Counter,
}
