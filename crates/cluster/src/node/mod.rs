//! A member at work: openraft between a file, a replica and the other members.
//!
//! A [`Node`] lives as long as the server. On its file stands a `Life`: openraft with its log. When
//! the file fails (a full disk), that life ends, the others elect another leader, and a new life
//! begins when the file can be opened again. Before the first snapshot has come a joining server
//! has no life, only connections.

mod asking;
mod clock;
mod compaction;
mod contacts;
mod counters;
mod expelled;
mod failing;
mod inbound;
mod join;
mod life;
mod members;
mod network;
mod pipeline;
mod place;
mod receiving;
mod replies;
mod serve;
mod snapshots;
mod stop;
mod troubles;
mod votes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb_log::{FileSystem, Options};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use self::asking::Wire;
use self::clock::Clock;
use self::compaction::Compaction;
use self::contacts::Contacts;
use self::life::Life;
use self::members::Newcomer;
use self::place::Report;
use crate::contents::Contents;
use crate::entry::{Index, ServerId, Servers, Term};
use crate::file::replay::DEFAULT_ELECTION_TIMER;
use crate::file::{ClusterFile, Identity, Origin};
use crate::raft::Command;
use crate::replica::{Place, Replica};
use crate::wire::stream::{self, Event, LinkId, Listen, Local, LogLimit, Peers, SendError};
use crate::wire::{Announcement, Body};

pub use self::counters::Counters;
pub use self::members::ChangeError;
pub use self::place::{Change, LastElection, Peer, Standing, Stranger};

/// How a member is to work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How log lines name the database (their field `db`).
    pub db: String,
    /// Where it listens for the others.
    pub listen: Vec<Listen>,
    /// Bounds and times of the connections.
    pub wire: stream::Settings,
    /// Bounds of the log's queue.
    pub log: Options,
    /// What it says about itself to members of our kind.
    pub announcement: Announcement,
    /// Addresses that it dials whoever is there: should a node there have founded a cluster of its
    /// own, both are to know.
    pub also: Vec<String>,
}

/// Why a member cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The addresses cannot be listened at.
    #[error("cannot listen for other members: {0}")]
    Listen(std::io::Error),
    /// The file.
    #[error(transparent)]
    Log(#[from] ovsdb_log::LogError),
    /// The file's contents.
    #[error("{file}: {error}")]
    Contents {
        /// The file.
        file: PathBuf,
        /// What is wrong with them.
        error: ovsdb::Error,
    },
}

impl Settings {
    fn connect(&self, identity: &Identity, members: &Servers) -> Result<Connections, StartError> {
        let (sender, events) = mpsc::channel(EVENTS);
        let local = Local {
            db: self.db.clone(),
            server: identity.server_id,
            cluster: identity.cluster_id,
            address: identity.local_address.clone(),
            announcement: self.announcement.clone(),
        };
        let peers = Peers::start(local, &self.listen, members, sender, self.wire.clone())
            .map_err(StartError::Listen)?;
        Ok(Connections {
            peers,
            events,
            first: Vec::new(),
        })
    }
}

/// What happens on connections, in order.
struct Events {
    first: Vec<Event>,
    events: mpsc::Receiver<Event>,
}

impl Events {
    async fn recv(&mut self) -> Option<Event> {
        if self.first.is_empty() {
            return self.events.recv().await;
        }
        Some(self.first.remove(0))
    }
}

/// So many events of connections may wait; then the peers do.
const EVENTS: usize = 1024;
/// So many requests of peers are worked on at once.
const AT_WORK: usize = 64;

/// A member of a cluster, or a server that is to become one.
pub struct Node {
    inner: Arc<Inner>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("identity", &self.inner.identity)
            .finish_non_exhaustive()
    }
}

struct Inner {
    settings: Settings,
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    identity: Identity,
    wire: Arc<Wire>,
    replica: Arc<dyn Replica>,
    life: RwLock<Option<Arc<Life>>>,
    clock: Mutex<Clock>,
    /// When each member was last heard.
    contacts: Mutex<Contacts>,
    place: Mutex<Place>,
    /// The leader has said that it has lost the majority.
    leader_cut_off: AtomicBool,
    report: Mutex<Report>,
    counters: Arc<Counters>,
    compaction: Compaction,
    /// How many of its candidacies are told: a member that is alone stands again and again.
    candidacies: LogLimit,
    /// One change of members at a time.
    changing: tokio::sync::Mutex<()>,
    /// Held by whoever proposes; nothing is proposed while it is held for writing.
    proposing: tokio::sync::RwLock<()>,
    /// Servers that are being added, or wait for it.
    adding: Mutex<BTreeMap<ServerId, Newcomer>>,
    /// Held while one of them gets its first snapshot.
    catching_up: Semaphore,
    /// Nothing more is proposed here: the leadership goes to another member.
    handing_over: AtomicBool,
    leaving: AtomicBool,
    /// A life is served: messages may be taken past the member's own task.
    serving: AtomicBool,
    /// What peers have asked for and is under way.
    at_work: Arc<Semaphore>,
    /// Something has happened that the member's own task should look at.
    wake: Notify,
    /// The server is a member no more.
    left: CancellationToken,
    stop: CancellationToken,
}

/// Connections that a server has made before it was to join, with what has come on them.
#[derive(Debug)]
pub struct Connections {
    /// The connections.
    pub peers: Peers,
    /// Their events.
    pub events: mpsc::Receiver<Event>,
    /// Events that have been taken out already.
    pub first: Vec<Event>,
}

impl Node {
    /// Takes a file into use and starts. Must be called in a runtime; reading a large file takes
    /// its time and is done aside.
    pub async fn start(
        file: ClusterFile,
        fs: Arc<dyn FileSystem>,
        replica: Arc<dyn Replica>,
        settings: Settings,
        connections: Option<Connections>,
    ) -> Result<Node, StartError> {
        let path = file.path().to_owned();
        let replayed = file.replayed();
        let identity = replayed.header.identity.clone();
        let last = replayed.entries.last().index;
        let (members, unknown) = match &replayed.header.origin {
            Origin::Snapshot(snapshot) => {
                let newest = replayed.entries.servers_at(last);
                let members = newest.unwrap_or(&snapshot.meta.servers).clone();
                (members, Vec::new())
            }
            Origin::Joining { remote_addresses } => (Servers::new(), remote_addresses.clone()),
        };
        let connections = match connections {
            Some(connections) => connections,
            None => settings.connect(&identity, &members)?,
        };
        let Connections {
            peers,
            events,
            first,
        } = connections;
        let dialled: Vec<String> = unknown.iter().chain(&settings.also).cloned().collect();
        peers.set_members(&members, &dialled);
        let timer = Duration::from_millis(DEFAULT_ELECTION_TIMER);
        let counters = Arc::new(Counters::default());
        let inner = Arc::new(Inner {
            fs,
            path,
            wire: Arc::new(Wire::new(peers, identity.server_id, counters.clone())),
            identity,
            replica,
            life: RwLock::default(),
            clock: Mutex::new(Clock::new(timer, Instant::now(), chance())),
            contacts: Mutex::default(),
            place: Mutex::default(),
            leader_cut_off: AtomicBool::new(false),
            report: Mutex::new(Report::new(unknown)),
            counters,
            compaction: Compaction::new(),
            candidacies: LogLimit::with(5, Duration::from_secs(60)),
            changing: tokio::sync::Mutex::default(),
            proposing: tokio::sync::RwLock::default(),
            adding: Mutex::default(),
            catching_up: Semaphore::new(members::CATCHING_UP),
            handing_over: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            serving: AtomicBool::new(false),
            at_work: Arc::new(Semaphore::new(AT_WORK)),
            wake: Notify::new(),
            left: CancellationToken::new(),
            stop: CancellationToken::new(),
            settings,
        });
        let receiver = Arc::downgrade(&inner) as std::sync::Weak<dyn stream::Receiver>;
        inner.wire.peers.set_receiver(receiver);
        let opened = inner.open(file).await?;
        let serving = serve::run(inner.clone(), opened, Events { first, events });
        let task = tokio::spawn(serving.in_current_span());
        Ok(Node {
            inner,
            task: Mutex::new(Some(task)),
        })
    }

    /// Whose file it is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The cluster's id, once it is known.
    pub fn cluster_id(&self) -> Option<Uuid> {
        let life = self.inner.life();
        let known = life.and_then(|life| life.store.identity().cluster_id);
        known.or(self.inner.identity.cluster_id)
    }

    /// Changes the election timer of all members, in milliseconds, as leader.
    pub async fn change_election_timer(&self, milliseconds: u64) {
        if let Some(life) = self.inner.life() {
            let term = life.store.term();
            let db = self.inner.settings.db.clone();
            let refused = move || tracing::warn!(db, "raft: the election timer was not changed");
            let _turn = self.inner.proposing.read().await;
            life.propose(term, Command::ElectionTimer(milliseconds), refused)
                .await;
        }
    }

    /// Proposes a transaction in the term in which this member leads. `refused` is called if the
    /// log does not take it. Otherwise the replica sees it, or an entry of a later term first: then
    /// it is in no log that counts.
    pub async fn propose(
        &self,
        term: Term,
        eid: Uuid,
        data: Bytes,
        refused: impl FnOnce() + Send + 'static,
    ) {
        let _turn = self.inner.proposing.read().await;
        let handing_over = &self.inner.handing_over;
        let life = self.inner.life();
        match life {
            Some(life) if !handing_over.load(std::sync::atomic::Ordering::Acquire) => {
                life.propose(term, Command::Data { eid, data }, refused)
                    .await;
            }
            _ => refused(),
        }
    }

    /// How many messages may wait for a connection from now on, and how many bytes; no bytes are
    /// as many as it was started with.
    pub fn set_backlog(&self, messages: usize, bytes: usize) {
        let bytes = match bytes {
            0 => self.inner.settings.wire.max_queued_bytes,
            bytes => bytes,
        };
        self.inner.wire.peers.set_backlog(messages, bytes);
    }

    /// Sends to another member. Does not wait.
    pub fn send(&self, to: ServerId, body: &Body) -> Result<(), SendError> {
        self.inner.wire.peers.send(to, body, None)
    }

    /// The leader of a term has said that all up to this index is committed.
    pub fn note_committed(&self, leader: ServerId, term: Term, index: Index) {
        self.inner.on_committed(leader, term, index);
    }

    /// True if it is a member, as far as this one knows.
    pub fn is_member(&self, server: ServerId) -> bool {
        self.inner.wire.peers.is_member(server)
    }

    /// Whether a line that others can cause may be written to the log.
    pub fn may_log(&self) -> bool {
        self.inner.wire.peers.may_log()
    }

    /// What a member of our kind has said last about itself, connected at the moment or not.
    pub fn announcement(&self, server: ServerId) -> Option<Announcement> {
        self.inner.wire.peers.last_announcement(server)
    }

    /// Says something else about this member from now on.
    pub fn announce(&self, announcement: Announcement) {
        self.inner.wire.peers.set_announcement(announcement);
    }

    /// Something that a person should know, by its subject.
    pub fn trouble(&self, subject: &str, text: String) {
        self.inner.trouble(subject, text);
    }

    /// There is nothing to know any more.
    pub fn no_trouble(&self, subject: &str) {
        self.inner.report.lock().troubles.remove(subject);
    }

    /// The members and their addresses, by the last applied or unapplied entry that names them.
    pub fn members(&self) -> Servers {
        let life = self.inner.life();
        life.map_or_else(Servers::new, |life| life.members())
    }

    /// Whether there is a connection to another member.
    pub fn is_connected(&self, server: ServerId) -> bool {
        self.inner.wire.peers.is_connected(server)
    }

    /// Members of other clusters that were refused; the newest.
    pub fn stranger(&self) -> Option<Stranger> {
        self.inner.report.lock().stranger.clone()
    }

    /// Waits until the server is a member no more, and its file says so; false if it stops before.
    pub async fn left(&self) -> bool {
        tokio::select! {
            biased;
            () = self.inner.left.cancelled() => true,
            () = self.inner.stop.cancelled() => false,
        }
    }

    /// The place of the last applied entry; 0 before there is one.
    pub fn applied(&self) -> u64 {
        let life = self.inner.life();
        life.map_or(0, |life| life.shared.last().index)
    }

    /// The last transaction of the log, applied or not.
    pub fn last_eid(&self) -> Option<Uuid> {
        self.inner.life()?.last_eid()
    }
}

impl Inner {
    fn life(&self) -> Option<Arc<Life>> {
        self.life.read().clone()
    }

    fn db(&self) -> &str {
        &self.settings.db
    }

    /// What lines are in that cannot name the database themselves: the file's.
    fn span(&self) -> tracing::Span {
        tracing::error_span!("database", db = self.db())
    }

    /// Sends what is sent again, or not needed, where it gets lost.
    fn say(&self, to: ServerId, body: &Body, comment: Option<&str>) {
        if let Err(error) = self.wire.peers.send(to, body, comment) {
            tracing::debug!(
                db = self.db(),
                "raft: no {} to {to}: {error}",
                body.method()
            );
        }
    }

    /// The same on a connection.
    fn say_on(&self, link: LinkId, body: &Body, comment: Option<&str>) {
        if let Err(error) = self.wire.peers.send_on(link, body, comment) {
            tracing::debug!(db = self.db(), "raft: no {}: {error}", body.method());
        }
    }

    /// Takes the file into use and shows the replica what its log starts from.
    async fn open(&self, file: ClusterFile) -> Result<Opened, StartError> {
        let (options, replica) = (self.settings.log, self.replica.clone());
        let path = self.path.clone();
        let file = file.counted(self.counters.file.clone());
        let known = self.life().is_some();
        let span = self.span();
        let opening = tokio::task::spawn_blocking(move || {
            let _span = span.entered();
            let (store, snapshot) = file.start(options)?;
            let end = store.ends().1.index;
            let is_ahead = || replica.version().is_some_and(|(index, _)| index > end);
            let mut earlier = None;
            if let Some(snapshot) = snapshot
                && (!known || is_ahead())
            {
                let contents = Contents::read(snapshot.meta, snapshot.data)
                    .map_err(|error| StartError::Contents { file: path, error })?;
                replica.install(&contents);
                earlier = is_ahead().then(|| Arc::new(contents));
            }
            let store = Arc::new(store);
            Ok(Opened { store, earlier })
        });
        match opening.await {
            Ok(opened) => opened,
            Err(error) => Err(StartError::Listen(std::io::Error::other(error))),
        }
    }
}

/// A file in use.
struct Opened {
    store: Arc<crate::file::Store>,
    /// The contents of the file's snapshot, where the replica has applied more than the file has: what was
    /// committed by others, and could not be written here.
    earlier: Option<Arc<Contents>>,
}

/// A number from 0 to 1, for what members must not all do at once.
fn chance() -> f64 {
    let bits = u32::try_from(Uuid::new_v4().as_u128() & u128::from(u32::MAX)).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}
