//! Clustered files: records, replay, making files, files in use; against Debian's programs too.

mod cluster;
mod damage;
mod node;
mod power;
mod records;
mod rules;
mod store;
mod support;
mod tools;
