//! The built program as a process, with the real clients, and the real server beside it.

mod check;
mod clustered;
mod connections;
mod control;
mod copies;
mod ending;
mod health;
mod http;
mod log;
mod logging;
mod no_room;
mod pod_labels;
mod program;
mod refusals;
mod server_command;
mod start;
mod status;
mod switches;
mod takeover;
mod terminal;
mod tls;
