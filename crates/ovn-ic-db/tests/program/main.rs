//! The built program as a process, with the real clients, and the real server beside it.

mod check;
mod clustered;
mod connections;
mod console;
mod control;
mod copies;
mod disks;
mod ending;
mod foreign;
mod health;
mod http;
mod log;
mod logging;
mod no_room;
mod orphans;
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
