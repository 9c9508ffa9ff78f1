//! What the clients of one set of remotes see: some databases, `_Server` among them, and locks.

mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering as AtomicOrdering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ovsdb::{Error, Schema, Uuid};
use ovsdb_cluster::wire::stream::LogLimit;
use ovsdb_engine::Version;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, watch};
use tracing::Span;

use crate::counters::ServiceCounters;
use crate::database::Database;
use crate::locks::{LockTable, SessionId};
use crate::mailbox::{CONVERSION, Event, Mailbox};
use crate::monitors::Groups;
use crate::ordering::{Ordering, Unbacked};
use crate::remotes::Source;
use crate::report::{Rate, Reporter, Roll};
use crate::server_database::{self, Model, Rows, Status};
use crate::visits::Visits;
use sessions::Member;

/// How long the first answer about `_Server` may wait for a leader.
const ELECTION: Duration = Duration::from_secs(1);

/// Makes a row of `_Server` what it should be now.
pub(crate) type Refresher = Arc<dyn Fn() + Send + Sync>;

/// A database that is offered to clients.
pub(crate) struct Served {
    pub(crate) database: Arc<Database>,
    pub(crate) groups: Arc<Groups>,
    /// It is the server's own: clients may only read it.
    pub(crate) reserved: bool,
    /// It is offered no more.
    pub(crate) removed: AtomicBool,
    /// Transactions that clients ask for.
    pub(crate) transactions: Rate,
}

/// Databases that are served together.
pub struct Service {
    /// Drawn anew at each start.
    pub(crate) id: Uuid,
    databases: RwLock<BTreeMap<String, Arc<Served>>>,
    /// Databases that will come when they have contents.
    announced: RwLock<BTreeSet<String>>,
    server: Arc<Database>,
    rows: Rows,
    /// What makes the rows that change all the time what they should be now, by the database.
    refreshers: Mutex<BTreeMap<String, Refresher>>,
    pub(crate) locks: Mutex<LockTable>,
    sessions: Mutex<FxHashMap<SessionId, Member>>,
    next_session: AtomicU64,
    emptied: Notify,
    /// Databases of which nobody knows who leads them, at the moment.
    leaderless: watch::Sender<BTreeSet<String>>,
    /// Bytes of unfinished large messages of all sessions.
    pub(crate) large_input: AtomicUsize,
    /// How many lines bad clients may cause.
    pub(crate) complaints: LogLimit,
    /// Which of the clients that come and go are told.
    pub(crate) visits: Visits,
    pub(crate) roll: Arc<Roll>,
    pub(crate) counters: Arc<ServiceCounters>,
    /// What the lines about clients are in.
    pub(crate) span: Span,
    pub(crate) reporter: OnceLock<Reporter>,
    /// Clients may have monitors with conditions.
    conditions: AtomicBool,
    /// There are other databases, or other contents.
    news: Arc<Notify>,
}

impl Service {
    /// A service with `_Server` alone. Must be called inside a tokio runtime. What it has to say is in
    /// the present [`Span`].
    pub fn new() -> Result<Arc<Service>, Error> {
        let news = Arc::new(Notify::new());
        let server = serve(server_database::empty()?, Box::new(Unbacked), true, &news);
        let service = Service {
            id: Uuid::new_v4(),
            server: server.database.clone(),
            databases: RwLock::default(),
            announced: RwLock::default(),
            rows: Rows::default(),
            refreshers: Mutex::default(),
            locks: Mutex::default(),
            sessions: Mutex::default(),
            next_session: AtomicU64::new(0),
            emptied: Notify::new(),
            leaderless: watch::Sender::default(),
            large_input: AtomicUsize::new(0),
            complaints: LogLimit::new(),
            visits: Visits::default(),
            roll: Arc::default(),
            counters: Arc::default(),
            span: Span::current(),
            reporter: OnceLock::new(),
            conditions: AtomicBool::new(true),
            news,
        };
        let name = server_database::NAME;
        let status = Status::standalone(server.database.committed().version.schema().clone());
        service
            .databases
            .write()
            .insert(name.to_owned(), Arc::new(server));
        service.set_status(name, &status)?;
        Ok(Arc::new(service))
    }

    /// Adds a standalone database, and its row in `_Server`. None if there is one of that name.
    pub fn add(
        self: &Arc<Self>,
        version: Version,
        ordering: Box<dyn Ordering>,
    ) -> Option<Arc<Database>> {
        let status = Status::standalone(version.schema().clone());
        self.add_with(version, ordering, &status)
    }

    /// Adds a database with this row in `_Server`. None if there is one of that name.
    pub fn add_with(
        self: &Arc<Self>,
        version: Version,
        ordering: Box<dyn Ordering>,
        status: &Status,
    ) -> Option<Arc<Database>> {
        let schema = version.schema().clone();
        let mut databases = self.databases.write();
        if databases.contains_key(&*schema.name) {
            return None;
        }
        let served = serve(version, ordering, false, &self.news);
        let database = served.database.clone();
        databases.insert(schema.name.to_string(), Arc::new(served));
        self.announced.write().remove(&*schema.name);
        drop(databases);
        self.news.notify_waiters();
        // Who has asked in vain and knows nothing of databases that come and go is to come back.
        self.raise(CONVERSION);
        let name = schema.name.clone();
        if let Err(error) = self.set_status(&name, status) {
            tracing::error!(parent: &self.span, "{name}: cannot be shown in _Server: {error}");
        }
        Some(database)
    }

    /// Says that a database will come when it has contents: until then clients hear that it is not yet
    /// available. False if there is one of that name, or it was announced already.
    pub fn announce(&self, name: &str) -> bool {
        let databases = self.databases.read();
        !databases.contains_key(name) && self.announced.write().insert(name.to_owned())
    }

    pub(crate) fn is_announced(&self, name: &str) -> bool {
        self.announced.read().contains(name)
    }

    /// Takes a database away, and its row in `_Server`. Clients that know of databases that come and go
    /// lose what they have of it; all others are to come back.
    pub fn remove(&self, name: &str) {
        let served = self.databases.write().remove(name);
        self.announced.write().remove(name);
        self.refreshers.lock().remove(name);
        if let Some(served) = served {
            served.removed.store(true, AtomicOrdering::Release);
        }
        if let Err(error) = self.rows.set(&self.server, name, None) {
            tracing::error!(parent: &self.span, "{name}: cannot be taken out of _Server: {error}");
        }
        self.news.notify_waiters();
        self.raise(CONVERSION);
    }

    /// Told when a database comes, goes or changes. Who waits here is woken by every commit, and does
    /// well to rest a moment after each time.
    pub fn news(&self) -> &Notify {
        &self.news
    }

    /// What is known of a database.
    pub fn source(&self, name: &str) -> Source {
        match self.database(name) {
            Some(database) => Source::Here(database.committed().version.clone()),
            None if self.rows.has(name) => Source::Coming,
            None => Source::Unknown,
        }
    }

    /// Makes a database's row in `_Server` what it should be.
    pub fn set_status(&self, name: &str, status: &Status) -> Result<(), Error> {
        self.rows.set(&self.server, name, Some(status))
    }

    /// The database of a name.
    pub fn database(&self, name: &str) -> Option<Arc<Database>> {
        Some(self.served(name)?.database.clone())
    }

    /// All databases, `_Server` included.
    pub(crate) fn all_served(&self) -> Vec<Arc<Served>> {
        self.databases.read().values().cloned().collect()
    }

    pub(crate) fn served(&self, name: &str) -> Option<Arc<Served>> {
        self.databases.read().get(name).cloned()
    }

    /// The databases' names, `_Server` and those that have no contents yet included, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.rows.names()
    }

    /// Whether there is a database of a name, with contents or without them yet.
    pub fn knows(&self, name: &str) -> bool {
        self.served(name).is_some() || self.rows.has(name) || self.is_announced(name)
    }

    /// Whether it is a database that has no contents yet.
    pub(crate) fn is_awaited(&self, name: &str) -> bool {
        self.rows.has(name) && self.served(name).is_none()
    }

    /// The names of standalone databases, without `_Server`, in alphabetical order.
    pub fn standalone_names(&self) -> Vec<String> {
        let mut names = self.rows.names_of(Model::Standalone);
        names.retain(|name| name != server_database::NAME);
        names.sort_unstable();
        names
    }

    /// The id that this server goes by (`get_server_id`): drawn anew at each start.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The same with those that are announced.
    pub fn known_names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.names().into_iter().collect();
        names.extend(self.announced.read().iter().cloned());
        names
    }

    /// Converts a database; the session hears of it by an event of its request's number.
    pub(crate) fn convert(
        self: &Arc<Self>,
        served: &Served,
        schema: Arc<Schema>,
        mailbox: Arc<Mailbox>,
        number: u64,
    ) {
        let service = self.clone();
        let converted = schema.clone();
        // Who shares it has told that its copy has another schema.
        let is_told = served.database.is_shared();
        let done = Box::new(move |result: Result<(), Error>| {
            let succeeded = result.is_ok();
            mailbox.push(Event::Converted { number, result });
            if succeeded && !is_told {
                service.schema_changed(converted);
            }
        });
        served.database.have_converted(schema, done);
    }

    /// A database has got another schema: its row in `_Server` shows it, and sessions are told.
    pub fn schema_changed(&self, schema: Arc<Schema>) {
        let (name, version) = (schema.name.clone(), schema.version.clone());
        if let Err(error) = self.rows.set_schema(&self.server, &name, schema) {
            tracing::error!(parent: &self.span, "{name}: its new schema cannot be shown in _Server: {error}");
        }
        tracing::info!(parent: &self.span, "{name}: converted to schema {version}");
        self.raise(CONVERSION);
    }

    /// Says whether it is known who leads a database.
    pub(crate) fn set_leaderless(&self, name: &str, leaderless: bool) {
        self.leaderless.send_if_modified(|names| match leaderless {
            true => names.insert(name.to_owned()),
            false => names.remove(name),
        });
    }

    /// Makes a database's row what it should be, whenever a client begins to read them: the row may be a
    /// moment behind otherwise, and a client that comes from another server believes that this one lags.
    pub(crate) fn refresh_by(&self, name: &str, refresher: Refresher) {
        self.refreshers.lock().insert(name.to_owned(), refresher);
    }

    /// Makes `_Server` ready for a client that begins to read it.
    pub(crate) async fn prepare_server(&self) {
        self.wait_for_leaders().await;
        let refreshers: Vec<Refresher> = self.refreshers.lock().values().cloned().collect();
        for refresh in refreshers {
            refresh();
        }
    }

    /// Waits until it is known who leads each database, but for a moment at most. A client that asks
    /// while members elect would find no leader anywhere, and come back only after a long pause.
    async fn wait_for_leaders(&self) {
        let mut leaderless = self.leaderless.subscribe();
        let known = leaderless.wait_for(BTreeSet::is_empty);
        let _ = tokio::time::timeout(ELECTION, known).await;
    }

    /// From now on there are no monitors with conditions, and clients come back to find that out.
    pub fn disable_conditions(&self) {
        self.conditions.store(false, AtomicOrdering::Relaxed);
        self.disconnect_all();
    }

    pub(crate) fn knows_conditions(&self) -> bool {
        self.conditions.load(AtomicOrdering::Relaxed)
    }
}

/// Puts a database to work, with the task that tells its monitors.
fn serve(
    version: Version,
    ordering: Box<dyn Ordering>,
    reserved: bool,
    news: &Arc<Notify>,
) -> Served {
    let groups = Arc::new(Groups::default());
    let (told, news) = (groups.clone(), Arc::clone(news));
    let watcher = Box::new(move || {
        told.notify();
        news.notify_waiters();
    });
    let database = Database::new(version, ordering, watcher);
    tokio::spawn(groups.clone().run(Arc::downgrade(&database)));
    Served {
        database,
        groups,
        reserved,
        removed: AtomicBool::new(false),
        transactions: Rate::new(),
    }
}
