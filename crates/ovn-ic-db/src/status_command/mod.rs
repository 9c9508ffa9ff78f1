//! `ovn-ic-db status`: both databases' servers at a glance, asked over their client ports.

mod answer;
pub mod asking;
mod figures;
mod screen;
mod summary;
mod table;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::client::Remotes;
use crate::command_line::{Format, StatusFlags};
use crate::process;
use crate::schemas::Side;
use answer::Answer;
pub use summary::{ServerLine, Summary};

/// One database, for programs.
#[derive(Debug, Serialize)]
struct DatabaseStatus<'a> {
    database: &'static str,
    /// It can be used: a server of it leads, or knows who does.
    served: bool,
    answers: &'a [Answer],
}

/// The whole command, from its flags to its exit status: 0 if both databases are served with a
/// known leader, 1 if not.
pub fn main(flags: &StatusFlags) -> ExitCode {
    let remotes = match Remotes::of_flags(&flags.servers) {
        Ok(remotes) => remotes,
        Err(status) => return status,
    };
    let limit = Duration::from_secs(flags.timeout);
    let answers = match process::block_on(asking::ask_all(&remotes, limit)) {
        Ok(answers) => answers,
        Err(error) => return process::fail(&error.to_string(), ExitCode::FAILURE),
    };
    let sides = Side::BOTH.into_iter().zip(&answers);
    let summaries: Vec<Summary> = sides
        .clone()
        .map(|(side, answers)| Summary::of(side.database(), answers))
        .collect();
    let text = match flags.format {
        Format::Text => screen::screen(&summaries),
        Format::Json => {
            let statuses = sides.zip(&summaries);
            let statuses = statuses.map(|((side, answers), summary)| DatabaseStatus {
                database: side.database(),
                served: summary.served,
                answers,
            });
            match serde_json::to_string_pretty(&statuses.collect::<Vec<_>>()) {
                Ok(json) => json + "\n",
                Err(error) => return process::fail(&error.to_string(), ExitCode::FAILURE),
            }
        }
    };
    show(&text);
    match summaries.iter().all(|summary| summary.served) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints; colours only where somebody sees them and wants them (<https://no-color.org>).
fn show(text: &str) {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let choice = match std::io::stdout().is_terminal() && !plain {
        true => anstream::ColorChoice::Always,
        false => anstream::ColorChoice::Never,
    };
    let mut out = anstream::AutoStream::new(std::io::stdout(), choice);
    // A reader that has gone is no failure of ours.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
