//! Which file a node of a cluster has, and what it makes of it.
//!
//! [`look`] says what there is and changes nothing. Who founds and who joins is decided by
//! [`founding`](crate::founding); [`found`] and [`join`] then make the file for it, and keep what
//! was there before.

mod aside;
mod own_file;
mod prepare;
#[cfg(test)]
mod tests;

pub use aside::keep;
pub use own_file::{OwnFile, look};
pub use prepare::{Aside, Maker, found, join, start_over};
