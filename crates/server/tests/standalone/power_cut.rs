//! Random transactions, compactions and conversions on a disk that fails and loses power: the
//! contents are afterwards those after some transaction, and none that was promised to last is missing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ovsdb::{Schema, Uuid};
use ovsdb_engine::convert::convert;
use ovsdb_log::testing::{Faults, SimulatedDisk, Writeback};
use ovsdb_log::{LogError, SyncPolicy};
use ovsdb_server::ordering::{Ordering, Proposal};
use ovsdb_server::standalone::{File, OpenError};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::writer::{SCHEMA, Writer, contents, execute, options, schema, wait_until};

#[derive(Clone, Debug)]
enum Step {
    Propose(&'static str, u32, bool),
    Read,
    Settle,
    Tick,
    Compact,
    Convert,
    Faults(Faults),
    Pause(u64),
    Cut,
    Kill,
    Close,
}

const OPERATIONS: [&str; 5] = [
    r#"{"op":"insert","table":"t","row":{"n":N,"set":["set",["a","N"]]}}"#,
    r#"{"op":"insert","table":"u","row":{"n":N},"uuid-name":"u"},
       {"op":"insert","table":"t","row":{"n":N,"seen":1,"refs":["named-uuid","u"]}}"#,
    r#"{"op":"mutate","table":"t","where":[],"mutations":[["set","insert","N"]]}"#,
    r#"{"op":"update","table":"t","where":[["n",">=",5]],"row":{"n":N,"seen":N}}"#,
    r#"{"op":"delete","table":"t","where":[["n","==",N]]}"#,
];

fn step() -> impl Strategy<Value = Step> {
    let percent = || prop_oneof![3 => Just(0_u8), 1 => 1..60_u8];
    let faults = (percent(), percent(), percent(), percent(), any::<bool>()).prop_map(
        |(write, sync, rename, folder_sync, limited)| {
            Step::Faults(Faults {
                write,
                sync,
                rename,
                folder_sync,
                space: limited.then_some(3000),
            })
        },
    );
    prop_oneof![
        24 => (prop::sample::select(OPERATIONS.to_vec()), 0..10_u32, 0..4_u8)
            .prop_map(|(text, n, durable)| Step::Propose(text, n, durable == 0)),
        3 => Just(Step::Read),
        4 => Just(Step::Settle),
        2 => Just(Step::Tick),
        3 => Just(Step::Compact),
        2 => Just(Step::Convert),
        2 => faults,
        3 => Just(Step::Faults(Faults::default())),
        2 => (0..2000_u64).prop_map(Step::Pause),
        2 => Just(Step::Cut),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
    ]
}

/// Something that was asked to be kept.
struct Attempt {
    contents: String,
    durable: bool,
}

struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    disk: SimulatedDisk,
    policy: SyncPolicy,
    writer: Writer,
    /// By the numbers of the writer.
    attempts: Vec<Attempt>,
    at_start: String,
    /// How many outcomes have been looked at.
    seen: usize,
    schemas: [Arc<Schema>; 2],
    sync_has_failed: bool,
    any_order: bool,
}

impl World {
    fn new(seed: u64, policy: SyncPolicy, any_order: bool) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writeback = match any_order {
            true => Writeback::AnyOrder,
            false => Writeback::InOrder,
        };
        let disk = SimulatedDisk::new(seed, writeback);
        let file = File::create_on(disk.mount(), &path, schema()).unwrap();
        let newer = SCHEMA
            .replace("1.0.0", "2.0.0")
            .replace("\"map\"", "\"plan\"");
        World {
            _folder: folder,
            path,
            disk,
            policy,
            at_start: contents(file.version()),
            writer: Writer::start(file, options(policy)),
            attempts: Vec::new(),
            seen: 0,
            schemas: [
                schema(),
                Arc::new(Schema::from_text(newer.as_bytes()).unwrap()),
            ],
            sync_has_failed: false,
            any_order,
        }
    }

    fn note(&mut self, number: u32, durable: bool) {
        assert_eq!(self.attempts.len(), number as usize);
        self.attempts.push(Attempt {
            contents: contents(&self.writer.head),
            durable,
        });
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Propose(operations, n, durable) => {
                let mut operations = operations.replace('N', &n.to_string());
                if *durable {
                    operations += r#",{"op":"commit","durable":true}"#;
                }
                let before = self.writer.head.sequence();
                let number = self.writer.propose_here(&operations);
                // What changes nothing promises nothing: should the power go before a failed write
                // could be undone, it is there although it was told as failed.
                let changes = self.writer.head.sequence() > before;
                self.note(
                    number,
                    changes && (*durable || self.policy == SyncPolicy::Always),
                );
            }
            Step::Read => {
                let number = self.writer.read();
                self.note(number, false);
            }
            Step::Settle => self.settle(),
            Step::Tick => self.writer.keeper.tick(),
            Step::Compact => {
                self.writer
                    .keeper
                    .replace(0, self.writer.head.clone(), Box::new(|_| {}))
            }
            Step::Convert => self.convert(),
            Step::Faults(faults) => {
                self.sync_has_failed |= faults.sync > 0;
                self.disk.set_faults(*faults);
            }
            Step::Pause(micros) => std::thread::sleep(Duration::from_micros(*micros)),
            // What a failed sync has left as clean in the page cache only that process knows.
            Step::Kill if !self.sync_has_failed => {
                self.disk.kill();
                self.restart();
            }
            Step::Cut | Step::Kill => {
                self.disk.cut_power();
                self.restart();
            }
            Step::Close => {
                self.disk.set_faults(Faults::default());
                self.settle();
                self.writer.keeper.close().unwrap();
                self.disk.cut_power();
                let expected = contents(&self.writer.kept.lock());
                self.restart();
                assert_eq!(self.at_start, expected, "all is there after a good end");
            }
        }
    }

    fn convert(&mut self) {
        self.settle();
        let other = usize::from(self.writer.head.schema().version == "1.0.0");
        let schema = self.schemas[other].clone();
        self.writer.head = convert(&self.writer.head, schema, &mut Uuid::new_v4).unwrap();
        let number = self.writer.replace();
        self.note(number, true);
        // Sometimes a write does not wait for it; reads have to.
        if number.is_multiple_of(2) {
            self.run(&Step::Propose(OPERATIONS[0], number, false));
        }
        self.settle();
    }

    /// Waits for all outcomes; after a failure goes back to what was kept.
    fn settle(&mut self) {
        let ended = self.writer.wait_for(self.attempts.len());
        for (i, (number, _)) in ended.iter().enumerate() {
            assert_eq!(i, *number as usize, "told in order");
        }
        if ended[self.seen..].iter().any(|(_, good)| !good) {
            self.writer.go_back();
        }
        self.seen = ended.len();
    }

    fn restart(&mut self) {
        self.disk.set_faults(Faults::default());
        // Fails: its life is over. So everything has an outcome afterwards.
        let _ = self.writer.keeper.close();
        let ended = self.writer.wait_for(self.attempts.len());
        wait_until("the file is free", || {
            Arc::strong_count(&self.writer.keeper) == 1
        });
        let before = self.disk.read(&self.path);
        // The old keeper has let the file go by its closing.
        let file = match File::open_on(self.disk.mount(), &self.path) {
            // Later sectors got to the disk before earlier ones, or a failed sync has written only
            // those. What is intact behind the gap was not promised, but only the operator may say so.
            Err(OpenError::Log(LogError::Damaged { offset, .. }))
                if self.any_order || self.sync_has_failed =>
            {
                assert_eq!(self.disk.read(&self.path), before);
                let intact = usize::try_from(offset).unwrap();
                self.disk.put(&self.path, &before.unwrap()[..intact]);
                File::open_on(self.disk.mount(), &self.path).unwrap()
            }
            other => {
                assert_eq!(self.disk.read(&self.path), before);
                other.unwrap()
            }
        };
        self.sync_has_failed = false;
        let found = contents(file.version());

        let promised = ended
            .iter()
            .zip(&self.attempts)
            .rposition(|((_, good), attempt)| *good && attempt.durable);
        let mut candidates: Vec<&str> = Vec::new();
        match promised {
            Some(last) => candidates.extend(self.attempts[last..].iter().map(|a| &*a.contents)),
            None => {
                candidates.push(&self.at_start);
                candidates.extend(self.attempts.iter().map(|a| &*a.contents));
            }
        }
        assert!(
            candidates.contains(&&*found),
            "{found} is none of {candidates:#?}"
        );
        self.at_start = found;
        self.attempts.clear();
        self.seen = 0;
        self.writer = Writer::start(file, options(self.policy));
    }
}

impl Writer {
    /// Proposes that the head replaces everything, in the line of the proposals.
    fn replace(&mut self) -> u32 {
        let (done, number) = self.done();
        self.keeper.replace(0, self.head.clone(), done);
        number
    }
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 200;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_promised_is_there(
        steps in prop::collection::vec(step(), 1..60),
        seed in any::<u64>(),
        always in any::<bool>(),
        any_order in any::<bool>(),
    ) {
        let policy = if always { SyncPolicy::Always } else { SyncPolicy::Asked };
        let mut world = World::new(seed, policy, any_order);
        steps.iter().for_each(|step| world.run(step));
        world.run(&Step::Close);
        world.run(&Step::Propose(OPERATIONS[0], 1, true));
        world.settle();
        assert!(world.writer.ended()[0].1, "it goes on");
        world.run(&Step::Cut);
    }
}

/// A few records of all kinds, and the contents after each of them with where it ends.
fn small_file() -> (Vec<u8>, Vec<(usize, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = SimulatedDisk::new(0, Writeback::InOrder);
    let file = File::create_on(disk.mount(), &path, schema()).unwrap();
    let (mut head, keeper) = file.start(SyncPolicy::Always).unwrap();
    let length = || disk.read(&path).unwrap().len();
    let mut ends = vec![(length(), contents(&head))];
    for (n, operations) in OPERATIONS[..4].iter().enumerate() {
        let operations = operations.replace('N', &(n + 5).to_string());
        let (version, commit, durable, comment) = execute(&head, &operations);
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        keeper.propose(Proposal {
            term: 0,
            lost: None,
            commit,
            comment,
            durable,
            done: Box::new(move |result| *tell.lock() = Some(result)),
        });
        wait_until("kept", || told.lock().is_some());
        head = version;
        ends.push((length(), contents(&head)));
    }
    keeper.close().unwrap();
    (disk.read(&path).unwrap(), ends)
}

/// Opens a file of these bytes; whatever comes of it must leave them, and be either a refusal or a
/// beginning of the contents with the rest told as torn.
fn opens_right_or_not(folder: &tempfile::TempDir, bytes: &[u8], ends: &[(usize, String)]) -> bool {
    let path = folder.path().join("a.db");
    let disk = SimulatedDisk::new(0, Writeback::InOrder);
    disk.put(&path, bytes);
    let result = File::open_on(disk.mount(), &path);
    assert_eq!(disk.read(&path).unwrap(), bytes, "unchanged");
    assert_eq!(disk.read(&folder.path().join("a.db.tmp")), None);
    let Ok(file) = result else {
        return false;
    };
    let found = contents(file.version());
    match file.torn() {
        Some(torn) => {
            let offset = usize::try_from(torn.offset).unwrap();
            assert!(ends.contains(&(offset, found)), "torn at {offset}");
        }
        None => {
            let end = (bytes.len(), found);
            assert!(ends.contains(&end), "accepted as whole");
        }
    }
    true
}

#[test]
fn a_file_cut_at_any_byte_is_refused_or_opens_at_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (good, ends) = small_file();
    for cut in 0..good.len() {
        let opens = opens_right_or_not(&folder, &good[..cut], &ends);
        assert_eq!(opens, cut >= ends[0].0, "cut at {cut}");
    }
}

#[test]
fn a_file_with_any_wrong_byte_is_refused_or_opens_at_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (good, ends) = small_file();
    let last = ends[ends.len() - 2].0;
    for at in 0..good.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let opens = opens_right_or_not(&folder, &bad, &ends);
            // A digit of a hash may be of either case.
            let same = flip == 0x20 && bad[at].is_ascii_hexdigit();
            assert!(!opens || at >= last || same, "wrong byte at {at}");
        }
    }
}
