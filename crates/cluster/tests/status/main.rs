//! `cluster/status` and the commands beside it, next to real `ovsdb-server`s of Debian: what they
//! print of themselves is read and printed again, and must be the same bytes.

mod cluster;
mod commands;
mod read;
#[path = "../wire/reference.rs"]
mod reference;
mod states;
#[path = "../wire/support.rs"]
mod support;
