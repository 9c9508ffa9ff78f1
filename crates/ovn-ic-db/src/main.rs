//! The OVN interconnection database as one program.
//!
//! `settings` and `folders` say what to do and where; `station` is one database's place in the
//! process, of which `run` opens two and `server_command` one with any databases.

mod advice;
mod backup_command;
mod backup_copy;
mod check_command;
mod client;
mod cluster_member;
mod cluster_schema;
mod command_line;
mod compact_command;
mod control_commands;
mod databases;
mod figures_commands;
mod folders;
mod founding;
mod health_command;
mod http;
mod inspection;
mod lock_file;
mod logging;
mod membership;
mod orphans;
mod own_contents;
mod pki_command;
mod pod_labels;
mod process;
mod progress;
mod remote_keeper;
mod reporter;
mod restore_command;
mod run;
mod schemas;
mod searching;
mod server_command;
mod settings;
mod station;
mod status_command;
mod stop;
mod survivor_command;
mod switch_keeper;
mod takeover;
mod tls_sources;
mod transit_switches;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use ovsdb_tls::Tls;

use command_line::{ClusterCommand, Command, CommandLine, RunFlags};
use folders::Folders;
use logging::Logging;
use schemas::Side;
use settings::{SettingError, Settings, variables};

/// The program whose command line is understood, too.
const SERVER_COMMAND: &str = "ovsdb-server";

fn main() -> ExitCode {
    process::end(command())
}

fn command() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // A link of this name stands in for the program that it is called after.
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if called.is_some_and(|name| name == SERVER_COMMAND) {
        return server_command::main(arguments.split_off(1));
    }
    // Its options follow other rules: `-vconsole:off`, a `--` of its own.
    if arguments.get(1).is_some_and(|word| word == SERVER_COMMAND) {
        return server_command::main(arguments.split_off(2));
    }
    let line = CommandLine::parse_from(arguments);
    match line.command {
        None => run(&line.run),
        Some(Command::Run(flags)) => run(&flags),
        Some(Command::Status(flags)) => status_command::main(&flags),
        Some(Command::Backup(flags)) => backup_command::main(&flags),
        Some(Command::Restore(flags)) => restore_command::main(&flags),
        Some(Command::Compact(flags)) => compact_command::main(&flags),
        Some(Command::Check(flags)) => check_command::main(&flags),
        Some(Command::Cluster(ClusterCommand::FoundFrom(flags))) => survivor_command::main(&flags),
        Some(Command::Pki(flags)) => pki_command::main(&flags),
        Some(Command::Health(flags)) => health_command::main(&flags),
        Some(Command::OvsdbServer { arguments }) => server_command::main(arguments),
    }
}

fn run(flags: &RunFlags) -> ExitCode {
    let environment = |name: &str| std::env::var_os(name);
    let settings = match Settings::resolve(flags, &environment) {
        Ok(settings) => settings,
        Err(error) => {
            let status = ExitCode::from(SettingError::EXIT_STATUS);
            return process::fail(&error.to_string(), status);
        }
    };
    if let Err(error) = settings.check_addresses() {
        let status = ExitCode::from(SettingError::EXIT_STATUS);
        return process::fail(&error.to_string(), status);
    }
    let tls = match &settings.tls {
        None => None,
        Some(tls) => match Tls::load(tls.files.clone()) {
            Ok(tls) => Some(tls),
            Err(error) => {
                let error = format!(
                    "ENABLE_SSL=true: {error} (--private-key, --certificate and --ca-cert name the files)"
                );
                return process::fail(&error, ExitCode::FAILURE);
            }
        },
    };
    let logging = match Logging::start(settings.log_level, settings.log_shape, true) {
        Ok(logging) => logging,
        Err(error) => return process::fail(&error.to_string(), ExitCode::FAILURE),
    };
    let folders = match Folders::find(&settings.folders, &environment) {
        Ok(folders) => folders,
        Err(error) => return process::fail_logged(&logging, &error.into()),
    };
    for side in Side::BOTH {
        let path = folders.log(side);
        if let Err(error) = logging.open(Some(side), &path) {
            tracing::warn!("{}: the log file cannot be opened: {error}", path.display());
        }
    }
    for note in &folders.notes {
        tracing::info!("{note}");
    }
    let unknown = variables::unknown(std::env::vars_os().map(|(name, _): (OsString, _)| name));
    for warning in settings.warnings.iter().chain(&unknown) {
        tracing::warn!("{warning}");
    }
    process::serve(&logging, run::run(settings, folders, logging.clone(), tls))
}
