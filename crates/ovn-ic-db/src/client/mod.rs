//! What commands need that ask servers: whom, and how.

mod connection;
mod contents;
mod keys;
mod leader;
mod remotes;

pub use connection::{CallError, Client, quoted};
pub use contents::{Fetched, fetch};
pub use leader::{Choice, Leader};
pub use remotes::Remotes;
