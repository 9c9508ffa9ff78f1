//! Clustered files: records, replay, making files, files in use; against Debian's programs too.

mod ahead;
mod cluster;
mod damage;
mod in_use;
mod node;
mod picture;
mod power;
mod raft_log;
mod records;
mod rules;
mod snapshots;
mod store;
mod support;
mod tools;
