//! What the fuzzers feed bytes to: one function for each parser, which panics where a promise is
//! broken. The fuzzers themselves are in the folder `fuzz`; the inputs that they have found are run
//! as a test of this crate.

mod contents;
mod files;
mod soundness;
mod telling;

pub mod clustered_files;
pub mod config_files;
pub mod control_requests;
pub mod frames;
pub mod monitors;
pub mod passed_on;
pub mod raft_messages;
pub mod schemas;
pub mod sessions;
pub mod standalone_files;
pub mod transactions;
pub mod updates;
pub mod upstream;

/// A fuzzer: its name, and what it feeds.
pub type Target = (&'static str, fn(&[u8]));

/// All fuzzers.
pub const TARGETS: [Target; 13] = [
    ("clustered_files", clustered_files::run),
    ("config_files", config_files::run),
    ("control_requests", control_requests::run),
    ("frames", frames::run),
    ("monitors", monitors::run),
    ("passed_on", passed_on::run),
    ("raft_messages", raft_messages::run),
    ("schemas", schemas::run),
    ("sessions", sessions::run),
    ("standalone_files", standalone_files::run),
    ("transactions", transactions::run),
    ("updates", updates::run),
    ("upstream", upstream::run),
];
