//! A replica that has applied more than its file has: what could not be written here, and others have committed.

use std::sync::Arc;

use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;
use ovsdb::{Error, Uuid};
use ovsdb_cluster::contents::Contents;
use ovsdb_cluster::entry::{Entry, Index, ServerId};
use ovsdb_cluster::raft::StateMachine;
use ovsdb_cluster::raft::state_machine::Shared;
use ovsdb_cluster::replica::{Place, Replica};
use ovsdb_cluster::wire::message::{ExecuteCommandReply, ExecuteCommandRequest, Own};
use ovsdb_cluster::wire::stream::Held;
use ovsdb_engine::Version;

use super::in_use::{SNAPSHOT, append, rows, start};
use super::support::uuid;

/// A replica that stays where it is.
struct Still(Index, Version);

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
