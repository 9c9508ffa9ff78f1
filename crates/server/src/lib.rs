//! Serving OVSDB databases: the writer of each, and the edges where clients come in.
//!
//! A [`database::Database`] executes transactions one by one on its newest version and gives what
//! they change to an [`ordering::Ordering`], which makes it last; readers use the committed
//! version. This crate knows nothing of the interconnect, and nothing of how a log or a cluster
//! keeps what it is given.

pub mod cluster_control;
pub mod clustered;
pub mod configuration;
pub mod control;
pub mod counters;
pub mod coverage;
pub mod database;
pub mod dial;
pub mod entrance;
pub mod figures;
pub mod file_form;
mod input;
pub mod listener;
pub mod locks;
pub mod log_control;
mod mailbox;
mod message_log;
mod monitors;
pub mod ordering;
pub mod origin;
mod outbox;
pub mod own_transaction;
pub use ovsdb_sockets::own_files;
pub mod performance;
pub mod pid_file;
pub mod probe;
pub mod relay;
pub mod remote;
pub mod remotes;
pub mod replication;
pub mod report;
pub mod server_database;
pub mod service;
mod session;
pub mod standalone;
pub mod stream;
mod table_log;
pub mod table_log_control;
pub mod upstream;
mod visits;
