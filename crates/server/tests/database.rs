//! The writer, the committed version and what happens between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering as AtomicOrdering};
use std::time::{Duration, Instant};

use ovsdb::json::Document;
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::{Transaction, Version};
use ovsdb_server::database::{Answer, Database, Job, JobKey};
use ovsdb_server::ordering::{Done, Orderer, Ordering, Proposal, Unbacked};
use parking_lot::Mutex;

const SCHEMA: &str = r#"{"name":"D","version":"1.0.0","tables":{
    "T":{"columns":{"n":{"type":"integer"}}},
    "U":{"columns":{"n":{"type":"integer"}}}}}"#;

#[derive(Default)]
struct Answers {
    done: Mutex<Vec<String>>,
    blocked: AtomicUsize,
}

impl Answer for Answers {
    fn done(&self, results: Vec<u8>) {
        let text = String::from_utf8(results).expect("UTF-8");
        self.done.lock().push(text);
    }

    fn blocked(&self, _: Option<u64>) {
        self.blocked.fetch_add(1, AtomicOrdering::SeqCst);
    }

    fn unknown(&self) {
        panic!("only clusters do not know");
    }

    fn canceled(&self) {
        self.done.lock().push("canceled".to_owned());
    }
}

fn open(ordering: Box<dyn Ordering>) -> (Arc<Database>, Arc<AtomicUsize>) {
    let schema = Schema::from_text(SCHEMA.as_bytes()).expect("schema");
    let commits = Arc::new(AtomicUsize::new(0));
    let seen = commits.clone();
    let watcher = Box::new(move || {
        seen.fetch_add(1, AtomicOrdering::SeqCst);
    });
    let version = Version::empty(Arc::new(schema));
    (Database::new(version, ordering, watcher), commits)
}

fn submit(database: &Database, operations: &str) -> Arc<Answers> {
    submit_limited(database, operations, false)
}

fn submit_limited(database: &Database, operations: &str, read_only: bool) -> Arc<Answers> {
    let document = Document::parse(format!(r#"["D",{operations}]"#)).expect("JSON");
    let schema = database.committed().version.schema().clone();
    let answers = Arc::new(Answers::default());
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    database.submit(Job {
        key: JobKey {
            session: 0,
            number: NUMBER.fetch_add(1, AtomicOrdering::SeqCst),
        },
        transaction: Transaction::parse(document.root(), &schema, Uuid::new_v4),
        read_only,
        role: None,
        arrived: Instant::now(),
        owns_lock: Arc::new(|_| false),
        answer: answers.clone(),
        text: bytes::Bytes::new(),
        id: None,
        order: 0,
        passed_on_in: None,
    });
    answers
}

fn insert(table: &str, n: i64) -> String {
    format!(r#"{{"op":"insert","table":"{table}","row":{{"n":{n}}}}}"#)
}

const WAIT: &str = r#"{"op":"wait","table":"T","where":[],"columns":["n"],"until":"==","rows":[{"n":2}]},
    {"op":"insert","table":"U","row":{"n":9}}"#;

#[test]
fn what_is_executed_is_committed_and_seen() {
    let (database, commits) = open(Box::new(Unbacked));
    let answers = submit(&database, &insert("T", 1));
    assert!(answers.done.lock()[0].starts_with(r#"[{"uuid":["uuid","#));
    assert_eq!(database.committed().version.row_count(), 1);
    assert_eq!(commits.load(AtomicOrdering::SeqCst), 1);
    let answers = submit(
        &database,
        r#"{"op":"select","table":"T","where":[],"columns":["n"]}"#,
    );
    assert_eq!(answers.done.lock()[0], r#"[{"rows":[{"n":1}]}]"#);
    assert_eq!(
        commits.load(AtomicOrdering::SeqCst),
        1,
        "a read commits nothing"
    );
}

#[test]
fn a_wait_goes_on_when_its_table_changes() {
    let (database, _) = open(Box::new(Unbacked));
    let waiting = submit(&database, WAIT);
    assert_eq!(waiting.blocked.load(AtomicOrdering::SeqCst), 1);
    submit(&database, &insert("U", 1));
    assert_eq!(
        waiting.blocked.load(AtomicOrdering::SeqCst),
        1,
        "another table's change is not looked at"
    );
    submit(&database, &insert("T", 2));
    assert!(waiting.done.lock()[0].starts_with(r#"[{},{"uuid":"#));
    assert_eq!(database.committed().version.row_count(), 3);
}

/// Keeps proposals until the test decides.
#[derive(Clone, Default)]
struct Held {
    pending: Arc<Mutex<Vec<Done>>>,
    resumed: Arc<AtomicUsize>,
}

impl Ordering for Held {
    fn propose(&self, proposal: Proposal) {
        self.pending.lock().push(proposal.done);
    }

    fn resume(&self) {
        self.resumed.fetch_add(1, AtomicOrdering::SeqCst);
    }

    fn replace(&self, _: u64, _: Version, done: Done) {
        done(Ok(()));
    }
}

impl Held {
    fn settle(&self, result: &Result<(), Error>) {
        let pending = std::mem::take(&mut *self.pending.lock());
        pending.into_iter().for_each(|done| done(result.clone()));
    }
}

#[test]
fn nothing_is_answered_or_seen_before_it_is_kept() {
    let held = Held::default();
    let (database, commits) = open(Box::new(held.clone()));
    let first = submit(&database, &insert("T", 1));
    let read = submit(
        &database,
        r#"{"op":"select","table":"T","where":[],"columns":["n"]}"#,
    );
    assert!(first.done.lock().is_empty() && read.done.lock().is_empty());
    assert_eq!(database.committed().version.row_count(), 0);
    held.settle(&Ok(()));
    assert_eq!(read.done.lock()[0], r#"[{"rows":[{"n":1}]}]"#);
    assert_eq!(commits.load(AtomicOrdering::SeqCst), 1);
}

#[test]
fn a_failure_takes_everything_behind_it_back() {
    let held = Held::default();
    let (database, commits) = open(Box::new(held.clone()));
    let first = submit(&database, &insert("T", 1));
    let second = submit(&database, &insert("T", 2));
    held.settle(&Err(Error::new(Tag::IoError, "no space")));
    for answers in [first, second] {
        let text = answers.done.lock()[0].clone();
        assert!(
            text.ends_with(r#"{"details":"no space","error":"I/O error"}]"#),
            "{text}"
        );
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while held.resumed.load(AtomicOrdering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the writer does not go back");
        std::thread::yield_now();
    }
    let third = submit(&database, &insert("T", 3));
    held.settle(&Ok(()));
    assert!(third.done.lock()[0].starts_with(r#"[{"uuid":"#));
    assert_eq!(database.committed().version.row_count(), 1);
    assert_eq!(commits.load(AtomicOrdering::SeqCst), 1);
    assert_eq!(held.resumed.load(AtomicOrdering::SeqCst), 1, "once for all");
}

/// Passes on, to a server that knows nothing of this one's clients.
#[derive(Clone, Default)]
struct Source {
    passed_on: Arc<AtomicUsize>,
}

impl Ordering for Source {
    fn propose(&self, proposal: Proposal) {
        (proposal.done)(Ok(()));
    }

    fn resume(&self) {}

    fn replace(&self, _: u64, _: Version, done: Done) {
        done(Ok(()));
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn orderer(&self) -> Orderer {
        Orderer::Source { reached: true }
    }

    /// The contents here may be behind.
    fn has_passed_on(&self, _: u64) -> bool {
        true
    }

    fn pass_on(&self, _: Job) {
        self.passed_on.fetch_add(1, AtomicOrdering::SeqCst);
    }
}

#[test]
fn limits_that_the_source_does_not_hear_of_hold_before() {
    let source = Source::default();
    let passed_on = || source.passed_on.load(AtomicOrdering::SeqCst);
    let (database, _) = open(Box::new(source.clone()));
    database.follow();
    let refused = submit_limited(&database, &insert("T", 1), true);
    assert!(refused.done.lock()[0].contains("read only mode"));
    assert_eq!(passed_on(), 0);
    // It fails before its last operation is looked at, which the source might execute.
    let wait = r#"{"op":"wait","table":"T","where":[],"columns":["n"],"until":"!=","rows":[],
        "timeout":0}"#;
    let refused = submit_limited(&database, &format!("{wait},{}", insert("T", 1)), true);
    assert!(refused.done.lock()[0].contains("timed out"));
    assert_eq!(passed_on(), 0);
    submit_limited(&database, &insert("T", 1), false);
    assert_eq!(passed_on(), 1);
}
