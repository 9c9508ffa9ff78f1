//! A standalone database's file: opened, replayed, and kept by one log.
//!
//! [`File`] locks a file and reads it; [`File::start`] makes a [`Standalone`] of it, which is the
//! [`Ordering`](crate::ordering::Ordering) of a database that lives on one server.

mod file;
mod keeper;
mod line;
mod record;
mod state;
mod submit;

pub use file::{File, Leniency, OpenError};
pub use keeper::Standalone;
pub use record::write_whole;
