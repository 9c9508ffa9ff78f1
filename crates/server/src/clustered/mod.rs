//! A clustered database: a member's replica, offered to clients.
//!
//! [`Clustered`] is both ends at once: the [`Ordering`](crate::ordering::Ordering) of its database
//! and the replica ([`ovsdb_cluster::replica::Replica`]) that the member's log is applied to. The leader executes transactions and
//! proposes what they change; a follower passes them on.

mod again;
mod conversion;
mod executing;
mod failing;
mod flight;
mod following;
mod leading;
mod old_leader;
mod operated;
mod ordering;
mod passing;
mod replica;
#[cfg(feature = "testing")]
pub mod testing;
mod waiting;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ovsdb::Uuid;
use ovsdb_cluster::file::ClusterFile;
use ovsdb_cluster::node::{Connections, Node, Settings, StartError};
use ovsdb_cluster::replica::Place;
use ovsdb_log::FileSystem;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::conversion::Conversions;
use self::executing::Executing;
use self::flight::Flight;
use self::leading::PassedOnBy;
use self::old_leader::OldLeader;
use self::ordering::Proposed;
use self::replica::Route;
use self::waiting::Waiting;
use crate::database::Database;
use crate::ordering::Loss;
use crate::server_database::{Model, Status};
use crate::service::Service;

/// How often `_Server` shows how far the log has been applied.
const SHOW: Duration = Duration::from_millis(100);
/// So many messages of followers may wait to be executed; what is left out comes again.
const PASSED_ON: usize = 64;
/// So many transactions of followers of the old kind may be under way: each has one.
const COMMANDS: usize = 64;

/// A clustered database.
pub struct Clustered {
    itself: Weak<Clustered>,
    service: Arc<Service>,
    name: String,
    server: Uuid,
    /// There is none before the first contents have come.
    database: OnceLock<Arc<Database>>,
    node: OnceLock<Arc<Node>>,
    flight: Mutex<Flight>,
    proposals: mpsc::UnboundedSender<Proposed>,
    passed_on: mpsc::Sender<PassedOnBy>,
    /// The last applied entry.
    applied: AtomicU64,
    /// Entries are being applied.
    applying: AtomicBool,
    place: watch::Sender<Place>,
    /// Held while the row in `_Server` is made what it should be.
    showing: Mutex<()>,
    /// The term in which the log has refused something: this server does not lead in it any more.
    refused: AtomicU64,
    refusal: Notify,
    /// The latest term of which an entry was applied.
    settled: AtomicU64,
    /// The term in which the database executes transactions, once it knows; 0 while it does not.
    led: AtomicU64,
    /// What the database was last told to do.
    route: Mutex<Option<Route>>,
    /// Whom transactions are passed on to, and in which term; none while it leads itself.
    leader: Mutex<Option<(Uuid, u64)>>,
    waiting: Mutex<Waiting>,
    to_send: Notify,
    executing: Mutex<Executing>,
    to_answer: Notify,
    /// Held for each transaction of a follower of the old kind.
    commands: Arc<Semaphore>,
    old_leader: OldLeader,
    conversions: Conversions,
    stop: CancellationToken,
}

impl std::fmt::Debug for Clustered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clustered")
            .field("name", &self.name)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Clustered {
    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts a member on its file, and offers its database in `service` as soon as it has
    /// contents. Must be called in a runtime.
    pub async fn start(
        service: Arc<Service>,
        file: ClusterFile,
        fs: Arc<dyn FileSystem>,
        settings: Settings,
        connections: Option<Connections>,
    ) -> Result<Arc<Clustered>, StartError> {
        ovsdb_cluster::failure_test::before_crash(crate::own_files::remove_all);
        let identity = file.replayed().header.identity.clone();
        let (proposals, proposed) = mpsc::unbounded_channel();
        let (passed_on, to_execute) = mpsc::channel(PASSED_ON);
        let clustered = Arc::new_cyclic(|itself| Clustered {
            itself: itself.clone(),
            service,
            name: identity.name.clone(),
            server: identity.server_id,
            database: OnceLock::new(),
            node: OnceLock::new(),
            flight: Mutex::default(),
            proposals,
            passed_on,
            applied: AtomicU64::new(0),
            applying: AtomicBool::new(false),
            place: watch::Sender::new(Place::default()),
            showing: Mutex::default(),
            refused: AtomicU64::new(0),
            refusal: Notify::new(),
            settled: AtomicU64::new(0),
            led: AtomicU64::new(0),
            route: Mutex::default(),
            leader: Mutex::default(),
            waiting: Mutex::new(Waiting::new(Uuid::new_v4())),
            to_send: Notify::new(),
            executing: Mutex::default(),
            to_answer: Notify::new(),
            commands: Arc::new(Semaphore::new(COMMANDS)),
            old_leader: OldLeader::default(),
            conversions: Conversions::default(),
            stop: CancellationToken::new(),
        });
        clustered.show(identity.cluster_id);
        let shown = Arc::downgrade(&clustered);
        let refresh = move || {
            if let Some(clustered) = shown.upgrade() {
                clustered.show(clustered.cluster());
            }
        };
        let service = &clustered.service;
        service.refresh_by(&clustered.name, Arc::new(refresh));
        let node = Node::start(file, fs, clustered.clone(), settings, connections).await?;
        let node = Arc::new(node);
        if clustered.node.set(node.clone()).is_err() {
            tracing::error!(
                db = &*clustered.name,
                "{}: a member was started twice",
                clustered.name
            );
        }
        tokio::spawn(ordering::propose_all(clustered.clone(), proposed));
        tokio::spawn(replica::take_places(clustered.clone()));
        tokio::spawn(following::send_all(clustered.clone()));
        tokio::spawn(leading::execute_all(clustered.clone(), to_execute));
        tokio::spawn(leading::answer_all(clustered.clone()));
        Ok(clustered)
    }

    /// The member.
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.get()
    }

    /// The database, once it has contents.
    pub fn database(&self) -> Option<&Arc<Database>> {
        self.database.get()
    }

    /// This server's place in the cluster, and its changes.
    pub fn place(&self) -> watch::Receiver<Place> {
        self.place.subscribe()
    }

    /// Hands the leadership over, and stops. The database stays readable.
    pub async fn stop(&self) {
        if let Some(node) = self.node.get() {
            node.stop().await;
        }
        self.stop.cancel();
        self.service.set_leaderless(&self.name, false);
        self.end_work();
    }

    /// What has no answer gets none here any more: its clients should look for another server at
    /// once, and not wait for this one.
    fn end_work(&self) {
        let items = self.flight.lock().take_all();
        self.lose(items, Loss::Unknown);
        if let Some(database) = self.database.get() {
            database.end_work();
        }
        let ends = self.waiting.lock().take_all();
        self.end_all(ends);
        self.old_leader.end();
    }

    /// Makes the row in `_Server` what it should be.
    fn show(&self, cluster: Option<Uuid>) {
        let _showing = self.showing.lock();
        if self.stop.is_cancelled() {
            return;
        }
        let place = self.place.borrow().clone();
        let applied = self.applied.load(std::sync::atomic::Ordering::Acquire);
        let schema = self.database.get().map(|database| {
            let committed = database.committed();
            committed.version.schema().clone()
        });
        let status = Status {
            model: Model::Clustered,
            connected: place.connected && schema.is_some(),
            // A leader that is cut off knows nothing of its successor: clients should look for one.
            leader: place.leading.is_some() && place.connected,
            schema,
            cluster,
            server: Some(self.server),
            index: (applied > 0).then(|| i64::try_from(applied).unwrap_or(i64::MAX)),
        };
        let led = place.leading.is_some() || place.leader.is_some();
        self.service.set_leaderless(&self.name, !led);
        if let Err(error) = self.service.set_status(&self.name, &status) {
            tracing::error!(
                db = &*self.name,
                "{}: cannot be shown in _Server: {error}",
                self.name
            );
        }
    }

    fn cluster(&self) -> Option<Uuid> {
        self.node.get().and_then(|node| node.cluster_id())
    }
}
