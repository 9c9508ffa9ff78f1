//! What both ways to run the program share: its messages, its runtime, its exit status.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::logging::{self, Logging};
use crate::{advice, orphans};

/// Something that was asked for could not be written.
static UNSAID: AtomicBool = AtomicBool::new(false);

/// Prints what was asked for. If it cannot be written, that is the program's failure ([`end`]).
pub fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed(written)
}

/// What became of printing. A reader that has gone is no failure of ours.
pub fn printed(written: std::io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            if !UNSAID.swap(true, Ordering::Relaxed) {
                fail(
                    &format!("cannot write the output: {error}"),
                    ExitCode::FAILURE,
                );
            }
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The program's exit status: no success if something could not be printed.
pub fn end(status: ExitCode) -> ExitCode {
    logging::flush();
    match UNSAID.load(Ordering::Relaxed) && status == ExitCode::SUCCESS {
        true => ExitCode::FAILURE,
        false => status,
    }
}

/// The program's own name.
const NAME: &str = "ovn-ic-db";

/// Says why the program ends, before there is a log.
pub fn fail(error: &str, status: ExitCode) -> ExitCode {
    fail_as(NAME, error, status)
}

/// The same, under the name of a program that this one stands in for. What was logged before comes first.
pub fn fail_as(name: &str, error: &str, status: ExitCode) -> ExitCode {
    logging::flush();
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

/// Runs the server to its end. If it fails, it is said what to do.
pub fn serve(logging: &Logging, server: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let server = async {
        tokio::spawn(orphans::reap());
        server.await.map_err(advice::advised)
    };
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
    logging::flush();
    outcome
}

/// Says why the program ends in the log, and in any case on the terminal.
pub fn fail_logged(logging: &Logging, error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    logging::flush();
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
