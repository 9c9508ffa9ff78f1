//! Short words for what tests of a file in use do all the time.

use std::path::Path;
use std::sync::{Arc, mpsc};

use ovsdb_cluster::entry::Entry;
use ovsdb_cluster::file::store::{Replaced, WriteData};
use ovsdb_cluster::file::{Ballot, ClusterFile, Contents, SnapshotMeta, Store};
use ovsdb_log::{Disk, Lock, Options};

use super::support::{WAIT, data, done, entry, header, run, servers, text, uuid};

pub const SNAPSHOT: &[u8] = br#"[{"name":"d","tables":{"t":{"columns":{"n":{"type":"integer"},"s":{"type":"string"}},"isRoot":true}},"version":"1.0.0"},{"_is_diff":true}]"#;

pub fn start_with(path: &Path, options: Options) -> Store {
    let contents = Contents {
        header: header(7, &[1]),
        records: Vec::new(),
    };
    let lock = Lock::acquire(path).unwrap();
    let file = ClusterFile::create(Arc::new(Disk), lock, &contents).unwrap();
    file.start(options).unwrap().0
}

pub fn start(path: &Path) -> Store {
    start_with(path, Options::default())
}

pub fn rows(term: u64, places: std::ops::RangeInclusive<u64>) -> Vec<Arc<Entry>> {
    places.map(|i| entry(term, i, data(i))).collect()
}

pub fn append(store: &Store, new: &[Arc<Entry>]) {
    let (done, receiver) = done();
    store.append(new, done).unwrap();
    receiver.recv_timeout(WAIT).unwrap().unwrap();
}

pub fn save(store: &Store, ballot: Ballot) {
    let (done, receiver) = done();
    store.save(ballot, done).unwrap();
    receiver.recv_timeout(WAIT).unwrap().unwrap();
}

/// A snapshot's contents that wait for a word, and where its end is told.
pub struct Slow {
    pub go: mpsc::Sender<()>,
    pub done: mpsc::Receiver<Result<(), String>>,
}

impl Slow {
    pub fn new() -> (Slow, WriteData, Replaced) {
        let (go, wait) = mpsc::channel();
        let (told, done) = mpsc::channel();
        let data: WriteData = Box::new(move |out| {
            let _ = wait.recv();
            out.extend_from_slice(SNAPSHOT);
        });
        let replaced: Replaced = Box::new(move |result| {
            let _ = told.send(result.map(|_| ()).map_err(|e| e.to_string()));
        });
        (Slow { go, done }, data, replaced)
    }

    pub fn finish(self) -> Result<(), String> {
        let _ = self.go.send(());
        self.done.recv_timeout(WAIT).unwrap()
    }
}

pub fn check_cluster(path: &Path) {
    let (fine, why) = run("ovsdb-tool", &["check-cluster", text(path)]);
    assert!(fine, "{why}");
}

pub fn meta(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta {
        index,
        term,
        eid: uuid(5),
        servers: servers(&[1, 2]),
        election_timer: Some(2000),
    }
}
