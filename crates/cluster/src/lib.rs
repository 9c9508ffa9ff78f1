//! OVSDB's clustered service model (ovsdb(7), "Clustered Database Service Model").
//!
//! So far: log entries, as files and messages have them.

pub mod entry;
pub mod wire;
