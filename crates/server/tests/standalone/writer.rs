//! A writer that executes transactions and proposes them, and what it is told.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ovsdb::json::Document;
use ovsdb::{Error, Schema, Uuid};
use ovsdb_engine::record::write_contents;
use ovsdb_engine::{Commit, Context, Outcome, Transaction, Version};
use ovsdb_log::{Options, SyncPolicy};
use ovsdb_server::ordering::{Done, Ordering, Proposal};
use ovsdb_server::standalone::{File, Standalone};
use parking_lot::Mutex;

use crate::failing_disk::FailingDisk;

pub const SCHEMA: &str = r#"{"name":"d","version":"1.0.0","tables":{
    "t":{"isRoot":true,"columns":{
        "n":{"type":"integer"},
        "set":{"type":{"key":"string","min":0,"max":"unlimited"}},
        "map":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
        "seen":{"type":"integer","ephemeral":true},
        "refs":{"type":{"key":{"type":"uuid","refTable":"u"},"min":0,"max":"unlimited"}}}},
    "u":{"columns":{"n":{"type":"integer"}}}}}"#;

pub fn schema() -> Arc<Schema> {
    Arc::new(Schema::from_text(SCHEMA.as_bytes()).unwrap())
}

/// What has ended, in order: the proposal's number and how.
pub type Ended = Arc<Mutex<Vec<(u32, Result<(), Error>)>>>;

pub struct Writer {
    pub head: Version,
    pub keeper: Arc<Standalone>,
    pub ended: Ended,
    /// The last version that was kept.
    pub kept: Arc<Mutex<Version>>,
    next: u32,
}

impl Writer {
    pub fn create(disk: &FailingDisk, path: &Path, options: Options) -> Writer {
        let file = File::create_on(Arc::new(disk.clone()), path, schema()).unwrap();
        Writer::start(file, options)
    }

    pub fn start(file: File, options: Options) -> Writer {
        let (head, keeper) = file.start_with(options).unwrap();
        Writer {
            kept: Arc::new(Mutex::new(head.clone())),
            head,
            keeper,
            ended: Ended::default(),
            next: 0,
        }
    }

    /// Executes operations on the head and proposes what they change.
    pub fn propose(&mut self, operations: &str) -> u32 {
        let (proposal, number) = self.proposal(operations);
        self.keeper.propose(proposal);
        number
    }

    /// The same, committing on this thread where the keeper wants that.
    pub fn propose_here(&mut self, operations: &str) -> u32 {
        let (proposal, number) = self.proposal(operations);
        if let Some(work) = self.keeper.propose_here(proposal) {
            work();
        }
        number
    }

    pub fn proposal(&mut self, operations: &str) -> (Proposal, u32) {
        let (version, commit, durable, comment) = execute(&self.head, operations);
        self.head = version;
        let (done, number) = self.done();
        let proposal = Proposal {
            term: 0,
            lost: None,
            commit,
            comment,
            durable,
            done,
        };
        (proposal, number)
    }

    /// What to do when the head is kept, and the number under which it is told.
    pub fn done(&mut self) -> (Done, u32) {
        let (ended, kept, number) = (self.ended.clone(), self.kept.clone(), self.next);
        let version = self.head.clone();
        self.next += 1;
        let done = move |result: Result<(), Error>| {
            if result.is_ok() {
                *kept.lock() = version;
            }
            ended.lock().push((number, result));
        };
        (Box::new(done), number)
    }

    pub fn insert(&mut self, n: u32) -> u32 {
        self.propose(&insert(n))
    }

    pub fn durable(&mut self, n: u32) -> u32 {
        self.propose(&format!(
            r#"{},{{"op":"commit","durable":true}}"#,
            insert(n)
        ))
    }

    /// A transaction that changes nothing.
    pub fn read(&mut self) -> u32 {
        self.propose(r#"{"op":"select","table":"u","where":[]}"#)
    }

    /// Goes back to what was kept, as a database does after a failure.
    pub fn go_back(&mut self) {
        self.head = self.kept.lock().clone();
        self.keeper.resume();
    }

    /// Who has ended, and whether well.
    pub fn ended(&self) -> Vec<(u32, bool)> {
        let ended = self.ended.lock();
        ended
            .iter()
            .map(|(n, result)| (*n, result.is_ok()))
            .collect()
    }

    pub fn wait_for(&self, count: usize) -> Vec<(u32, bool)> {
        wait_until("ended", || self.ended.lock().len() >= count);
        self.ended()
    }
}

pub fn insert(n: u32) -> String {
    format!(r#"{{"op":"insert","table":"t","row":{{"n":{n}}}}}"#)
}

type Executed = (Version, Option<Arc<Commit>>, bool, Option<String>);

pub fn execute(head: &Version, operations: &str) -> Executed {
    let (version, changes, durable, comment, reply) = run(head, operations);
    assert!(!reply.contains("\"error\""), "{reply}");
    let commit = (!changes.is_empty()).then(|| {
        Arc::new(Commit {
            version: version.clone(),
            changes: changes.into(),
        })
    });
    (version, commit, durable, comment)
}

fn run(
    head: &Version,
    operations: &str,
) -> (Version, ovsdb_engine::Changes, bool, Option<String>, String) {
    let document = Document::parse(format!(r#"["d",{operations}]"#)).unwrap();
    let transaction = Transaction::parse(document.root(), head.schema(), Uuid::new_v4);
    let mut context = Context {
        read_only: false,
        role: None,
        elapsed: 0,
        owns_lock: &|_| false,
        new_uuid: &mut Uuid::new_v4,
    };
    match transaction.execute(head, &mut context) {
        Outcome::Done {
            version,
            changes,
            reply,
            durable,
            comment,
            ..
        } => {
            let reply = String::from_utf8(reply.finish()).unwrap();
            (version, changes, durable, comment, reply)
        }
        Outcome::Blocked { .. } => panic!("blocked: {operations}"),
    }
}

/// The rows that a query finds, in an order of their own.
pub fn select(version: &Version, operation: &str) -> Vec<String> {
    sorted_rows(run(version, operation).4.as_bytes())
}

/// The rows of a reply to one select, in an order of their own.
pub fn sorted_rows(reply: &[u8]) -> Vec<String> {
    let document = Document::parse(reply).unwrap();
    let rows = document.root().element(0).unwrap().member("rows").unwrap();
    let mut rows: Vec<String> = rows.elements().map(|row| row.canonical()).collect();
    rows.sort();
    rows
}

/// All that lasts of a version.
pub fn contents(version: &Version) -> String {
    let mut out = Vec::new();
    write_contents(&mut out, version, 0, None);
    format!(
        "{} {}",
        version.schema().to_json(),
        String::from_utf8(out).unwrap()
    )
}

/// What is in a file.
pub fn in_file(path: &Path) -> String {
    let file = File::open(path).unwrap();
    assert_eq!(file.torn(), None);
    contents(file.version())
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn options(sync: SyncPolicy) -> Options {
    Options {
        sync,
        ..Options::default()
    }
}

pub const POLICIES: [SyncPolicy; 2] = [SyncPolicy::Always, SyncPolicy::Asked];
