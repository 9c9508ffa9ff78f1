//! What commands need that ask servers: whom, and how.

mod connection;
mod keys;
mod remotes;

pub use connection::{CallError, Client, quoted};
pub use remotes::Remotes;
