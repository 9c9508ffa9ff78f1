//! `ovn-ic-db status`: both databases' servers and the interconnection at a glance, asked over their
//! client ports.

mod answer;
pub mod asking;
pub mod figures;
mod interconnection;
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
use interconnection::Interconnection;
pub use summary::{ServerLine, Summary};

/// What programs get: an array of these.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Database(DatabaseStatus<'a>),
    Whole {
        interconnection: &'a Interconnection,
    },
}

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
    let asking = async {
        let answers = asking::ask_all(&remotes, limit).await;
        let contents = interconnection::asking::read(&remotes, &answers, limit).await;
        (answers, contents)
    };
    let (answers, [northbound, southbound]) = match process::block_on(asking) {
        Ok(heard) => heard,
        Err(error) => return process::fail(&error.to_string(), ExitCode::FAILURE),
    };
    let interconnection = Interconnection::of(&northbound, &southbound);
    let sides = Side::BOTH.into_iter().zip(&answers);
    let summaries: Vec<Summary> = sides
        .clone()
        .map(|(side, answers)| Summary::of(side.database(), answers))
        .collect();
    let text = match flags.format {
        Format::Text => screen::screen(&summaries, &interconnection, flags.all),
        Format::Json => {
            let statuses = sides.zip(&summaries);
            let statuses = statuses.map(|((side, answers), summary)| {
                Part::Database(DatabaseStatus {
                    database: side.database(),
                    served: summary.served,
                    answers,
                })
            });
            let interconnection = &interconnection;
            let statuses = statuses.chain([Part::Whole { interconnection }]);
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
    process::printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
