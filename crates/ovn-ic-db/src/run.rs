//! `ovn-ic-db run`: both interconnection databases in one process.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use ovsdb_server::entrance::Entrance;
use ovsdb_server::listener::Listener;
use ovsdb_server::origin::SessionOptions;
use ovsdb_server::pid_file::PidFile;
use ovsdb_server::remote::Remote;
use ovsdb_server::remotes::TcpEntrance;
use ovsdb_server::standalone::File;
use ovsdb_tls::{Keys, Tls};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::advice;
use crate::cluster_member::ClusterMember;
use crate::folders::Folders;
use crate::http::{HttpServer, Shown};
use crate::logging::{self, Logging};
use crate::membership::{self, OwnFile};
use crate::pod_labels::PodLabels;
use crate::schemas::Side;
use crate::settings::{ClusterSettings, Settings};
use crate::station::{Manner, Places, Station};
use crate::stop::{Signals, Stop};
use crate::switch_keeper::SwitchKeeper;
use crate::takeover;
use crate::tls_sources::TlsSources;

/// What `version` says.
const VERSION: &str = concat!("ovn-ic-db ", env!("CARGO_PKG_VERSION"));

/// Serves until it is asked to stop.
pub async fn run(
    settings: Settings,
    folders: Folders,
    logging: Logging,
    tls: Option<Arc<Tls>>,
) -> anyhow::Result<()> {
    let signals = Signals::catch().context("signals cannot be caught")?;
    let stop = Stop::new();
    tokio::spawn(signals.serve(stop.clone(), logging.clone()));
    tracing::info!("{VERSION} starts as process {}", std::process::id());
    if let Some(tls) = &tls {
        tracing::info!("TLS is on: {}", tls.current());
        tokio::spawn(Arc::clone(tls).watch());
    }
    let mut opened = Opened::default();
    let outcome = tokio::select! {
        outcome = serve(&settings, &folders, &logging, &stop, &tls, &mut opened) => outcome,
        // Whatever is being loaded is given up: nothing has been acknowledged yet.
        () = stop.asked() => Ok(()),
    };
    // After a failure, too: the control sockets go by this.
    stop.ask();
    opened.close().await;
    if outcome.is_ok() {
        tracing::info!("stopped");
    }
    outcome
}

/// What has been opened.
#[derive(Default)]
struct Opened {
    stations: Vec<Station>,
    labels: Option<PodLabels>,
}

impl Opened {
    /// Closes all of it. The databases do not wait for what becomes of the labels.
    async fn close(self) {
        let stations = async {
            for station in self.stations {
                station.close().await;
            }
        };
        let labels = async {
            if let Some(labels) = self.labels {
                labels.withdraw().await;
            }
        };
        tokio::join!(stations, labels);
    }
}

/// Opens a station for each side, loads both databases, and lets clients in. Ends only with an
/// error.
async fn serve(
    settings: &Settings,
    folders: &Folders,
    logging: &Logging,
    stop: &Stop,
    tls: &Option<Arc<Tls>>,
    opened: &mut Opened,
) -> anyhow::Result<()> {
    let Opened { stations, labels } = opened;
    for side in Side::BOTH {
        // What they say of clients and of control sockets is about this database.
        let _about = logging::of_database(side).entered();
        let places = places(side, settings, folders, tls)?;
        let manner = Manner {
            version: VERSION.to_owned(),
            probe_interval: settings.probe_interval,
            log: logging.of_side(Some(side)),
            stop: stop.clone(),
        };
        let station = Station::open(places, manner, |_, _| {})?;
        // As ovn-ctl has it: what `set-connection` writes.
        let connections = connections(side);
        let options = SessionOptions::of(&connections);
        let keeper = &station.subject().keeper;
        keeper.set_named([(connections, options)].into());
        stations.push(station);
    }
    // Ends with this function.
    let mut http = JoinSet::new();
    if let Some(address) = settings.http {
        let databases = Side::BOTH.into_iter().zip(stations.iter());
        let databases = databases.map(|(side, station)| (side, Arc::clone(station.subject())));
        let shown = Shown {
            databases: databases.collect(),
            tls: tls.clone(),
        };
        http.spawn(HttpServer::open(address)?.serve(Arc::new(shown)));
    }
    if let (Some(pod), [northbound, southbound]) = (&settings.pod, stations.as_slice()) {
        let databases = [northbound, southbound].map(|station| &station.subject().databases);
        let databases = databases.map(Arc::clone);
        *labels = PodLabels::start(pod, settings.leader_probe_interval, databases);
    }
    let (lost, mut losses) = mpsc::channel(1);
    load(settings, folders, tls, stations, &lost).await?;
    // A node that stayed without a database would look well from outside.
    match losses.recv().await {
        Some(error) => Err(error),
        None => std::future::pending().await,
    }
}

/// All that others look for, before anything slow.
fn places(
    side: Side,
    settings: &Settings,
    folders: &Folders,
    tls: &Option<Arc<Tls>>,
) -> anyhow::Result<Places> {
    let pid_file = PidFile::create(&folders.pid(side))?;
    let unix = |path: PathBuf| {
        Listener::open(&Remote::Unix(path.clone())).map_err(|error| advice::socket(error, &path))
    };
    let control = unix(folders.control(side))?;
    let all = [IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = match settings.listen.as_slice() {
        [] => &all,
        some => some,
    };
    let port = settings.port(side);
    let listeners = Listener::open_all(addresses, port);
    let mut listeners = listeners.map_err(|error| advice::clients_port(error, side, port))?;
    if let (Some(tls), Some(rules)) = (tls, &settings.tls) {
        let entrance = Arc::new(Entrance::new(Arc::clone(tls).into(), rules.plaintext));
        for listener in &mut listeners {
            listener.set_entrance(Arc::clone(&entrance));
        }
    }
    listeners.push(unix(folders.socket(side))?);
    let remotes = listeners.iter().flat_map(Listener::remotes);
    Ok(Places {
        pid_file: Some(pid_file),
        control: Some(control),
        remotes: remotes.collect(),
        listeners,
        run_folder: folders.run.clone(),
        keys: tls.clone().map(Keys::from).unwrap_or_default(),
        tcp: match &settings.tls {
            Some(rules) => TcpEntrance::Both(rules.plaintext),
            None => TcpEntrance::Plain,
        },
        // Where it is on, it is as the settings say.
        tls: match tls {
            Some(_) => TlsSources::default(),
            None => TlsSources::of_database(side),
        },
        // A member of a cluster may have to join first.
        patient: true,
    })
}

/// Loads both databases and lets clients in. `lost` is told of one that cannot be served any more.
async fn load(
    settings: &Settings,
    folders: &Folders,
    tls: &Option<Arc<Tls>>,
    stations: &mut [Station],
    lost: &mpsc::Sender<anyhow::Error>,
) -> anyhow::Result<()> {
    // Both are looked at before either is changed.
    let cluster = settings.cluster.clone();
    let [northbound, southbound] =
        Side::BOTH.map(|side| look(side, folders.database(side), cluster.clone()));
    let (northbound, southbound) = tokio::join!(northbound, southbound);
    let found = [northbound?, southbound?];
    for ((side, own), station) in Side::BOTH.into_iter().zip(found).zip(stations) {
        let path = folders.database(side);
        match own {
            OwnFile::Missing(_) | OwnFile::Standalone(_) if settings.cluster.is_none() => {
                // Its lock is taken again in a moment.
                drop(own);
                serve_alone(settings, side, path, station).await?;
            }
            own => {
                // Whoever waits for a cluster answers nevertheless.
                station.accept();
                let subject = Arc::clone(station.subject());
                let member = ClusterMember::new(side, path, settings, tls.clone(), subject);
                let task = member.start(own).await?;
                let lost = lost.clone();
                station.spawn(async move {
                    let error = task.await;
                    // Nobody listens if the other one was lost first: the program ends.
                    let _ = lost.send(error).await;
                });
            }
        }
    }
    Ok(())
}

async fn serve_alone(
    settings: &Settings,
    side: Side,
    path: PathBuf,
    station: &mut Station,
) -> anyhow::Result<()> {
    let file = prepare(side, path).await?;
    let path = file.path().to_owned();
    let about = logging::of_database(side);
    let database = about.in_scope(|| station.add(file, settings.durability.policy()))?;
    if side == Side::Northbound {
        let mut keeper = SwitchKeeper::new(
            Arc::clone(&database),
            settings.transit_switches.clone(),
            settings.leader_probe_interval,
        );
        keeper.start().await;
        station.spawn(keeper.keep());
    }
    let version = database.committed().version.clone();
    let (schema, rows) = (version.schema(), version.row_count());
    tracing::info!(
        db = side.short(),
        "{}: {}, schema {}, {rows} rows, on {}",
        schema.name,
        path.display(),
        schema.version,
        station.addresses()
    );
    station.accept();
    Ok(())
}

/// The column with the remotes that clients have set.
fn connections(side: Side) -> String {
    let table = match side {
        Side::Northbound => "IC_NB_Global",
        Side::Southbound => "IC_SB_Global",
    };
    format!("db:{},{table},connections", side.database())
}

async fn look(
    side: Side,
    path: PathBuf,
    cluster: Option<ClusterSettings>,
) -> anyhow::Result<OwnFile> {
    let look = move || membership::look(side, &path, cluster.as_ref());
    tokio::task::spawn_blocking(move || logging::of_database(side).in_scope(look)).await?
}

async fn prepare(side: Side, path: PathBuf) -> anyhow::Result<File> {
    let prepare = move || {
        let found = takeover::look(side, &path)?;
        takeover::prepare(side, Path::new(&path), found)
    };
    tokio::task::spawn_blocking(move || logging::of_database(side).in_scope(prepare)).await?
}
