//! Random work on a disk that fails and loses power: what was acknowledged as durable is there
//! afterwards, in order, and nothing else than what was asked for.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ovsdb_log::testing::{Faults, Random, SimulatedDisk, Writeback};
use ovsdb_log::{
    Appender, Batch, End, Lock, Log, LogError, Magic, Options, Reader, RecordWriter, SyncPolicy,
};
use proptest::prelude::*;

/// A batch's number, and the place of a record in it.
type Id = (u32, u32);

#[derive(Clone, Debug)]
enum Step {
    Submit {
        durable: bool,
        records: u32,
        size: usize,
    },
    /// Wait for what was submitted.
    Settle,
    Compact,
    Faults(Faults),
    Pause(u64),
    Cut,
    Kill,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let percent = || prop_oneof![3 => Just(0_u8), 1 => 1..60_u8];
    let faults = (percent(), percent(), percent(), percent(), any::<bool>()).prop_map(
        |(write, sync, rename, folder_sync, limited)| {
            Step::Faults(Faults {
                write,
                sync,
                rename,
                folder_sync,
                space: limited.then_some(20_000),
            })
        },
    );
    prop_oneof![
        20 => (any::<bool>(), 1..4_u32, 0..3000_usize)
            .prop_map(|(durable, records, size)| Step::Submit { durable, records, size }),
        4 => Just(Step::Settle),
        3 => Just(Step::Compact),
        2 => faults,
        3 => Just(Step::Faults(Faults::default())),
        2 => (0..3000_u64).prop_map(Step::Pause),
        3 => Just(Step::Cut),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
    ]
}

fn text((batch, place): Id, size: usize) -> String {
    // What is in the way must not look like anything.
    let mut random = Random::new(u64::from(batch));
    let padding: String = (0..size)
        .map(|_| char::from(b'a' + random.index(26) as u8))
        .collect();
    format!(r#"{{"batch":{batch},"place":{place},"padding":"{padding}"}}"#)
}

fn id(json: &[u8]) -> Id {
    let text = std::str::from_utf8(json).unwrap();
    let number = |name: &str| {
        let (_, rest) = text.split_once(name).unwrap();
        rest.split_once(',').unwrap().0.parse().unwrap()
    };
    (number("\"batch\":"), number("\"place\":"))
}

#[derive(Debug, Default)]
struct Reports {
    all: Mutex<Vec<(u32, bool)>>,
    more: Condvar,
}

impl Reports {
    fn add(&self, number: u32, good: bool) {
        self.all.lock().unwrap().push((number, good));
        self.more.notify_all();
    }

    fn wait_for(&self, count: usize) {
        let mut all = self.all.lock().unwrap();
        while all.len() < count {
            let (guard, waited) = self
                .more
                .wait_timeout(all, Duration::from_secs(30))
                .unwrap();
            all = guard;
            assert!(!waited.timed_out(), "nobody is told");
        }
    }
}

#[derive(Clone, Debug)]
struct Submitted {
    number: u32,
    records: u32,
    size: usize,
    durable: bool,
}

struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    disk: SimulatedDisk,
    writeback: Writeback,
    policy: SyncPolicy,
    log: Option<Log>,
    /// What was in the file when it was opened last.
    base: Vec<(Id, usize)>,
    /// What was submitted since, and how it ended, in the same order.
    submitted: Vec<Submitted>,
    reports: Arc<Reports>,
    next: u32,
    sync_has_failed: bool,
}

impl World {
    fn new(seed: u64, writeback: Writeback, policy: SyncPolicy) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = SimulatedDisk::new(seed, writeback);
        let lock = Lock::acquire(&path).unwrap();
        let appender = Appender::create(disk.mount(), lock, Magic::Json, |writer| {
            writer.record(|out| out.extend_from_slice(text((0, 0), 10).as_bytes()))
        })
        .unwrap();
        let options = Options {
            sync: policy,
            ..Options::default()
        };
        World {
            _folder: folder,
            path,
            disk,
            writeback,
            policy,
            log: Some(Log::start(appender, options).unwrap()),
            base: vec![((0, 0), 10)],
            submitted: Vec::new(),
            reports: Arc::default(),
            next: 1,
            sync_has_failed: false,
        }
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Submit {
                durable,
                records,
                size,
            } => self.submit(*durable, *records, *size),
            Step::Settle => self.settle(),
            Step::Compact => self.compact(),
            Step::Faults(faults) => {
                self.sync_has_failed |= faults.sync > 0;
                self.disk.set_faults(*faults);
            }
            Step::Pause(micros) => std::thread::sleep(Duration::from_micros(*micros)),
            // What a failed sync has left in the page cache as clean is lost to the next process
            // as well; only the one that has failed knows.
            Step::Kill if !self.sync_has_failed => {
                self.disk.kill();
                self.restart(false);
            }
            Step::Cut | Step::Kill => {
                self.disk.cut_power();
                self.restart(true);
            }
            Step::Close => {
                self.disk.set_faults(Faults::default());
                self.settle();
                self.log().close().unwrap();
                // Synced: not even a power cut takes anything.
                self.disk.cut_power();
                self.restart(false);
            }
        }
    }

    fn submit(&mut self, durable: bool, records: u32, size: usize) {
        let number = self.next;
        let reports = self.reports.clone();
        let batch = Batch {
            encode: Box::new(move |buffer| {
                for place in 0..records {
                    buffer.record(|out| {
                        out.extend_from_slice(text((number, place), size).as_bytes())
                    });
                }
            }),
            size_hint: size * records as usize,
            durable,
            done: Box::new(move |result| reports.add(number, result.is_ok())),
        };
        match self.log().submit_here(batch) {
            Ok(Some(turn)) => turn.take(),
            Ok(None) => {}
            Err(_) => return self.settle(),
        }
        self.next += 1;
        self.submitted.push(Submitted {
            number,
            records,
            size,
            durable,
        });
    }

    /// Waits for all reports; after a failure goes back to what was kept.
    fn settle(&mut self) {
        self.reports.wait_for(self.submitted.len());
        if self.log().status().failed.is_some() {
            self.log().resume();
        }
    }

    /// Everything that was submitted and has not failed, in order.
    fn state(&self) -> Vec<(Id, usize)> {
        let reports = self.reports.all.lock().unwrap();
        let mut state = self.base.clone();
        for (i, batch) in self.submitted.iter().enumerate() {
            if reports.get(i).is_none_or(|(_, good)| *good) {
                state.extend(batch.ids());
            }
        }
        state
    }

    fn compact(&mut self) {
        if self.log().status().failed.is_some() {
            self.settle();
        }
        let state = self.state();
        let snapshot = move |writer: &mut RecordWriter| {
            state.iter().try_for_each(|(id, size)| {
                writer.record(|out| out.extend_from_slice(text(*id, *size).as_bytes()))
            })
        };
        // One that is refused, as one is running or the log has just failed, is one less.
        let _ = self.log().begin_compaction(snapshot, |_| {});
    }

    /// After a crash: closes the old log, checks what is on the disk, and opens it again.
    fn restart(&mut self, power_was_cut: bool) {
        self.disk.set_faults(Faults::default());
        self.log = None;
        self.reports.wait_for(self.submitted.len());
        let (found, end) = self.read();
        self.sync_has_failed = false;
        self.check(&found, power_was_cut);
        let lock = Lock::acquire(&self.path).unwrap();
        let appender = Appender::open(self.disk.mount(), lock, &end).unwrap();
        let options = Options {
            sync: self.policy,
            ..Options::default()
        };
        self.log = Some(Log::start(appender, options).unwrap());
        let known: Vec<(Id, usize)> = self.base.iter().copied().chain(self.ids()).collect();
        self.base = found
            .iter()
            .map(|id| *known.iter().find(|(other, _)| other == id).unwrap())
            .collect();
        self.submitted.clear();
        self.reports = Arc::default();
    }

    fn ids(&self) -> impl Iterator<Item = (Id, usize)> {
        self.submitted.iter().flat_map(Submitted::ids)
    }

    fn read(&self) -> (Vec<Id>, End) {
        let before = self.disk.read(&self.path).expect("the file is there");
        let mut ids = Vec::new();
        let result = self.try_read(&mut ids);
        assert_eq!(self.disk.read(&self.path).unwrap(), before, "unchanged");
        match result {
            Ok(end) => (ids, end),
            // Later sectors got to the disk before earlier ones, or a failed sync has written only
            // those: what is intact behind the gap was not acknowledged, but only the operator may
            // say so.
            Err(LogError::Damaged { offset, .. })
                if self.writeback == Writeback::AnyOrder || self.sync_has_failed =>
            {
                self.disk
                    .put(&self.path, &before[..usize::try_from(offset).unwrap()]);
                let mut again = Vec::new();
                let end = self.try_read(&mut again).unwrap();
                assert_eq!(ids, again);
                (ids, end)
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn try_read(&self, ids: &mut Vec<Id>) -> Result<End, LogError> {
        let mut reader = Reader::open(&*self.disk.mount(), &self.path, Some(Magic::Json))?;
        while let Some(record) = reader.next_record()? {
            ids.push(id(record.json));
        }
        reader.finish()
    }

    fn check(&self, found: &[Id], power_was_cut: bool) {
        let reports = self.reports.all.lock().unwrap();
        let numbers: Vec<u32> = reports.iter().map(|(number, _)| *number).collect();
        let in_order: Vec<u32> = self.submitted.iter().map(|batch| batch.number).collect();
        assert_eq!(numbers, in_order, "told in order");
        // What must be there, and what may be behind it, as far as that goes.
        let mut kept: Vec<Id> = self.base.iter().map(|(id, _)| *id).collect();
        let mut must = kept.len();
        let mut failed = Vec::new();
        for (batch, (_, good)) in self.submitted.iter().zip(reports.iter()) {
            if *good {
                failed.clear();
                kept.extend(batch.ids().map(|(id, _)| id));
                if !power_was_cut || batch.durable || self.policy == SyncPolicy::Always {
                    must = kept.len();
                }
            } else {
                // An attempt whose failure could not be undone in time may be there.
                failed.push(batch);
            }
        }
        let common = found.iter().zip(&kept).take_while(|(a, b)| a == b).count();
        assert!(
            common >= must,
            "lost: {:?} of {kept:?}, found {found:?}",
            &kept[common..must]
        );
        let rest = &found[common..];
        assert!(rest.is_empty() || common == kept.len(), "a gap: {found:?}");
        let mut attempts = failed.iter().flat_map(|batch| batch.ids());
        for id in rest {
            assert!(
                attempts.any(|(attempt, _)| attempt == *id),
                "{id:?} was not asked for in this place: {found:?}"
            );
        }
    }
}

impl Submitted {
    fn ids(&self) -> impl Iterator<Item = (Id, usize)> {
        let (number, size) = (self.number, self.size);
        (0..self.records).map(move |place| ((number, place), size))
    }
}

fn run(steps: &[Step], seed: u64, writeback: Writeback, policy: SyncPolicy) {
    let mut world = World::new(seed, writeback, policy);
    steps.iter().for_each(|step| world.run(step));
    world.run(&Step::Cut);
    world.run(&Step::Submit {
        durable: true,
        records: 1,
        size: 1,
    });
    world.settle();
    assert!(world.reports.all.lock().unwrap()[0].1, "it goes on");
    world.run(&Step::Cut);
}

/// `PROPTEST_CASES` for longer runs.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 300;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_durable_is_lost(
        steps in prop::collection::vec(step(), 1..60),
        seed in any::<u64>(),
        any_order in any::<bool>(),
        always in any::<bool>(),
    ) {
        let writeback = if any_order { Writeback::AnyOrder } else { Writeback::InOrder };
        let policy = if always { SyncPolicy::Always } else { SyncPolicy::Asked };
        run(&steps, seed, writeback, policy);
    }
}
