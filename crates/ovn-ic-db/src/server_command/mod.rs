//! `ovn-ic-db ovsdb-server`: any databases, with the command line of ovsdb-server(1).

mod background;
mod clustered;
mod commands;
mod configurator;
mod known;
mod opening;
mod options;
mod part;
mod paths;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use ovsdb_log::system_words;
use ovsdb_server::listener::Listener;
use ovsdb_server::log_control::{self, Destination, Level, LogControl};
use ovsdb_server::pid_file::PidFile;
use ovsdb_server::remote::Remote;
use ovsdb_server::remotes::TcpEntrance;
use ovsdb_server::replication::ActiveBackup;
use ovsdb_server::upstream::Remotes;
use ovsdb_tls::Keys;
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;

use crate::logging::Logging;
use crate::process;
use crate::settings::Settings;
use crate::station::{Manner, Places, Station};
use crate::stop::{Signals, Stop};
use commands::Asked;
use configurator::{Configurator, Place};
use opening::Opener;
use options::{Options, Request};
use ovsdb_server::configuration::{Configuration, Sync, argument};
use part::Part;
use paths::Paths;

/// What `--version` and the command `version` say.
const VERSION: &str = concat!("ovsdb-server (ovn-ic-db) ", env!("CARGO_PKG_VERSION"));

/// The whole program from its arguments to its exit status.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let request = match Request::parse(arguments.iter().cloned()) {
        Ok(request) => request,
        Err(error) => return fail(&error),
    };
    let options = match request {
        Request::Help => return process::print(include_str!("usage.txt")),
        Request::Version => return process::print(&format!("{VERSION}\n")),
        Request::Serve(options) => options,
    };
    let outcome = begin(&options, &arguments);
    outcome.unwrap_or_else(|error| fail(&format!("{error:#}")))
}

/// Says why the program ends, under the name that it stands in for.
fn fail(error: &str) -> ExitCode {
    process::fail_as("ovsdb-server", error, ExitCode::FAILURE)
}

/// Takes the name by which scripts look for the process (`pidof ovsdb-server`, or `/proc/PID/comm`
/// as ovn-ctl does). By itself it would have that of the file, as every part is started again.
fn take_process_name() {
    if let Err(error) = std::fs::write("/proc/self/comm", "ovsdb-server") {
        tracing::debug!("/proc/self/comm: {error}");
    }
}

fn begin(options: &Options, arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    take_process_name();
    // A process in between has no other purpose, and arguments of its own are in the way of nobody.
    let arguments = without_part(arguments);
    let next = background::next_part(options);
    if let (Part::Called, Some(part)) = (options.part, next)
        && options.detach
    {
        return Ok(match background::send_away(&arguments, part)? {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        });
    }
    if options.part.is_detached() && !matches!(options.part, Part::Worker { saves: true, .. }) {
        background::leave_session().context("the session cannot be left")?;
    }
    let paths = Paths::complete(options, &|name| std::env::var_os(name))?;
    let logging = start_log(options)?;
    if !open_log(&logging, &paths) && matches!(options.log_file, Some(Some(_))) {
        // As in the reference, only without the file that was named.
        return Ok(ExitCode::FAILURE);
    }
    ovsdb_server::file_form::set_differences(options.column_differences);
    if let Some(Part::Worker { detached, .. }) | Some(Part::Monitor { detached }) = next {
        let worker = Part::Worker {
            detached,
            saves: true,
        };
        logging.set_subprogram("monitor");
        let waited_for = options.part != Part::Called;
        return background::look_after(&arguments, worker, waited_for.then_some(options.stay));
    }
    if let Some(spec) = &options.user {
        let identity = background::become_user(spec)?;
        if let Some(path) = &paths.log_file {
            let ids = (Some(identity.uid.as_raw()), Some(identity.gid.as_raw()));
            if let Err(error) = std::os::unix::fs::chown(path, ids.0, ids.1) {
                tracing::debug!("{}: stays as it is: {error}", path.display());
            }
        }
    }
    Ok(process::serve_as(
        "ovsdb-server",
        run(options, paths, logging),
    ))
}

fn without_part(arguments: &[OsString]) -> Vec<OsString> {
    let own = format!("--{}=", known::PART);
    let arguments = arguments.iter();
    let others = arguments.filter(|argument| !argument.to_string_lossy().starts_with(&own));
    others.cloned().collect()
}

fn start_log(options: &Options) -> anyhow::Result<Logging> {
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
    let (method, target) = (&options.syslog_method, &options.syslog_target);
    let opened = logging.open_syslog(method.as_deref(), target.as_deref());
    opened.map_err(anyhow::Error::msg)?;
    Ok(logging)
}

/// Opens the log file, if there is one. False if it cannot be opened, which has been said.
fn open_log(logging: &Logging, paths: &Paths) -> bool {
    let Some(path) = &paths.log_file else {
        return true;
    };
    let opened = logging.open(None, path);
    if let Err(error) = &opened {
        let (path, why) = (path.display(), system_words(error));
        tracing::warn!(target: "vlog", "failed to open {path} for logging: {why}");
    }
    opened.is_ok()
}

/// Serves until it is asked to stop.
async fn run(options: &Options, paths: Paths, logging: Logging) -> anyhow::Result<()> {
    let signals = Signals::catch().context("signals cannot be caught")?;
    let stop = Stop::new();
    tokio::spawn(signals.serve(stop.clone(), logging.clone()));
    let manner = Manner {
        version: VERSION.to_owned(),
        probe_interval: None,
        log: logging.of_side(None),
        stop: stop.clone(),
    };
    let asked: Asked = Arc::new(OnceLock::new());
    let keys = Keys::none();
    let places = places(options, &paths, keys.clone())?;
    let mut station = Station::open(places, manner, |subject, commands| {
        commands::register(commands, subject, &asked, options.data_with_conversion);
    })?;
    let outcome = tokio::select! {
        outcome = serve(options, &paths, keys, &asked, &mut station, &logging) => outcome,
        () = stop.asked() => Ok(()),
    };
    // After a failure, too: the control socket goes by this.
    stop.ask();
    station.close().await;
    outcome
}

/// All that others look for, before anything slow.
fn places(options: &Options, paths: &Paths, keys: Keys) -> anyhow::Result<Places> {
    let create = |path: &PathBuf| match options.overwrite_pid_file {
        true => PidFile::overwrite(path),
        false => PidFile::create(path),
    };
    let pid_file = paths.pid_file.as_ref().map(create).transpose()?;
    let unix = |path: &PathBuf| Listener::open(&Remote::Unix(path.clone()));
    let control = paths.control.as_ref().map(unix).transpose()?;
    let mut tls = options.tls.clone();
    tls.folder.clone_from(&paths.working_folder);
    Ok(Places {
        pid_file,
        control,
        listeners: Vec::new(),
        remotes: Vec::new(),
        run_folder: paths.run_folder.clone(),
        keys,
        tcp: TcpEntrance::Plain,
        tls,
        patient: false,
    })
}

/// What the command line asks for.
fn configuration(options: &Options, paths: &Paths) -> Configuration {
    let sync = Sync {
        from: options.sync_from.clone(),
        exclude: options.sync_exclude.clone(),
        backup: options.sync_from.is_some() && !options.active,
    };
    let usual = || vec![paths.usual_database.display().to_string()];
    let databases = options.databases.clone().unwrap_or_else(usual);
    let databases = databases.iter().map(|text| argument(text, &sync));
    Configuration {
        remotes: options.remotes.clone(),
        databases: databases.collect(),
        sync,
    }
}

/// Loads the databases and lets clients in. Ends with an error, or with the command of `--run`.
async fn serve(
    options: &Options,
    paths: &Paths,
    keys: Keys,
    asked: &Asked,
    station: &mut Station,
    logging: &Logging,
) -> anyhow::Result<()> {
    let subject = station.subject();
    // Members of clusters may need keys at once. What is said in databases comes later.
    if !options.tls.is_in_databases() {
        // Nothing is looked up.
        let _ = subject.keeper.look_aside().await;
    }
    let folder = paths.run_folder.clone();
    let parse = move |text: &str| Remotes::parse(text, &folder);
    let together = paths.config_file.is_none();
    let opener = Opener {
        subject: Arc::clone(subject),
        standbys: ActiveBackup::new(Arc::clone(&subject.service), together, parse),
        sync: options.durability.policy(),
        working_folder: paths.working_folder.clone(),
        run_folder: paths.run_folder.clone(),
        keys,
        unsaid: Mutex::new(Some(Vec::new())),
    };
    let place = match (&paths.config_file, options.part) {
        (Some(path), _) => Place::File(path.clone()),
        (None, Part::Worker { saves: true, .. }) => {
            let input = rustix::io::dup(rustix::stdio::stdin())?;
            Place::Saved(Mutex::new(input.into()))
        }
        (None, _) => Place::Nowhere,
    };
    let configurator = Configurator::new(opener, place);
    if !configurator.configure(configuration(options, paths)).await {
        bail!("server configuration failed");
    }
    // Nobody else sets it.
    let _ = asked.set(Arc::clone(&configurator));
    station.accept();
    if let Part::Worker { detached, saves } = options.part {
        if saves {
            station.spawn(background::die_of_sent_signals());
        }
        if detached {
            // What went wrong at start was still told there.
            let log = logging.of_side(None);
            log.set_level(None, Some(Destination::Console), Level::Off);
        }
        background::ready(detached, options.stay, saves).context("the terminal cannot be left")?;
    }
    let Some(command) = &options.run else {
        // With `--run` it is more of a tool, and says nothing.
        tracing::info!("{VERSION}");
        configurator.opener().speak();
        return std::future::pending().await;
    };
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", command])
        .spawn()
        .with_context(|| format!("{command}: process failed to start"))?;
    let status = child.wait().await?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => bail!("{command}: child exited, exit status {code}"),
        None => bail!("{command}: child exited, {status}"),
    }
}
