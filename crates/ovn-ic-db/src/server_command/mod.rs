//! `ovn-ic-db ovsdb-server`: any databases, with the command line of ovsdb-server(1).

mod clustered;
mod detach;
mod options;
mod paths;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use ovsdb_cluster::wire::stream;
use ovsdb_server::listener::Listener;
use ovsdb_server::log_control::{self, Destination, Level, LogControl};
use ovsdb_server::pid_file::PidFile;
use ovsdb_server::probe;
use ovsdb_server::remote::Remote;
use ovsdb_server::standalone::File;
use tracing::level_filters::LevelFilter;

use crate::logging::Logging;
use crate::process;
use crate::settings::Settings;
use crate::station::{Manner, Places, Station};
use crate::stop::{Signals, Stop};
use options::{Options, Request};
use paths::Paths;

/// What `--version` and the command `version` say.
const VERSION: &str = concat!("ovsdb-server (ovn-ic-db) ", env!("CARGO_PKG_VERSION"));

/// The whole program from its arguments to its exit status.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let request = match Request::parse(arguments.iter().cloned()) {
        Ok(request) => request,
        Err(error) => return process::fail(&error, ExitCode::FAILURE),
    };
    let options = match request {
        Request::Help => return process::print(include_str!("usage.txt")),
        Request::Version => return process::print(&format!("{VERSION}\n")),
        Request::Serve(options) => options,
    };
    if options.detach && !options.detached {
        return match detach::start(&arguments) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => process::fail(&format!("{error:#}"), ExitCode::FAILURE),
        };
    }
    let prepared = prepare(&options);
    let (paths, logging) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return process::fail(&format!("{error:#}"), ExitCode::FAILURE),
    };
    process::serve(&logging, run(&options, paths, logging.clone()))
}

fn prepare(options: &Options) -> anyhow::Result<(Paths, Logging)> {
    if options.detached {
        detach::leave_session().context("the session cannot be left")?;
    }
    let paths = Paths::complete(options, &|name| std::env::var_os(name))?;
    let shape = Settings::log_shape(&|name| std::env::var_os(name))?;
    let logging = Logging::start(LevelFilter::INFO, shape, false)?;
    let log = logging.of_side(None);
    for spec in &options.verbosity {
        let set = match spec.as_str() {
            "" => {
                log.set_level(None, None, Level::Debug);
                Ok(())
            }
            spec => log_control::set(&log, spec),
        };
        set.map_err(|error| anyhow::anyhow!("processing \"{spec}\": {error}"))?;
    }
    if options.detached {
        // What goes wrong at start is still told there.
        log.set_level(None, Some(Destination::Console), Level::Off);
    }
    if let Some(path) = &paths.log_file
        && let Err(error) = logging.open(None, path)
    {
        tracing::warn!("{}: the log file cannot be opened: {error}", path.display());
    }
    Ok((paths, logging))
}

/// Serves until it is asked to stop.
async fn run(options: &Options, paths: Paths, logging: Logging) -> anyhow::Result<()> {
    let signals = Signals::catch().context("signals cannot be caught")?;
    let stop = Stop::new();
    tokio::spawn(signals.serve(stop.clone(), logging.clone()));
    tracing::info!("{VERSION}");
    let manner = Manner {
        version: VERSION.to_owned(),
        probe_interval: Some(probe::DEFAULT_INTERVAL),
        log: logging.of_side(None),
        stop: stop.clone(),
    };
    let mut station = Station::open(places(&paths)?, manner)?;
    let outcome = tokio::select! {
        outcome = serve(options, &paths, &mut station) => outcome,
        () = stop.asked() => Ok(()),
    };
    // After a failure, too: the control socket goes by this.
    stop.ask();
    station.close().await;
    outcome
}

/// All that others look for, before anything slow.
fn places(paths: &Paths) -> anyhow::Result<Places> {
    let pid_file = paths.pid_file.as_deref().map(PidFile::create).transpose()?;
    let unix = |path: &PathBuf| Listener::open(&Remote::Unix(path.clone()));
    let control = paths.control.as_ref().map(unix).transpose()?;
    let listeners = paths.remotes.iter();
    let listeners = listeners.map(|(_, remote)| Listener::open(remote));
    Ok(Places {
        pid_file,
        control,
        listeners: listeners.collect::<Result<_, _>>()?,
        remotes: paths.remotes.iter().map(|(text, _)| text.clone()).collect(),
    })
}

/// Loads the databases and lets clients in. Ends only with an error.
async fn serve(options: &Options, paths: &Paths, station: &mut Station) -> anyhow::Result<()> {
    let loads: Vec<_> = paths
        .databases
        .iter()
        .cloned()
        .map(|path| tokio::task::spawn_blocking(move || open(&path)))
        .collect();
    for load in loads {
        let file = match load.await?? {
            Loaded::Alone(file) => file,
            Loaded::Member(path) => {
                let wire = stream::Settings {
                    folder: paths.run.clone(),
                    ..stream::Settings::default()
                };
                clustered::open(&path, station.subject(), wire).await?;
                continue;
            }
        };
        let path = file.path().to_owned();
        let (rows, schema) = (file.version().row_count(), file.version().schema().clone());
        station.add(*file, options.durability.policy())?;
        tracing::info!(
            "{}: {}, schema {}, {rows} rows, on {}",
            schema.name,
            path.display(),
            schema.version,
            station.addresses()
        );
    }
    station.accept();
    if options.detached {
        detach::ready(options.stay).context("the terminal cannot be left")?;
    }
    std::future::pending().await
}

/// A file that has been read.
enum Loaded {
    Alone(Box<File>),
    /// One of a cluster's member, which is read when it is added.
    Member(PathBuf),
}

fn open(path: &Path) -> anyhow::Result<Loaded> {
    if clustered::is_clustered(path)? {
        return Ok(Loaded::Member(path.to_owned()));
    }
    let file = File::open(path)?;
    if let Some(dropped) = file.save_torn() {
        tracing::warn!("{dropped}");
    }
    Ok(Loaded::Alone(Box::new(file)))
}
