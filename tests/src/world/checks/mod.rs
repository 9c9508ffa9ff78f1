//! The checks, a file for each part of a deployment's life.

pub mod commands;
pub mod departure;
pub mod faults;
pub mod glance;
pub mod registration;
pub mod reset;
pub mod routes;
pub mod tunnel_keys;
