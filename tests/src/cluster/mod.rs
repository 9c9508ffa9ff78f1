//! A cluster of real servers that can be hurt, writers and watchers that keep
//! on meanwhile, and a checker that says afterwards whether anything is wrong.
//!
//! [`run`] starts a [`Cluster`] of Debian's `ovsdb-server`s, of ours, or of
//! both, and keeps its files when the test fails. A [`workload`] of raw and
//! real clients runs beside the faults; what it did is a [`history`], and
//! [`check`] holds that against the contents of all members.

pub mod check;
pub mod contents;
pub mod ctl_writer;
pub mod diary;
pub mod figures;
pub mod guard;
pub mod harness;
pub mod history;
pub mod network;
pub mod node;
mod programs;
pub mod rows;
pub mod session;
pub mod status;
pub mod storm;
pub mod stranger;
pub mod watcher;
pub mod workload;
pub mod writer;

pub use harness::{Cluster, Options, run};
pub use network::Wiring;
pub use node::{Kind, Manner, Node, Site, Variables};
pub use session::Aim;
pub use workload::{Plan, Workload, under_workload};
