//! openraft with OVSDB's notions: which types it works with.

mod leader_id;
mod log_store;
pub mod state_machine;
mod types;

pub use leader_id::LeaderId;
pub use log_store::{LogStore, Vote};
pub use state_machine::StateMachine;
pub use types::{
    Callback, Command, Done, LogId, NoMembers, RaftEntry, TypeConfig, from_raft, membership_of,
    servers_of, to_raft,
};
