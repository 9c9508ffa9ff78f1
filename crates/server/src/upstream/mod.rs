//! Being a client of another OVSDB server: one connection at a time with one of its remotes, kept up
//! for ever.
//!
//! What is said over it is a `Talk`, a state machine without I/O: `conversation` for who follows
//! a whole database and has transactions executed there, and replication's own. `keep` finds a
//! remote, waits between attempts (`reconnect`), and `link` moves the bytes.

pub(crate) mod conversation;
mod dial;
mod keep;
mod link;
mod reconnect;
mod remotes;
mod requests;
mod server_rows;
mod settings;
mod talk;
#[cfg(feature = "testing")]
pub mod testing;

pub(crate) use keep::keep;
pub use remotes::Remotes;
pub(crate) use requests::{Requests, number, one_string};
pub use settings::Settings;
pub(crate) use talk::{Leave, Outgoing, Talk};
