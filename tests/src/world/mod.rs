//! Two availability zones with their real programs around one interconnection
//! database.
//!
//! [`run`] plays one sequence of named checks against any [`Interconnect`] and
//! gives back a [`Report`]: how long each took to converge, and what the ctl
//! tools printed. A test plays it on the reference and on ours and compares.
//! Whoever brings another kind of server (a cluster) implements
//! [`Interconnect`] and gives [`Fault`]s to be done in the middle.

pub mod central;
pub mod chassis;
pub mod checks;
pub mod ctl;
pub mod daemon;
pub mod database;
pub mod home;
pub mod interconnect;
pub mod report;
pub mod sequence;
pub mod zone;

pub use interconnect::{Fault, Interconnect, Side};
pub use report::Report;
pub use sequence::{World, run};
