//! One OVSDB database as a value.
//!
//! A [`Version`] is the whole contents of a database at one moment: immutable, cheap to clone,
//! and safe to read from anywhere. [`Transaction::execute`] makes a new version from an old one,
//! together with the [`Changes`] between them and the reply; dropping the result is the rollback.
//! Monitors, log records and the history are all computed from changes, never from tables.
//!
//! This crate is pure: it has no I/O, no clock, no threads and no random source of its own. It
//! knows nothing of sessions, files or clusters.

pub mod changes;
mod commit;
pub mod convert;
mod draft;
mod execute;
pub mod history;
pub mod monitor;
mod operation;
mod query;
pub mod record;
mod references;
pub mod reply;
mod roles;
pub mod row;
mod table;
pub mod transaction;
mod unique;
pub mod updates;
pub mod version;
mod walk;

pub use changes::{Changes, RowChange, TableChanges};
pub use history::{Commit, History, Past};
pub use monitor::Monitor;
pub use reply::Reply;
pub use roles::Role;
pub use row::Row;
pub use table::Table;
pub use transaction::{Context, Outcome, Transaction};
pub use version::Version;
