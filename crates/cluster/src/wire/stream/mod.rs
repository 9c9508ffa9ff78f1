//! Connections between members.
//!
//! Each side dials the other and accepts its calls, so two members usually have two
//! connections. Both are read; [`Peers::send`] uses the one that it dialled, else the other one.
//! A snapshot prefers the other one, so that heartbeats overtake it. The first message on each is
//! a hello.
//!
//! Nothing here waits for a slow peer: what does not fit into its queue is refused to the
//! sender at once. What a peer sends waits in its socket until the receiver of [`Event`]s takes
//! it. One bad peer costs its own connection, and nobody else's.

mod accept;
mod backoff;
mod budget;
pub mod connect;
mod dial;
mod event;
mod identity;
mod inbox;
mod link;
mod listen;
mod log_limit;
mod outbox;
mod peers;
mod settings;
mod socket;
mod table;
mod traffic;

pub use budget::Held;
pub use event::{Closed, Event, LinkId, Receiver};
pub use identity::{Local, Refusal};
pub use listen::Listen;
pub use log_limit::LogLimit;
pub use peers::{LinkStatus, Peers, SendError};
pub use settings::Settings;
