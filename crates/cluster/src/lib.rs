//! OVSDB's clustered service model (ovsdb(7), "Clustered Database Service Model").
//!
//! So far: log entries, and the files that they are kept in.

pub mod entry;
pub mod file;
