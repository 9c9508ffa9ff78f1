//! Delivering monitors' updates: equal monitors of all sessions share one group, which makes each
//! commit's update once.

mod group;
mod groups;

pub(crate) use group::{Group, Update};
pub(crate) use groups::{Groups, Subscription};
