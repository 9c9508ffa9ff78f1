//! The file as openraft's log, against a simple model: random work, and after each step
//! everything that openraft can ask; the file is opened anew in the middle.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use openraft::RaftLogReader;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use ovsdb_cluster::entry::{Entry, Payload};
use ovsdb_cluster::file::{ClusterFile, Store};
use ovsdb_cluster::raft::{LogId, LogStore, RaftEntry, TypeConfig, Vote, to_raft};
use ovsdb_log::{Disk, Lock, Options};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::in_use::start;
use super::support::{SCHEMA, WAIT, data, servers, uuid};

/// Where the file's first snapshot is, and its term.
const FIRST: LogId = LogId {
    leader_id: 2,
    index: 7,
};
/// The file's own server.
const OWN: u64 = 1;

#[derive(Clone, Debug)]
enum Step {
    Term,
    /// For a server, perhaps as the leader.
    Vote(u64, bool),
    Append(u64),
    /// Takes so many of the last entries back.
    Truncate(u64),
    /// As far as so many entries before the end.
    Commit(u64),
    Compact,
    Purge(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Term),
        3 => (1..4_u64, any::<bool>()).prop_map(|(server, leads)| Step::Vote(server, leads)),
        8 => (1..5_u64).prop_map(Step::Append),
        3 => (1..5_u64).prop_map(Step::Truncate),
        4 => (0..5_u64).prop_map(Step::Commit),
        2 => Just(Step::Compact),
        2 => (0..5_u64).prop_map(Step::Purge),
        3 => Just(Step::Reopen),
    ]
}

fn payload(index: u64) -> Payload {
    match index % 4 {
        0 => Payload::Empty,
        1 => Payload::ElectionTimer(1000 + index),
        2 => Payload::Servers(servers(&[1, 2 + index % 3])),
        _ => data(index),
    }
}

fn entry(id: LogId) -> RaftEntry {
    let (term, index) = (id.leader_id, id.index);
    let entry = Entry {
        term,
        index,
        payload: payload(index),
    };
    to_raft(entry).expect("an entry")
}

/// What the log should say.
#[derive(Clone, Debug)]
struct Model {
    /// The places of all entries, from the one before the first.
    places: Vec<LogId>,
    term: u64,
    vote: Option<(u64, bool)>,
    committed: u64,
    /// What is in the file: nothing is written for entries that are taken back.
    snapshot: LogId,
    in_file: Vec<LogId>,
}

impl Model {
    fn last(&self) -> LogId {
        *self.places.last().expect("never empty")
    }

    fn at(&self, index: u64) -> LogId {
        let mut all = self.places.iter();
        *all.find(|id| id.index == index).expect("it is there")
    }

    fn vote(&self) -> Option<Vote> {
        Some(match self.vote {
            None => Vote::new(self.term, Uuid::nil()),
            // Whoever led has to be elected anew after a start.
            Some((OWN, _)) => Vote::new(self.term, uuid(OWN)),
            Some((server, false)) => Vote::new(self.term, uuid(server)),
            Some((server, true)) => Vote::new_committed(self.term, uuid(server)),
        })
    }
}

struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    runtime: Runtime,
    store: Arc<Store>,
    log: LogStore,
    model: Model,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Arc::new(start(&path));
        let model = Model {
            places: vec![FIRST],
            term: store.term(),
            vote: None,
            committed: store.commit_index(),
            snapshot: FIRST,
            in_file: Vec::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut world = World {
            _folder: folder,
            path,
            runtime,
            log: LogStore::new(store.clone()),
            store,
            model,
        };
        // A new cluster begins in the term before its contents', and is led in that one or later.
        while world.model.term < FIRST.leader_id {
            world.take(&Step::Term);
        }
        world
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Term => {
                self.model.term += 1;
                self.model.vote = None;
                self.save_vote(Vote::new(self.model.term, Uuid::nil()));
            }
            Step::Vote(server, leads) => {
                let server = self.model.vote.map_or(server, |(server, _)| server);
                let led = self.model.vote.is_some_and(|(_, leads)| leads);
                // A candidate votes for itself before it leads.
                if self.model.vote.is_none() {
                    self.save_vote(Vote::new(self.model.term, uuid(server)));
                }
                if server == OWN && leads && !led {
                    self.begin_to_lead();
                }
                self.model.vote = Some((server, leads || led));
                self.save_vote(Vote {
                    committed: leads || led,
                    ..Vote::new(self.model.term, uuid(server))
                });
            }
            Step::Append(count) => self.append(count),
            Step::Truncate(count) => self.truncate(count),
            Step::Commit(back) => {
                let index = self.model.last().index.saturating_sub(back);
                if index > self.model.committed {
                    self.model.committed = index;
                    let id = self.model.at(index);
                    self.runtime
                        .block_on(self.log.save_committed(Some(id)))
                        .unwrap();
                }
            }
            Step::Compact => self.compact(),
            Step::Purge(back) => {
                let through = self.model.last().index.saturating_sub(back);
                let first = self.model.places[0].index;
                if through >= first {
                    let id = self.model.at(through);
                    self.runtime.block_on(self.log.purge(id)).unwrap();
                    let through = through.min(self.model.snapshot.index);
                    self.model
                        .places
                        .retain(|id| id.index >= through.max(first));
                }
            }
            Step::Reopen => self.reopen(),
        }
    }

    /// Then what was taken back is taken back in the file, too.
    fn begin_to_lead(&mut self) {
        let last = self.model.last().index;
        if last > self.model.snapshot.index {
            self.model.in_file.retain(|id| id.index <= last);
        }
    }

    fn save_vote(&mut self, vote: Vote) {
        self.runtime.block_on(self.log.save_vote(&vote)).unwrap();
    }

    fn append(&mut self, count: u64) {
        let next = self.model.last().index + 1;
        let new: Vec<LogId> = (next..next + count)
            .map(|index| LogId::new(self.model.term, index))
            .collect();
        let (sender, receiver) = TypeConfig::oneshot();
        let entries: Vec<RaftEntry> = new.iter().map(|id| entry(*id)).collect();
        self.runtime.block_on(async {
            let appended = self.log.append(entries, IOFlushed::signal(sender)).await;
            appended.unwrap();
            receiver.await.expect("an end").unwrap();
        });
        self.model.in_file.retain(|id| id.index < next);
        self.model.in_file.extend(&new);
        self.model.places.extend(&new);
    }

    fn truncate(&mut self, count: u64) {
        let keep = self.model.last().index.saturating_sub(count);
        let keep = keep
            .max(self.model.committed)
            .max(self.model.places[0].index);
        let id = self.model.at(keep);
        self.runtime
            .block_on(self.log.truncate_after(Some(id)))
            .unwrap();
        self.model.places.retain(|id| id.index <= keep);
    }

    fn compact(&mut self) {
        let index = self.model.committed;
        if index <= self.model.snapshot.index {
            return;
        }
        let (sender, receiver) = mpsc::channel();
        let text = format!("[{SCHEMA},{{\"_is_diff\":true}}]");
        self.store
            .compact(
                index,
                Box::new(move |out| out.extend_from_slice(text.as_bytes())),
                Box::new(move |result| sender.send(result.is_ok()).expect("a receiver")),
            )
            .unwrap();
        assert!(receiver.recv_timeout(WAIT).unwrap());
        self.model.snapshot = self.model.at(index);
        let behind = self.model.places.iter().filter(|id| id.index > index);
        self.model.in_file = behind.copied().collect();
    }

    fn reopen(&mut self) {
        self.store.close().unwrap();
        let file = ClusterFile::open(Arc::new(Disk), Lock::acquire(&self.path).unwrap()).unwrap();
        let (store, snapshot) = file.start(Options::default()).unwrap();
        assert_eq!(snapshot.unwrap().meta.index, self.model.snapshot.index);
        self.store = Arc::new(store);
        self.log = LogStore::new(self.store.clone());
        self.model.places = vec![self.model.snapshot];
        self.model.places.extend(&self.model.in_file);
    }

    /// Everything that openraft can ask.
    fn check(&mut self) {
        let World {
            log,
            model,
            runtime,
            ..
        } = self;
        runtime.block_on(async {
            let state = log.get_log_state().await.unwrap();
            assert_eq!(state.last_purged_log_id, model.places.first().copied());
            assert_eq!(state.last_log_id, model.places.last().copied());
            assert_eq!(log.read_vote().await.unwrap(), model.vote());
            let committed = log.read_committed().await.unwrap();
            assert_eq!(committed.map(|id| id.index), Some(model.committed));
            let all: Vec<RaftEntry> = model.places[1..].iter().map(|id| entry(*id)).collect();
            assert_eq!(log.try_get_log_entries(..).await.unwrap(), all);
            let first = model.places[0].index + 1;
            let end = model.last().index + 1;
            for from in first..=end {
                let skipped = usize::try_from(from - first).unwrap();
                let rest = log.try_get_log_entries(from..end).await.unwrap();
                assert_eq!(rest, all[skipped..]);
                let one = log.try_get_log_entries(from..=from).await.unwrap();
                assert_eq!(
                    one,
                    all[skipped..].iter().take(1).cloned().collect::<Vec<_>>()
                );
                let some = log.limited_get_log_entries(from, end).await.unwrap();
                assert_eq!(some.is_empty(), from == end);
                assert!(all[skipped..].starts_with(&some));
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn the_log_says_what_it_was_told(steps in proptest::collection::vec(step(), 1..50)) {
        let mut world = World::new();
        world.check();
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.reopen();
        world.check();
    }
}
