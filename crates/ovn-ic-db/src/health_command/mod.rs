//! `ovn-ic-db health`: one line and an exit status, for probes of containers.

mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use crate::client::Remotes;
use crate::command_line::{HealthFlags, ServerFlags};
use crate::process;
use crate::schemas::Side;
use crate::status_command::{Summary, asking};
use verdict::Verdict;

/// The whole command, from its flags to its exit status: 0 if all is well, 1 if not.
pub fn main(flags: &HealthFlags) -> ExitCode {
    let servers = ServerFlags {
        run_dir: flags.run_dir.clone(),
        ..ServerFlags::default()
    };
    let remotes = match Remotes::of_flags(&servers) {
        Ok(remotes) => remotes,
        Err(status) => return status,
    };
    let limit = Duration::from_secs(flags.timeout);
    let answers = match process::block_on(asking::ask_all(&remotes, limit)) {
        Ok(answers) => answers,
        Err(error) => return process::fail(&error.to_string(), ExitCode::FAILURE),
    };
    let summaries = Side::BOTH
        .into_iter()
        .zip(&answers)
        .map(|(side, answers)| Summary::of(side.database(), answers));
    let verdict = Verdict::of(summaries.collect(), flags.alive);
    process::print(&format!("{}\n", verdict.line));
    match verdict.well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
