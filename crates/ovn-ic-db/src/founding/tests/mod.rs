//! The rule in scripts, and in a simulation of whole clusters.

mod scripts;
mod simulation;
