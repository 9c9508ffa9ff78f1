//! What both ways to run the program share: its messages, its runtime, its exit status.

use std::io::Write;
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::logging::Logging;

/// Prints what was asked for. A reader that has gone is no failure of ours.
pub fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// The program's own name.
const NAME: &str = "ovn-ic-db";

/// Says why the program ends, before there is a log.
pub fn fail(error: &str, status: ExitCode) -> ExitCode {
    fail_as(NAME, error, status)
}

/// The same, under the name of a program that this one stands in for.
pub fn fail_as(name: &str, error: &str, status: ExitCode) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{name}: {error}");
    status
}

/// Runs what a command asks servers, on this thread.
///
/// # Errors
/// If the system refuses what that takes.
pub fn block_on<T>(asking: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(asking);
    // A name that is still being looked up is of no interest any more.
    runtime.shutdown_background();
    Ok(outcome)
}

/// Runs the server to its end.
pub fn serve(logging: &Logging, server: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    match run(server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail_logged(logging, &error),
    }
}

/// The same for a program that this one stands in for, which says on the terminal alone why it ends.
pub fn serve_as(name: &str, server: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    match run(server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail_as(name, &format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn run(server: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    allow_many_clients();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime?;
    let outcome = runtime.block_on(server);
    // A file that is still being loaded is of no interest any more.
    runtime.shutdown_background();
    outcome
}

/// Says why the program ends in the log, and in any case on the terminal.
pub fn fail_logged(logging: &Logging, error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    if !logging.console_shows_errors() {
        return fail(&format!("{error:#}"), ExitCode::FAILURE);
    }
    ExitCode::FAILURE
}

/// Every client is an open file, and the usual soft limit is that of old programs.
fn allow_many_clients() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!("the number of open files stays limited: {error}");
        }
    }
}
