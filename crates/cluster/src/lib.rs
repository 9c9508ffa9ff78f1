//! OVSDB's clustered service model (ovsdb(7), "Clustered Database Service Model").
//!
//! Log entries, the files that they are kept in, the messages between members and their
//! connections, and openraft's view of the log. It knows nothing of sessions.

pub mod address;
pub mod contents;
pub mod entry;
pub mod failure_test;
pub mod file;
pub mod node;
pub mod operator;
pub mod raft;
pub mod replica;
pub mod status;
pub mod wire;
