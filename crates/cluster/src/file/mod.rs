//! A clustered database's file (ovsdb(5), "Clustered Format"): one server's Raft log.
//!
//! The first record is a [`Header`]: who the server is, and a snapshot that the log starts from, or,
//! for a server that has yet to join, whom to ask. Behind it comes a [`Record`] for each log entry, vote, new
//! term, and so on. [`Replay`] makes the state from them, [`Contents`] new files, and a [`Store`]
//! is a file in use. The reference reads these files, and its own are read here.

pub mod create;
pub mod entries;
pub(crate) mod fields;
pub mod header;
pub mod record;
pub mod replay;
pub mod store;

pub use crate::address::{Address, same_address};
pub use create::{Contents, Founding};
pub use entries::{Entries, Position};
pub use header::{Header, Identity, Origin, Snapshot, SnapshotMeta};
pub use record::{Fact, Record};
pub use replay::{Replay, Replayed, Standing};
pub use store::{Ballot, ClusterFile, Reason, Refused, Store};
