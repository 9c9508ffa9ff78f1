//! openraft's state machine: a replica of the database.

use std::io;
use std::sync::{Arc, Weak};

use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::types::{Done, LogId, TypeConfig, from_raft, membership_of};
use crate::contents::Contents;
use crate::entry::{Entry, Index, Payload, Servers, Term};
use crate::file::replay::DEFAULT_ELECTION_TIMER;
use crate::file::{Position, Reason, SnapshotMeta, Store};
use crate::replica::Replica;

/// openraft's notions with our types.
pub type Snapshot = openraft::Snapshot<Term, uuid::Uuid, openraft::impls::BasicNode, Arc<Contents>>;
type Meta = openraft::SnapshotMeta<Term, uuid::Uuid, openraft::impls::BasicNode>;
type StoredMembership = openraft::StoredMembership<Term, uuid::Uuid, openraft::impls::BasicNode>;

/// As many entries are applied at once, so that readers of the log are not held up.
const BATCH: usize = 256;
/// How long a snapshot waits for another one that is being written.
const BUSY: std::time::Duration = std::time::Duration::from_millis(20);

/// How far the log has been applied, and what it has said about the cluster.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The last applied entry.
    pub last: Position,
    /// The members as of it.
    pub members: Servers,
    /// The entry that made them so.
    pub members_at: Position,
    /// The election timer in milliseconds, where it was ever changed.
    pub election_timer: Option<u64>,
}

/// What the state machine shares with the member that it belongs to.
#[derive(Debug)]
pub struct Shared {
    progress: Mutex<Progress>,
    /// Notified when an entry of a new term, of members or of a timer was applied.
    pub news: Notify,
}

impl Shared {
    /// The state of a file that starts from a snapshot.
    pub fn new(snapshot: &SnapshotMeta) -> Shared {
        Shared {
            progress: Mutex::new(progress_of(snapshot)),
            news: Notify::new(),
        }
    }

    /// How far the log has been applied.
    pub fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// The last applied entry.
    pub fn last(&self) -> Position {
        self.progress.lock().last
    }
}

fn progress_of(snapshot: &SnapshotMeta) -> Progress {
    let last = Position {
        term: snapshot.term,
        index: snapshot.index,
    };
    Progress {
        last,
        members: snapshot.servers.clone(),
        members_at: last,
        election_timer: snapshot.election_timer,
    }
}

/// A replica as openraft's state machine.
pub struct StateMachine {
    replica: Arc<dyn Replica>,
    store: Arc<Store>,
    shared: Arc<Shared>,
    /// The snapshot that was asked for last: several members may need it.
    latest: Weak<Contents>,
    /// The contents of the file's snapshot, as long as the replica is ahead of the file.
    earlier: Option<Arc<Contents>>,
}

impl std::fmt::Debug for StateMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateMachine")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl StateMachine {
    /// The state machine of a file whose snapshot the replica has, or what came after it. If the
    /// replica has more than the whole file, `earlier` has the snapshot's contents.
    pub fn new(
        replica: Arc<dyn Replica>,
        store: Arc<Store>,
        shared: Arc<Shared>,
        earlier: Option<Arc<Contents>>,
    ) -> StateMachine {
        StateMachine {
            replica,
            store,
            shared,
            latest: Weak::new(),
            earlier,
        }
    }

    fn apply_batch(&self, entries: &[Entry]) -> io::Result<()> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        self.replica.apply(entries).map_err(io::Error::other)?;
        let mut progress = self.shared.progress.lock();
        let mut news = progress.last.term != last.term;
        for entry in entries {
            let at = Position {
                term: entry.term,
                index: entry.index,
            };
            match &entry.payload {
                Payload::Servers(servers) => {
                    progress.members.clone_from(servers);
                    progress.members_at = at;
                    news = true;
                }
                Payload::ElectionTimer(timer) => {
                    progress.election_timer = Some(*timer);
                    news = true;
                }
                Payload::Empty | Payload::Data { .. } => {}
            }
            progress.last = at;
        }
        drop(progress);
        if news {
            self.shared.news.notify_one();
        }
        Ok(())
    }

    fn contents(&mut self) -> Option<Arc<Contents>> {
        let progress = self.shared.progress();
        let (index, version) = self.replica.version()?;
        if let Some(latest) = self.latest.upgrade()
            && latest.meta.index == index
        {
            return Some(latest);
        }
        let meta = if index == progress.last.index {
            SnapshotMeta {
                index,
                term: progress.last.term,
                eid: version.id(),
                servers: progress.members,
                election_timer: Some(progress.election_timer.unwrap_or(DEFAULT_ELECTION_TIMER)),
            }
        } else {
            // The file was opened anew, and its log has not come to where the replica is yet.
            match self.store.snapshot_meta(index, version.id()) {
                Some(meta) => meta,
                None => return self.earlier.clone(),
            }
        };
        self.earlier = None;
        let contents = Arc::new(Contents::new(meta, version));
        self.latest = Arc::downgrade(&contents);
        Some(contents)
    }

    /// Puts a leader's snapshot into the file.
    async fn store(&self, contents: &Arc<Contents>) -> io::Result<()> {
        loop {
            let (sender, receiver) = oneshot::channel();
            let (data, meta) = (contents.clone(), contents.meta.clone());
            let installed = self.store.install(
                meta,
                Box::new(move |out| out.extend_from_slice(&data.text())),
                Box::new(move |result| {
                    // Whoever waited may be gone.
                    let _ = sender.send(result);
                }),
            );
            match installed {
                Ok(()) => {
                    let stopped = |_| io::Error::other("the log has stopped");
                    let result = receiver.await.map_err(stopped)?;
                    return result.map(|_| ()).map_err(io::Error::other);
                }
                Err(Reason::Busy | Reason::Full) => tokio::time::sleep(BUSY).await,
                Err(Reason::Failed(error)) => return Err(io::Error::other(error)),
                Err(Reason::Closed) => return Err(io::Error::other("the log is closed")),
                Err(Reason::Invalid(why)) => return Err(io::Error::other(why)),
            }
        }
    }
}

/// An entry's place as openraft has it.
pub fn log_id(position: Position) -> LogId {
    LogId::new(position.term, position.index)
}

fn meta(meta: &SnapshotMeta, members_at: Position) -> io::Result<Meta> {
    let membership = membership_of(&meta.servers).map_err(io::Error::other)?;
    Ok(Meta {
        last_log_id: Some(LogId::new(meta.term, meta.index)),
        last_membership: StoredMembership::new(Some(log_id(members_at)), membership),
    })
}

/// A snapshot for openraft. OVSDB does not keep which entry made the members: where it is not
/// known, the snapshot's own stands for it.
pub fn snapshot_of(contents: Arc<Contents>, members_at: Option<Position>) -> io::Result<Snapshot> {
    let own = Position {
        term: contents.meta.term,
        index: contents.meta.index,
    };
    Ok(Snapshot {
        meta: meta(&contents.meta, members_at.unwrap_or(own))?,
        snapshot: contents,
    })
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Arc<Contents>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let progress = self.shared.progress();
        let membership = membership_of(&progress.members).map_err(io::Error::other)?;
        let stored = StoredMembership::new(Some(log_id(progress.members_at)), membership);
        Ok((Some(log_id(progress.last)), stored))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut batch = Vec::new();
        let mut responders = Vec::new();
        loop {
            let next = entries.try_next().await?;
            let over = next.is_none();
            if let Some((entry, responder)) = next {
                let index = entry.log_id.index;
                responders.extend(responder.map(|responder| (index, responder)));
                batch.push(from_raft(entry));
            }
            if over || batch.len() >= BATCH {
                self.apply_batch(&batch)?;
                batch.clear();
                for (index, responder) in responders.drain(..) {
                    responder.send(Done { index });
                }
            }
            if over {
                return Ok(());
            }
        }
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            contents: self.contents(),
            in_file: self.store.snapshot(),
        }
    }

    async fn install_snapshot(&mut self, meta: &Meta, contents: Arc<Contents>) -> io::Result<()> {
        let known = self.store.snapshot().map_or(0, |snapshot| snapshot.index);
        if known < contents.meta.index {
            self.store(&contents).await?;
        }
        self.replica.install(&contents);
        let mut progress = progress_of(&contents.meta);
        if let Some(at) = meta.last_membership.log_id() {
            progress.members_at = Position {
                term: at.leader_id,
                index: at.index,
            };
        }
        *self.shared.progress.lock() = progress;
        self.shared.news.notify_one();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let members_at = self.shared.progress.lock().members_at;
        let contents = self.contents();
        contents
            .map(|contents| snapshot_of(contents, Some(members_at)))
            .transpose()
    }
}

/// Tells openraft of the snapshot that is in the file: entries are not to be forgotten before they
/// are in that.
#[derive(Debug)]
pub struct Builder {
    contents: Option<Arc<Contents>>,
    in_file: Option<SnapshotMeta>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Arc<Contents>;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let nothing = || io::Error::other("there are no contents");
        let contents = self.contents.clone().ok_or_else(nothing)?;
        let Some(in_file) = self.in_file.clone() else {
            return snapshot_of(contents, None);
        };
        let at = Position {
            term: in_file.term,
            index: in_file.index,
        };
        Ok(Snapshot {
            meta: meta(&in_file, at)?,
            snapshot: contents,
        })
    }
}

/// The index up to which a member may forget entries, so that `keep` are left behind its snapshot.
pub fn purge_through(snapshot: Index, keep: u64) -> Index {
    snapshot.saturating_sub(keep)
}
