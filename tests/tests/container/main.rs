//! The image in real containers, as the guide and Kubernetes start it.

mod cluster;
mod single;
mod takeover;
