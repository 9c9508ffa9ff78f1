//! One service with all that surrounds it: pid file, control socket, listening sockets, files.
//!
//! All that others look for appears when a station is opened, before any database is loaded;
//! clients wait in the sockets' queues until [`Station::accept`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use ovsdb_log::SyncPolicy;
use ovsdb_server::control::{self, Commands};
use ovsdb_server::database::Database;
use ovsdb_server::listener::Listener;
use ovsdb_server::origin::{Origin, SessionOptions};
use ovsdb_server::pid_file::PidFile;
use ovsdb_server::remotes::{Remotes, TcpEntrance};
use ovsdb_server::service::Service;
use ovsdb_server::standalone::File;
use ovsdb_tls::Keys;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{Instrument as _, Span};

use crate::control_commands::{self, Subject};
use crate::logging::SideLog;
use crate::remote_keeper::RemoteKeeper;
use crate::reporter::reporter;
use crate::stop::Stop;
use crate::tls_sources::TlsSources;

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
    /// Where relative paths of remotes that are named later are.
    pub run_folder: PathBuf,
    /// The keys of remotes that are named later.
    pub keys: Keys,
    /// What `ptcp:` remotes that are named later do with TLS.
    pub tcp: TcpEntrance,
    /// Where the keys are said, unless they are there already.
    pub tls: TlsSources,
    /// Databases that remotes are named in may come later.
    pub patient: bool,
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
    ///
    /// `more` adds to the commands.
    pub fn open(
        places: Places,
        manner: Manner,
        more: impl FnOnce(&Arc<Subject>, &mut Commands),
    ) -> anyhow::Result<Station> {
        let service = Service::new().context("_Server cannot be made")?;
        let remotes = Remotes::new(
            Arc::clone(&service),
            places.run_folder,
            places.keys,
            places.tcp,
        );
        let keeper = RemoteKeeper::new(
            Arc::clone(&service),
            Arc::new(remotes),
            places.tls,
            places.patient,
        );
        let subject = Arc::new(Subject {
            service,
            databases: Arc::default(),
            members: Arc::default(),
            remotes: places.remotes,
            keeper,
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
            let mut commands =
                control_commands::commands(&version, Arc::clone(&subject), log, stop.clone());
            more(&subject, &mut commands);
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
        self.subject.add_alone(file, sync)
    }

    /// What is served here.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// The remotes, for people.
    pub fn addresses(&self) -> String {
        self.subject.addresses()
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
        let keeper = &self.subject.keeper;
        keeper.remotes().accept();
        let keeping = Arc::clone(keeper).keep();
        self.tasks.spawn(keeping.instrument(self.span.clone()));
        let telling = Arc::clone(keeper).tell();
        self.tasks.spawn(telling.instrument(self.span.clone()));
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
        self.subject.keeper.remotes().close();
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
