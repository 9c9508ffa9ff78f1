//! The harness of the tests that need real programs: it starts Debian's
//! `ovsdb-server` (the oracle) and ours in the same way, speaks JSON-RPC with
//! them byte by byte, and compares what they say.
//!
//! It knows nothing of the product's crates: what it sees is what a client
//! sees. A program that is missing makes a test fail with the name of the
//! Debian package that has it, because a test that is skipped proves nothing.

pub mod client;
pub mod cluster;
pub mod container;
pub mod differential;
pub mod http;
pub mod keys;
pub mod kubernetes;
pub mod operations;
pub mod process;
pub mod prometheus;
pub mod relay;
pub mod witness;
pub mod world;
