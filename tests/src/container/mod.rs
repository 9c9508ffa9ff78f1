//! Real containers of the image, by Docker and by containerd.
//!
//! [`image`] builds the image once for all tests, [`Sandbox`] gives containers folders, a network
//! and names of their own and takes them away again, and a [`Container`] is one that runs.

pub mod compose;
pub mod containerd;
pub mod docker;
pub mod image;
pub mod node;
pub mod nodes;
pub mod old;
pub mod sandbox;
pub mod writers;

pub use docker::Container;
pub use node::Place;
pub use nodes::Nodes;
pub use sandbox::Sandbox;
