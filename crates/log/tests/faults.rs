//! Failing writes and syncs: nothing half written stays, everybody is told, and it goes on afterwards.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ovsdb_log::{
    Access, Appender, Batch, Disk, FileSystem, Lock, Log, LogError, LogFile, Magic, Options,
};
use ovsdb_log::{Reader, RecordBuffer, Refused, Replace, SyncPolicy};

const WAIT: Duration = Duration::from_secs(20);

/// How many of the next calls fail.
#[derive(Debug, Default)]
struct Faults {
    write: AtomicU32,
    sync: AtomicU32,
    rename: AtomicU32,
    syncs: AtomicU32,
}

fn hits(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

#[derive(Debug, Clone, Default)]
struct Faulty(Arc<Faults>);

#[derive(Debug)]
struct FaultyFile(Arc<dyn LogFile>, Arc<Faults>);

impl FileSystem for Faulty {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(FaultyFile(
            Disk.open(path, access)?,
            self.0.clone(),
        )))
    }
    fn create_new(&self, path: &Path, like: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(FaultyFile(
            Disk.create_new(path, like)?,
            self.0.clone(),
        )))
    }
    fn rename(&self, from: &Path, to: &Path, replace: Replace) -> io::Result<()> {
        if hits(&self.0.rename) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Disk.rename(from, to, replace)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        Disk.exists(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
}

impl LogFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if hits(&self.1.write) {
            // A full disk takes a part first.
            self.0.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(&bytes[..bytes.len().min(50)], offset)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        if hits(&self.1.sync) {
            Err(io::Error::other("input/output error"))
        } else {
            self.0.sync_data()
        }
    }
    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

fn put(buffer: &mut RecordBuffer, n: u32) {
    buffer.record(|text| text.extend_from_slice(format!("{{\"n\":{n}}}").as_bytes()));
}

fn batch(n: u32, sender: &mpsc::Sender<(u32, bool)>) -> Batch {
    let sender = sender.clone();
    Batch {
        encode: Box::new(move |buffer| put(buffer, n)),
        size_hint: 100,
        durable: true,
        done: Box::new(move |result| sender.send((n, result.is_ok())).unwrap()),
    }
}

fn create(fs: &Faulty, path: &Path) -> Appender {
    Appender::create(
        Arc::new(fs.clone()),
        Lock::acquire(path).unwrap(),
        Magic::Json,
        |writer| writer.record(|text| text.extend_from_slice(b"{\"n\":0}")),
    )
    .unwrap()
}

fn read(path: &Path) -> Vec<String> {
    let mut reader = Reader::open(&Disk, path, None).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        all.push(String::from_utf8_lossy(record.json).into_owned());
    }
    assert_eq!(reader.finish().unwrap().torn, None);
    all
}

fn fails_and_recovers(policy: SyncPolicy, failures: u64, arm: impl Fn(&Faults)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let fs = Faulty::default();
    let log = Log::start(
        create(&fs, &path),
        Options {
            sync: policy,
            ..Options::default()
        },
    )
    .unwrap();
    let (sender, receiver) = mpsc::channel();
    log.try_submit(batch(1, &sender)).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (1, true));
    arm(&fs.0);
    log.try_submit(batch(2, &sender)).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (2, false));
    assert!(
        matches!(log.try_submit(batch(3, &sender)), Err(Refused::Failed(..))),
        "until resumed"
    );
    assert_eq!(read(&path).last().map(String::as_str), Some("{\"n\":1}"));
    log.resume();
    log.try_submit(batch(4, &sender)).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (4, true));
    log.close().unwrap();
    assert_eq!(read(&path), ["{\"n\":0}", "{\"n\":1}", "{\"n\":4}"]);
    assert_eq!(log.counters().failures.get(), failures);
}

#[test]
fn a_full_disk() {
    for policy in [SyncPolicy::Always, SyncPolicy::Asked] {
        fails_and_recovers(policy, 1, |faults| faults.write.store(1, Ordering::SeqCst));
    }
}

#[test]
fn a_failed_sync() {
    for policy in [SyncPolicy::Always, SyncPolicy::Asked] {
        fails_and_recovers(policy, 1, |faults| faults.sync.store(1, Ordering::SeqCst));
    }
}

#[test]
fn a_failed_repair_is_tried_again_before_the_next_append() {
    fails_and_recovers(SyncPolicy::Always, 2, |faults| {
        faults.sync.store(2, Ordering::SeqCst)
    });
}

#[test]
fn a_compaction_that_cannot_rename_leaves_the_old_file_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let fs = Faulty::default();
    let log = Log::start(create(&fs, &path), Options::default()).unwrap();
    fs.0.rename.store(1, Ordering::SeqCst);
    let (sender, receiver) = mpsc::channel();
    let compact = || {
        let sender = sender.clone();
        let snapshot = |writer: &mut ovsdb_log::RecordWriter| {
            writer.record(|text| text.extend_from_slice(b"{}"))
        };
        log.begin_compaction(snapshot, move |result| sender.send(result).unwrap())
            .unwrap();
        receiver.recv_timeout(WAIT).unwrap()
    };
    let error = compact().unwrap_err();
    assert!(matches!(*error, LogError::Io { .. }), "{error}");
    assert!(!folder.path().join("a.db.tmp").exists());
    assert_eq!(read(&path), ["{\"n\":0}"]);
    compact().unwrap();
    assert_eq!(read(&path), ["{}"]);
    let counters = log.counters();
    assert_eq!(counters.failed_rewritings.get(), 1);
    assert_eq!(counters.rewritings.observed().count, 1);
}

#[test]
fn one_sync_for_many_batches_and_a_bounded_queue() {
    let folder = tempfile::tempdir().unwrap();
    let fs = Faulty::default();
    let options = Options {
        max_batches: 500,
        ..Options::default()
    };
    let log = Log::start(create(&fs, &folder.path().join("a.db")), options).unwrap();
    let (sender, receiver) = mpsc::channel();
    // Holds the log's thread back until the queue is full.
    let (go, gate) = mpsc::channel::<()>();
    let mut first = batch(0, &sender);
    let (entered, inside) = mpsc::channel();
    first.encode = Box::new(move |_| {
        entered.send(()).unwrap();
        gate.recv().unwrap();
    });
    log.try_submit(first).unwrap();
    inside.recv_timeout(WAIT).unwrap();
    let before = fs.0.syncs.load(Ordering::SeqCst);
    for n in 1..=500 {
        log.try_submit(batch(n, &sender)).unwrap();
    }
    assert!(matches!(
        log.try_submit(batch(501, &sender)),
        Err(Refused::Full(_))
    ));
    let (space, has_space) = mpsc::channel();
    log.on_space(100, Box::new(move || space.send(()).unwrap()));
    go.send(()).unwrap();
    has_space.recv_timeout(WAIT).unwrap();
    for n in 0..=500 {
        assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (n, true));
    }
    assert_eq!(fs.0.syncs.load(Ordering::SeqCst) - before, 1);
    assert_eq!(log.counters().syncs.observed().count, 1);
}
