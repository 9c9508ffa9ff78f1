//! Random work on a disk that fails and loses power: afterwards the file says what the store said at some moment,
//! not before the last change that it had called done.

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use ovsdb_cluster::file::store::{Replaced, WriteData};
use ovsdb_cluster::file::{Ballot, ClusterFile, Contents, Reason, SnapshotMeta, Store};
use ovsdb_log::testing::{Faults, SimulatedDisk, Writeback};
use ovsdb_log::{Done, Lock, LogError, Options};
use proptest::prelude::*;

use super::picture::Picture;
use super::support::{WAIT, data, entry, header, run, servers, text, uuid};

#[derive(Clone, Debug)]
enum Step {
    Append { count: u64, new_term: bool },
    Truncate(u64),
    Term,
    Vote(u64),
    Leader(u64),
    Commit(u64),
    Compact(u64),
    Install { gap: u64, appends: bool },
    Purge,
    Settle,
    Faults(Faults),
    Cut,
    Kill,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let percent = || prop_oneof![3 => Just(0_u8), 1 => 1..50_u8];
    let faults = (percent(), percent(), percent(), percent(), any::<bool>()).prop_map(
        |(write, sync, rename, folder_sync, limited)| {
            Step::Faults(Faults {
                write,
                sync,
                rename,
                folder_sync,
                space: limited.then_some(8_000),
            })
        },
    );
    prop_oneof![
        10 => (1..4_u64, any::<bool>()).prop_map(|(count, new_term)| Step::Append { count, new_term }),
        3 => (0..4_u64).prop_map(Step::Truncate),
        2 => Just(Step::Term),
        3 => (1..4_u64).prop_map(Step::Vote),
        3 => (1..4_u64).prop_map(Step::Leader),
        5 => (0..4_u64).prop_map(Step::Commit),
        3 => (0..4_u64).prop_map(Step::Compact),
        1 => (0..3_u64, any::<bool>()).prop_map(|(gap, appends)| Step::Install { gap, appends }),
        1 => Just(Step::Purge),
        3 => Just(Step::Settle),
        1 => faults,
        3 => Just(Step::Faults(Faults::default())),
        3 => Just(Step::Cut),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
    ]
}

/// A moment: after which change, and the picture then.
type Moment = (u64, Picture);

struct World {
    folder: tempfile::TempDir,
    path: PathBuf,
    disk: SimulatedDisk,
    writeback: Writeback,
    store: Option<Store>,
    /// What the store said after each change.
    line: Vec<Moment>,
    /// What it would have said without the snapshot that is being installed.
    old_line: Vec<Moment>,
    installing: Option<bool>,
    changes: u64,
    acknowledged: Arc<Mutex<u64>>,
    snapshot_done: Option<mpsc::Receiver<bool>>,
}

impl World {
    fn new(seed: u64, writeback: Writeback) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = SimulatedDisk::new(seed, writeback);
        let contents = Contents {
            header: header(7, &[1, 2]),
            records: Vec::new(),
        };
        let lock = Lock::acquire(&path).unwrap();
        drop(ClusterFile::create(disk.mount(), lock, &contents).unwrap());
        let mut world = World {
            folder,
            path,
            disk,
            writeback,
            store: None,
            line: Vec::new(),
            old_line: Vec::new(),
            installing: None,
            changes: 0,
            acknowledged: Arc::default(),
            snapshot_done: None,
        };
        world.open();
        world
    }

    /// Opens the file, and checks that it is as it was left.
    fn open(&mut self) {
        self.disk.set_faults(Faults::default());
        let file = self.open_file();
        let found = Picture::of(file.replayed());
        for entry in file.replayed().entries.iter() {
            assert_eq!(entry.payload, data(entry.index * 100 + entry.term));
        }
        let acknowledged = *self.acknowledged.lock().unwrap();
        let known = self
            .line
            .iter()
            .chain(&self.old_line)
            .any(|(change, then)| *change >= acknowledged && found.may_be(then));
        assert!(
            known || self.line.is_empty(),
            "acknowledged {acknowledged}\n{found:?}\nbut it was\n{:#?}\n{:#?}",
            self.line,
            self.old_line
        );
        let (store, _) = file.start(Options::default()).unwrap();
        self.store = Some(store);
        self.line = vec![(self.changes, found)];
        self.old_line.clear();
        self.installing = None;
        self.snapshot_done = None;
        *self.acknowledged.lock().unwrap() = 0;
        self.check_with_the_tool();
    }

    fn open_file(&self) -> ClusterFile {
        let open = || ClusterFile::open(self.disk.mount(), Lock::acquire(&self.path).unwrap());
        match open() {
            // Later sectors got to the disk before earlier ones: what is intact behind the gap was not
            // acknowledged, but only a person may say so.
            Err(LogError::Damaged { offset, .. }) if self.writeback == Writeback::AnyOrder => {
                let mut bytes = self.disk.read(&self.path).unwrap();
                bytes.truncate(usize::try_from(offset).unwrap());
                self.disk.put(&self.path, &bytes);
                open().unwrap()
            }
            result => result.unwrap(),
        }
    }

    fn check_with_the_tool(&self) {
        let copy = self.folder.path().join("copy.db");
        std::fs::write(&copy, self.disk.read(&self.path).unwrap()).unwrap();
        let (fine, why) = run("ovsdb-tool", &["check-cluster", text(&copy)]);
        let nothing = ["all logs are empty", "committed in a previous term"];
        assert!(fine || nothing.iter().any(|n| why.contains(n)), "{why}");
    }

    fn now(&self) -> Picture {
        self.line.last().unwrap().1.clone()
    }

    fn done(&self) -> Done {
        let (change, acknowledged) = (self.changes + 1, self.acknowledged.clone());
        Box::new(move |result| {
            if result.is_ok() {
                let mut last = acknowledged.lock().unwrap();
                *last = change.max(*last);
            }
        })
    }

    fn push(&mut self, picture: Picture) {
        self.changes += 1;
        self.line.push((self.changes, picture));
        let (store, now) = (self.store.as_ref().unwrap(), self.now());
        let (_, last) = store.ends();
        assert_eq!((last.index, last.term), now.last());
        assert_eq!(
            (store.term(), store.vote(), store.leader()),
            (now.term, now.vote, now.leader)
        );
        assert_eq!(store.commit_index(), now.commit);
    }

    fn ballot(&mut self, ballot: Ballot) {
        if self.installing == Some(true) {
            return;
        }
        let store = self.store.as_ref().unwrap();
        let mut now = self.now();
        let set = |picture: &mut Picture| match ballot {
            Ballot::Term(term) => picture.note_term(term),
            Ballot::Vote { term, server } => {
                picture.note_term(term);
                picture.vote = Some(server);
            }
            Ballot::Leader { term, server } => {
                picture.note_term(term);
                picture.leader = Some(server);
            }
        };
        match store.save(ballot, self.done()) {
            Ok(()) => {
                set(&mut now);
                self.push(now);
                if let Some((_, last)) = self.old_line.last() {
                    let mut old = last.clone();
                    set(&mut old);
                    self.old_line.push((self.changes, old));
                }
            }
            Err(refused) => match refused.reason {
                Reason::Invalid(why) => {
                    let known = match ballot {
                        Ballot::Vote { .. } => now.vote,
                        Ballot::Leader { .. } => now.leader,
                        Ballot::Term(_) => None,
                    };
                    assert!(known.is_some(), "{why}");
                }
                Reason::Failed(_) => {}
                other => panic!("{other:?}"),
            },
        }
    }

    fn snapshot_callbacks(&mut self) -> (WriteData, Replaced) {
        let (sender, receiver) = mpsc::channel();
        let change = self.changes + 1;
        let (acknowledged, install) = (self.acknowledged.clone(), self.installing.is_some());
        self.snapshot_done = Some(receiver);
        let done: Replaced = Box::new(move |result| {
            if result.is_ok() && install {
                let mut last = acknowledged.lock().unwrap();
                *last = change.max(*last);
            }
            let _ = sender.send(result.is_ok());
        });
        (Box::new(|out| out.extend_from_slice(b"[null,null]")), done)
    }

    fn run(&mut self, step: Step) {
        let mut now = self.now();
        let store = self.store.as_ref().unwrap();
        match step {
            Step::Append { count, new_term } => {
                if self.installing == Some(false) {
                    return;
                }
                let (last, term) = now.last();
                let term = if new_term { now.term } else { term };
                let new: Vec<_> = (last + 1..=last + count)
                    .map(|index| entry(term, index, data(index * 100 + term)))
                    .collect();
                match store.append(&new, self.done()) {
                    Ok(()) => {
                        now.log.extend(new.iter().map(|e| (e.index, e.term)));
                        self.push(now);
                    }
                    Err(refused) => {
                        assert!(matches!(refused.reason, Reason::Failed(_)), "{refused:?}")
                    }
                }
            }
            Step::Truncate(back) => {
                // Who leads never does that.
                if now.leader == Some(uuid(1)) || self.installing.is_some() {
                    return;
                }
                let to = now.last().0.saturating_sub(back);
                let result = store.truncate_behind(to);
                assert_eq!(result.is_ok(), to >= now.commit, "{result:?}");
                if result.is_ok() {
                    now.log.retain(|index, _| *index <= to);
                    self.push(now);
                    // Entries of the next term make the new ones differ from the old ones.
                    let term = self.now().term + 1;
                    self.ballot(Ballot::Term(term));
                }
            }
            Step::Term => self.ballot(Ballot::Term(now.term + 1)),
            Step::Vote(who) => {
                let server = uuid(who);
                self.ballot(Ballot::Vote {
                    term: now.term,
                    server,
                });
            }
            Step::Leader(who) => {
                let term = now.term + u64::from(who == 1);
                self.ballot(Ballot::Leader {
                    term,
                    server: uuid(who),
                });
            }
            Step::Commit(back) => {
                let to = now.last().0.saturating_sub(back);
                if self.installing.is_some() || to <= now.commit {
                    return;
                }
                match store.commit(to) {
                    Ok(()) => {
                        now.commit = to;
                        self.push(now);
                    }
                    Err(reason) => assert!(matches!(reason, Reason::Failed(_)), "{reason:?}"),
                }
            }
            Step::Compact(back) => {
                let to = now.commit.saturating_sub(back);
                let (write, done) = self.snapshot_callbacks();
                let store = self.store.as_ref().unwrap();
                let before = store.snapshot().unwrap().index;
                match store.compact(to, write, done) {
                    Ok(()) => assert!(to > before),
                    Err(Reason::Invalid(_)) => assert!(to <= before),
                    Err(Reason::Busy | Reason::Failed(_)) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            Step::Install { gap, appends } => {
                self.settle();
                let (last, _) = self.now().last();
                let meta = SnapshotMeta {
                    index: last + 1 + gap,
                    term: self.now().term,
                    eid: uuid(5),
                    servers: servers(&[1, 2]),
                    election_timer: None,
                };
                self.installing = Some(appends);
                let (write, done) = self.snapshot_callbacks();
                let store = self.store.as_ref().unwrap();
                match store.install(meta.clone(), write, done) {
                    Ok(()) => {
                        self.old_line = vec![(self.changes + 1, self.now())];
                        let mut now = self.now();
                        now.log.clear();
                        now.start = (meta.index, meta.term);
                        now.commit = meta.index;
                        self.push(now);
                    }
                    Err(Reason::Failed(_) | Reason::Busy) => self.installing = None,
                    Err(other) => panic!("{other:?}"),
                }
            }
            Step::Purge => {
                let before = store.purge(u64::MAX);
                assert!(before.index <= now.last().0);
            }
            Step::Settle => self.settle(),
            Step::Faults(faults) => self.disk.set_faults(faults),
            Step::Cut => {
                self.disk.cut_power();
                self.reopen();
            }
            Step::Kill => {
                self.disk.kill();
                self.reopen();
            }
            Step::Close => {
                self.settle();
                self.disk.set_faults(Faults::default());
                self.store.as_ref().unwrap().close().unwrap();
                // All is there, not only what was acknowledged.
                *self.acknowledged.lock().unwrap() = self.changes;
                let committed = self.now().commit;
                self.reopen();
                let now = self.now();
                assert_eq!(now.commit.max(now.start.0), committed);
            }
        }
    }

    fn reopen(&mut self) {
        drop(self.store.take());
        self.open();
    }

    /// Waits for all changes, and for a snapshot; opens the file again if something failed.
    fn settle(&mut self) {
        let store = self.store.as_ref().unwrap();
        let mut replaced = true;
        if let Some(receiver) = self.snapshot_done.take()
            && let Ok(result) = receiver.recv_timeout(WAIT)
        {
            replaced = result;
        }
        let (sender, receiver) = mpsc::channel();
        let barrier: Done = Box::new(move |result| sender.send(result.is_ok()).unwrap());
        let good = match store.append(&[], barrier) {
            Ok(()) => receiver.recv_timeout(WAIT).unwrap(),
            Err(refused) => {
                assert!(matches!(refused.reason, Reason::Failed(_)), "{refused:?}");
                false
            }
        };
        if !good {
            self.reopen();
        } else if self.installing.take().is_some() {
            assert!(replaced);
            self.old_line.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn what_was_done_stays(
        seed: u64,
        any_order: bool,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let writeback = if any_order { Writeback::AnyOrder } else { Writeback::InOrder };
        let mut world = World::new(seed, writeback);
        for step in steps {
            world.run(step);
        }
        world.disk.cut_power();
        world.reopen();
    }
}
