//! A replica that has applied more than its file has (what could not be written here, and others have committed), or
//! more than openraft knows to be committed.

use std::sync::Arc;

use futures_util::stream;
use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;
use ovsdb::{Error, Uuid};
use ovsdb_cluster::contents::Contents;
use ovsdb_cluster::entry::{Entry, Index, ServerId};
use ovsdb_cluster::raft::state_machine::Shared;
use ovsdb_cluster::raft::{StateMachine, to_raft};
use ovsdb_cluster::replica::{Place, Replica};
use ovsdb_cluster::wire::message::{ExecuteCommandReply, ExecuteCommandRequest, Own};
use ovsdb_cluster::wire::stream::Held;
use ovsdb_engine::Version;
use parking_lot::Mutex;

use super::in_use::{SNAPSHOT, append, rows, start};
use super::support::uuid;

/// A replica that stays where it is.
struct Still(Index, Version);

/// One that only notes what it applies.
struct Noting {
    applied: Mutex<Vec<Index>>,
    version: Version,
}

impl Replica for Still {
    fn apply(&self, _: &[Entry]) -> Result<(), Error> {
        Ok(())
    }

    fn install(&self, _: &Contents) {}

    fn version(&self) -> Option<(Index, Version)> {
        Some((self.0, self.1.clone()))
    }

    fn placed(&self, _: &Place) {}
    fn received(&self, _: ServerId, _: Own, _: Held) {}
    fn disconnected(&self, _: ServerId) {}
    fn command(&self, _: ServerId, _: ExecuteCommandRequest) {}
    fn command_reply(&self, _: ServerId, _: ExecuteCommandReply) {}
}

impl Replica for Noting {
    fn apply(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut applied = self.applied.lock();
        for entry in entries {
            if applied.last().is_none_or(|last| *last < entry.index) {
                applied.push(entry.index);
            }
        }
        Ok(())
    }

    fn install(&self, _: &Contents) {}

    fn version(&self) -> Option<(Index, Version)> {
        let last = *self.applied.lock().last()?;
        Some((last, self.version.clone().with_id(id_of(last))))
    }

    fn placed(&self, _: &Place) {}
    fn received(&self, _: ServerId, _: Own, _: Held) {}
    fn disconnected(&self, _: ServerId) {}
    fn command(&self, _: ServerId, _: ExecuteCommandRequest) {}
    fn command_reply(&self, _: ServerId, _: ExecuteCommandReply) {}
}

#[tokio::test]
async fn what_is_applied_ahead_of_openraft_is_applied_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(start(&folder.path().join("a.db")));
    let snapshot = store.snapshot().expect("a snapshot");
    let (first, term) = (snapshot.index + 1, snapshot.term);
    let contents = Contents::read(snapshot.clone(), SNAPSHOT.into()).expect("contents");
    let replica = Arc::new(Noting {
        applied: Mutex::default(),
        version: contents.version.clone(),
    });
    let shared = Arc::new(Shared::new(&snapshot));
    let mut machine = StateMachine::new(replica.clone(), store.clone(), shared.clone(), None);
    let entries = rows(term, first..=first + 40);
    append(&store, &entries);
    let later = rows(term + 1, first + 41..=first + 41);
    append(&store, &later);

    let ahead = |index| shared.apply_ahead(&*replica, &store, index);
    assert!(!ahead(first - 1), "nothing is new");
    assert!(ahead(first + 2));
    assert!(!ahead(first + 2), "nothing is new");
    assert_eq!(shared.last().index, first + 2);
    // What is there is consistent, though openraft has applied nothing.
    let current = machine.get_current_snapshot().await.expect("no failure");
    let last = current.expect("a snapshot").meta.last_log_id;
    assert_eq!(last.map(|last| last.index), Some(first + 2));

    assert!(!ahead(first + 40), "it is much");
    let known = entries.iter().take(38).map(|entry| Entry::clone(entry));
    let known = known.map(|entry| Ok((to_raft(entry).expect("an entry"), None)));
    machine.apply(stream::iter(known)).await.expect("applied");
    assert_eq!(shared.last().index, first + 37);
    assert!(ahead(first + 40));
    assert!(!ahead(first + 41), "it is of another term");
    assert_eq!(*replica.applied.lock(), Vec::from_iter(first..=first + 40));

    // openraft comes behind, and does not take the place back.
    let known = entries.iter().skip(38).take(1);
    let known = known.map(|entry| Ok((to_raft(Entry::clone(entry)).expect("an entry"), None)));
    machine.apply(stream::iter(known)).await.expect("applied");
    assert_eq!(shared.last().index, first + 40);
    assert_eq!(replica.applied.lock().len(), 41);
}

#[tokio::test]
async fn until_the_file_has_it_too_the_files_snapshot_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(start(&folder.path().join("a.db")));
    let snapshot = store.snapshot().expect("a snapshot");
    let first = snapshot.index;
    let contents = Contents::read(snapshot.clone(), SNAPSHOT.into()).expect("contents");
    let ahead = contents.version.clone().with_id(id_of(first + 2));
    let replica = Arc::new(Still(first + 2, ahead));
    let shared = Arc::new(Shared::new(&snapshot));
    let earlier = Some(Arc::new(contents));
    let mut machine = StateMachine::new(replica, store.clone(), shared, earlier);

    let index = |snapshot: ovsdb_cluster::raft::state_machine::Snapshot| {
        let last = snapshot.meta.last_log_id.expect("a place");
        assert_eq!(last.index, snapshot.snapshot.meta.index);
        last.index
    };
    let current = machine.get_current_snapshot().await.expect("no failure");
    assert_eq!(index(current.expect("a snapshot")), first);
    let mut builder = machine.get_snapshot_builder().await;
    let built = builder.build_snapshot().await.expect("no failure");
    assert_eq!(index(built), first);

    append(&store, &rows(snapshot.term, first + 1..=first + 2));
    let current = machine.get_current_snapshot().await.expect("no failure");
    assert_eq!(index(current.expect("a snapshot")), first + 2);
}

/// The id of the transaction at a place.
fn id_of(index: Index) -> Uuid {
    uuid(1000 + index)
}
