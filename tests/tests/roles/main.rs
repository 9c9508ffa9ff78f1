//! What clients of a role, and of a remote that is only for reading, may do: on the reference and
//! on ours.

mod limited;
mod methods;
mod stories;
