//! The image in real containers, as the guide and Kubernetes start it.

mod cluster;
mod compose;
mod kubernetes;
mod single;
mod takeover;
mod world;
