//! One service with all that surrounds it: pid file, control socket, listening sockets, files.
//!
//! All that others look for appears when a station is opened, before any database is loaded;
//! clients wait in the sockets' queues until [`Station::accept`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use ovsdb_log::SyncPolicy;
use ovsdb_server::control;
use ovsdb_server::database::Database;
use ovsdb_server::listener::Listener;
use ovsdb_server::origin::{Origin, SessionOptions};
use ovsdb_server::pid_file::PidFile;
use ovsdb_server::service::Service;
use ovsdb_server::standalone::File;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{Instrument as _, Span};

use crate::control_commands::{self, Subject};
use crate::databases::{Alone, Kept};
use crate::logging::SideLog;
use crate::reporter::reporter;
use crate::stop::Stop;

/// What a station holds on to from its beginning to its end.
pub struct Places {
    /// The pid file.
    pub pid_file: Option<PidFile>,
    /// The control socket.
    pub control: Option<Listener>,
    /// Where clients come in.
    pub listeners: Vec<Listener>,
    /// The listeners as `ovsdb-server/list-remotes` names them.
    pub remotes: Vec<String>,
}

/// How a station serves.
pub struct Manner {
    /// What `version` answers.
    pub version: String,
    /// Silence after which a client is probed; `None` never.
    pub probe_interval: Option<Duration>,
    /// The log that its control socket rules.
    pub log: SideLog,
    /// The end of the program.
    pub stop: Stop,
}

/// One service and its surroundings.
pub struct Station {
    subject: Arc<Subject>,
    listeners: Vec<Arc<Listener>>,
    probe_interval: Option<Duration>,
    control: Option<JoinHandle<()>>,
    /// What the lines about it are in.
    span: Span,
    tasks: JoinSet<()>,
    /// Last of all: who sees no pid file may start a server on the same files.
    _pid_file: Option<PidFile>,
}

impl Station {
    /// Opens a station: its control socket answers from now on. What is said there, and of clients, is
    /// in the present [`Span`].
    pub fn open(places: Places, manner: Manner) -> anyhow::Result<Station> {
        let service = Service::new().context("_Server cannot be made")?;
        let subject = Arc::new(Subject {
            service,
            databases: Arc::default(),
            members: Arc::default(),
            remotes: places.remotes,
            accepts: AtomicBool::new(false),
        });
        let Manner {
            version,
            probe_interval,
            log,
            stop,
        } = manner;
        let (databases, members) = (&subject.databases, &subject.members);
        let (databases, members) = (Arc::clone(databases), Arc::clone(members));
        let reporter = reporter(&version, databases, members, log.clone());
        subject.service.set_reporter(reporter);
        let control = places.control.map(|listener| {
            let commands =
                control_commands::commands(&version, Arc::clone(&subject), log, stop.clone());
            let serving = async move {
                let name = listener.name().to_owned();
                let asked = async move { stop.asked().await };
                if let Err(error) = control::serve(listener, Arc::new(commands), asked).await {
                    tracing::error!("{name}: the control socket is closed: {error}");
                }
            };
            tokio::spawn(serving.in_current_span())
        });
        Ok(Station {
            subject,
            listeners: places.listeners.into_iter().map(Arc::new).collect(),
            probe_interval,
            control,
            span: Span::current(),
            tasks: JoinSet::new(),
            _pid_file: places.pid_file,
        })
    }

    /// Begins to keep a database in its file, and offers it.
    pub fn add(&self, file: File, sync: SyncPolicy) -> anyhow::Result<Arc<Database>> {
        let name = file.version().schema().name.to_string();
        let path = file.path().to_owned();
        let (version, standalone) = file.start(sync)?;
        let service = &self.subject.service;
        let Some(database) = service.add(version, Box::new(Arc::clone(&standalone))) else {
            standalone
                .close()
                .with_context(|| format!("{}: cannot be closed", path.display()))?;
            bail!(
                "{}: a database {name} is served already from another file",
                path.display()
            );
        };
        let kept = Kept::Alone(Alone {
            database: Arc::clone(&database),
            standalone,
        });
        self.subject.databases.add(&name, kept);
        Ok(database)
    }

    /// What is served here.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// The remotes, for people.
    pub fn addresses(&self) -> String {
        self.subject.remotes.join(", ")
    }

    /// Lets clients in, and looks after the files.
    pub fn accept(&mut self) {
        self.subject.accepts.store(true, Ordering::Release);
        for listener in &self.listeners {
            let service = Arc::clone(&self.subject.service);
            // Unix sockets are not probed.
            let probe_interval = listener.port().and(self.probe_interval);
            let options = SessionOptions {
                probe_interval,
                ..SessionOptions::default()
            };
            let origin = Origin::new(listener.name(), options);
            let accepting = service.accept(Arc::clone(listener), origin);
            self.tasks.spawn(accepting.instrument(self.span.clone()));
        }
        let databases = Arc::clone(&self.subject.databases);
        let maintaining = databases.maintain();
        self.tasks.spawn(maintaining.instrument(self.span.clone()));
    }

    /// Work that ends with the station.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Ends the station; somebody has asked for it, so that the control socket closes, too.
    /// Clients get the answers that are under way, the files what was acknowledged.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        self.listeners.clear();
        // First: clients are told of the new leader before they are sent away.
        self.subject.databases.stop_members().await;
        self.subject.service.close().await;
        let databases = Arc::clone(&self.subject.databases);
        if let Err(error) = tokio::task::spawn_blocking(move || databases.close()).await {
            tracing::error!(parent: &self.span, "closing the database files failed: {error}");
        }
        if let Some(control) = self.control.take() {
            // It ends within its own deadline.
            let _ = control.await;
        }
    }
}
