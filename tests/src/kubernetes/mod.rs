//! A small HTTPS server that plays the API of a Kubernetes cluster: pods with labels, a service
//! account, and whatever can go wrong; and the manifest that the project has for a real one.

mod http;
mod identity;
mod manifest;
mod server;
mod state;

pub use manifest::Manifest;
pub use server::ApiServer;
pub use state::{Mood, Seen};
