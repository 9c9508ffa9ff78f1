//! What members say to each other: OVSDB's Raft messages over JSON-RPC.
//!
//! [`message`] has the messages as values, [`extension`] what our own members add where the
//! reference does not look, and [`stream`] the connections that carry them.

pub mod extension;
pub mod frame;
pub mod message;
pub mod stream;

pub use crate::address::Address;
pub use extension::Announcement;
pub use frame::Frame;
pub use message::{Body, Head, Message};

/// A cluster's id, the same on all its members.
pub type ClusterId = uuid::Uuid;
