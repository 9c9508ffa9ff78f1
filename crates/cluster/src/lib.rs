//! OVSDB's clustered service model (ovsdb(7), "Clustered Database Service Model").
//!
//! Log entries, the files that they are kept in, and openraft's view of both. It knows nothing of
//! sessions.

pub mod entry;
pub mod file;
pub mod raft;
