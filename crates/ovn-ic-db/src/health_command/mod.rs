//! `ovn-ic-db health`: one line and an exit status, for probes of containers.

mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use crate::client::Remotes;
use crate::command_line::{HealthFlags, ServerFlags};
use crate::process;
use crate::schemas::Side;
use crate::settings::SettingError;
use crate::status_command::{Summary, asking};
use verdict::Verdict;

/// The whole command, from its flags to its exit status: 0 if all is well, 1 if not.
pub fn main(flags: &HealthFlags) -> ExitCode {
    let servers = ServerFlags {
        run_dir: flags.run_dir.clone(),
        ..ServerFlags::default()
    };
    let environment = |name: &str| std::env::var_os(name);
    let remotes = match Remotes::find(&servers, &environment) {
        Ok(remotes) => remotes,
        Err(error) => {
            let status = ExitCode::from(SettingError::EXIT_STATUS);
            return process::fail(&error.to_string(), status);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return process::fail(&error.to_string(), ExitCode::FAILURE),
    };
    let limit = Duration::from_secs(flags.timeout);
    let answers = runtime.block_on(asking::ask_all(&remotes, limit));
    runtime.shutdown_background();
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
