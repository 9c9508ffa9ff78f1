//! The rule in scripts, in a simulation of whole clusters, and on real connections.

mod connections;
mod scripts;
mod simulation;
