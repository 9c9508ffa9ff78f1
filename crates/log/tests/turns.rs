//! Commits on the writer's own thread: who gets the turn, and what becomes of the others meanwhile.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use ovsdb_log::testing::{Faults, SimulatedDisk, Writeback};
use ovsdb_log::{
    Appender, Batch, Lock, Log, LogError, Magic, Options, Reader, Refused, SyncPolicy, Turn,
};

const WAIT: Duration = Duration::from_secs(20);

/// A batch's number, how it ended, and where that was told.
type Report = (u32, bool, ThreadId);

struct World {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    disk: SimulatedDisk,
    log: Arc<Log>,
    sender: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
    next: u32,
}

impl World {
    fn new(sync: SyncPolicy) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = SimulatedDisk::new(1, Writeback::InOrder);
        let lock = Lock::acquire(&path).unwrap();
        let appender = Appender::create(disk.mount(), lock, Magic::Json, |writer| {
            writer.record(|text| text.extend_from_slice(b"{}"))
        });
        let options = Options {
            sync,
            ..Options::default()
        };
        let (sender, reports) = mpsc::channel();
        World {
            _folder: folder,
            path,
            disk,
            log: Arc::new(Log::start(appender.unwrap(), options).unwrap()),
            sender,
            reports,
            next: 0,
        }
    }

    fn batch(&mut self, durable: bool) -> Batch {
        self.next += 1;
        let (n, sender) = (self.next, self.sender.clone());
        Batch {
            encode: Box::new(move |buffer| buffer.record(|text| text.extend_from_slice(b"{}"))),
            size_hint: 10,
            durable,
            done: Box::new(move |result| {
                let here = std::thread::current().id();
                sender.send((n, result.is_ok(), here)).unwrap();
            }),
        }
    }

    fn report(&self) -> Report {
        self.reports.recv_timeout(WAIT).unwrap()
    }

    /// Writes alone, waiting for each commit, until it gets the turn.
    fn turn(&mut self) -> Turn {
        let until = Instant::now() + WAIT;
        while Instant::now() < until {
            let batch = self.batch(true);
            if let Some(turn) = self.log.submit_here(batch).unwrap() {
                return turn;
            }
            assert_eq!(self.report().0, self.next);
        }
        panic!("a lone writer never gets the turn");
    }

    fn records(&self) -> usize {
        let mut reader = Reader::open(&*self.disk.mount(), &self.path, None).unwrap();
        let mut count = 0;
        while reader.next_record().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(reader.finish().unwrap().torn, None);
        count
    }
}

fn here() -> ThreadId {
    std::thread::current().id()
}

#[test]
fn a_lone_writer_commits_itself_what_came_meanwhile_too() {
    for policy in [SyncPolicy::Always, SyncPolicy::Asked] {
        let mut world = World::new(policy);
        let turn = world.turn();
        let first = world.next;
        for _ in 0..2 {
            let batch = world.batch(true);
            world.log.try_submit(batch).unwrap();
        }
        let batch = world.batch(true);
        assert!(world.log.submit_here(batch).unwrap().is_none(), "taken");
        assert!(world.reports.try_recv().is_err(), "nobody else commits");
        turn.take();
        for n in first..=world.next {
            assert_eq!(world.reports.try_recv().unwrap(), (n, true, here()));
        }
        world.disk.cut_power();
        assert_eq!(world.records(), 1 + world.next as usize);
        // It was not alone, so the log's thread is next.
        let batch = world.batch(true);
        assert!(world.log.submit_here(batch).unwrap().is_none());
        assert_ne!(world.report().2, here());
    }
}

#[test]
fn nobody_gets_the_turn_for_what_nobody_waits_for() {
    let mut world = World::new(SyncPolicy::Asked);
    world.turn().take();
    let batch = world.batch(false);
    assert!(world.log.submit_here(batch).unwrap().is_none());
}

#[test]
fn a_turn_that_is_not_taken_is_left_to_the_logs_thread() {
    let mut world = World::new(SyncPolicy::Always);
    drop(world.turn());
    let (n, good, thread) = world.report();
    assert_eq!((n, good), (world.next, true));
    assert_ne!(thread, here());
}

#[test]
fn a_compaction_is_left_to_the_logs_thread() {
    let mut world = World::new(SyncPolicy::Always);
    let turn = world.turn();
    let (sender, compacted) = mpsc::channel();
    let snapshot =
        |writer: &mut ovsdb_log::RecordWriter| writer.record(|t| t.extend_from_slice(b"{}"));
    let done = move |result: Result<_, Arc<LogError>>| sender.send(result.is_ok()).unwrap();
    world.log.begin_compaction(snapshot, done).unwrap();
    turn.take();
    assert_ne!(world.report().2, here());
    assert!(compacted.recv_timeout(WAIT).unwrap());
    assert_eq!(world.records(), 1);
}

#[test]
fn a_failure_in_a_turn_fails_all_until_resumed() {
    let mut world = World::new(SyncPolicy::Always);
    let turn = world.turn();
    let first = world.next;
    let batch = world.batch(true);
    world.log.try_submit(batch).unwrap();
    let before = world.records();
    world.disk.set_faults(Faults {
        sync: 100,
        ..Faults::default()
    });
    turn.take();
    for n in first..=world.next {
        assert_eq!(world.reports.try_recv().unwrap(), (n, false, here()));
    }
    let batch = world.batch(true);
    assert!(matches!(
        world.log.submit_here(batch),
        Err(Refused::Failed(..))
    ));
    world.disk.set_faults(Faults::default());
    assert_eq!(world.records(), before);
    world.log.resume();
    world.turn().take();
    assert!(world.report().1);
}

/// The last one who holds a log may be a callback of its own.
#[test]
fn a_log_may_be_dropped_in_a_turn() {
    let mut world = World::new(SyncPolicy::Always);
    let turn = world.turn();
    let log = Arc::new(Mutex::new(Some(world.log.clone())));
    let mut batch = world.batch(true);
    let (for_done, report) = (log.clone(), batch.done);
    batch.done = Box::new(move |result| {
        for_done.lock().unwrap().take();
        report(result);
    });
    world.log.try_submit(batch).unwrap();
    let World {
        log: first_log,
        reports,
        path,
        ..
    } = world;
    drop(first_log);
    turn.take();
    let told: Vec<_> = reports.try_iter().map(|(_, good, _)| good).collect();
    assert_eq!(told, [true, true]);
    wait_for_lock(&path);
}

/// The log's thread ends by itself and frees the lock.
fn wait_for_lock(path: &Path) {
    let until = Instant::now() + WAIT;
    while Lock::acquire(path).is_err() {
        assert!(Instant::now() < until, "the lock is never freed");
        std::thread::yield_now();
    }
}
