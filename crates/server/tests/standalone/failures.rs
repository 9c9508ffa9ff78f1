//! Disks that are full or fail, and get better.

use std::sync::Arc;
use std::time::Instant;

use ovsdb::json::Document;
use ovsdb::{Tag, Uuid};
use ovsdb_engine::Transaction;
use ovsdb_log::SyncPolicy;
use ovsdb_server::database::{Answer, Database, Job, JobKey};
use ovsdb_server::standalone::File;
use parking_lot::Mutex;

use crate::failing_disk::{FailingDisk, Switches};
use crate::writer::{POLICIES, Writer, contents, in_file, insert, options, schema, wait_until};

#[test]
fn a_full_disk_is_told_and_nothing_acknowledged_is_lost() {
    for policy in POLICIES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = FailingDisk::default();
        let mut writer = Writer::create(&disk, &path, options(policy));
        writer.insert(0);
        wait_until("written", || writer.keeper.status().records == 2);
        Switches::set(&disk.0.full, true);
        disk.0.hold();
        writer.insert(1);
        writer.durable(2);
        writer.insert(3);
        writer.read();
        disk.0.let_go();
        let asked = policy == SyncPolicy::Asked;
        let ended = writer.wait_for(5);
        assert_eq!(
            ended,
            [(0, true), (1, asked), (2, false), (3, false), (4, false)]
        );
        let error = writer.ended.lock()[2].1.clone().unwrap_err();
        assert_eq!(error.tag, Tag::IoError);
        assert_eq!(error.io_error.as_deref(), Some("No space left on device"));
        // Before the writer has gone back everything fails.
        writer.insert(5);
        writer.read();
        assert_eq!(writer.wait_for(7)[5..], [(5, false), (6, false)]);
        writer.go_back();
        // Reads go on, and writes fail with the same error as long as the disk is full.
        writer.read();
        writer.insert(8);
        assert_eq!(writer.wait_for(9)[7..], [(7, true), (8, false)]);
        writer.go_back();
        assert_eq!(writer.keeper.unwritten(), usize::from(asked));
        writer.keeper.tick();
        wait_until("tried", || writer.keeper.status().failed.is_some());
        assert_eq!(writer.keeper.unwritten(), usize::from(asked));
        Switches::set(&disk.0.full, false);
        writer.insert(9);
        writer.read();
        assert_eq!(writer.wait_for(11)[9..], [(9, true), (10, true)]);
        assert_eq!(writer.keeper.unwritten(), 0);
        if asked {
            disk.0.hold();
            writer.insert(11);
            assert_eq!(writer.ended().last(), Some(&(11, true)), "at once again");
            disk.0.let_go();
        }
        let expected = contents(&writer.kept.lock());
        assert_eq!(contents(&writer.head), expected);
        assert_eq!(writer.head.row_count(), 2 + 2 * usize::from(asked));
        writer.keeper.close().unwrap();
        drop(writer);
        assert_eq!(in_file(&path), expected);
    }
}

/// Some acknowledged transactions, and a disk that is full since.
fn with_unwritten(path: &std::path::Path, disk: &FailingDisk) -> Writer {
    let mut writer = Writer::create(disk, path, options(SyncPolicy::Asked));
    Switches::set(&disk.0.full, true);
    disk.0.hold();
    for n in 0..20 {
        writer.insert(n);
    }
    assert_eq!(writer.ended().len(), 20, "acknowledged");
    disk.0.let_go();
    wait_until("failed", || writer.keeper.unwritten() == 20);
    writer
}

#[test]
fn what_was_acknowledged_is_written_by_a_tick() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let writer = with_unwritten(&path, &disk);
    for _ in 0..3 {
        writer.keeper.tick();
    }
    wait_until("failed", || writer.keeper.status().failed.is_some());
    Switches::set(&disk.0.full, false);
    wait_until("written", || {
        writer.keeper.tick();
        writer.keeper.unwritten() == 0
    });
    // As after a crash: nothing more is written.
    std::fs::copy(&path, folder.path().join("b.db")).unwrap();
    assert_eq!(in_file(&folder.path().join("b.db")), contents(&writer.head));
}

#[test]
fn what_was_acknowledged_is_written_when_closing_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let writer = with_unwritten(&path, &disk);
    Switches::set(&disk.0.full, false);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);

    let path = folder.path().join("c.db");
    let disk = FailingDisk::default();
    let writer = with_unwritten(&path, &disk);
    let error = writer.keeper.close().unwrap_err().to_string();
    assert!(
        error.contains("cannot write 20 acknowledged transactions: No space left"),
        "{error}"
    );
}

#[test]
fn writes_wait_while_acknowledged_ones_are_not_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = with_unwritten(&path, &disk);
    disk.0.hold();
    writer.insert(20);
    writer.insert(21);
    assert_eq!(writer.ended().len(), 20, "not at once");
    disk.0.let_go();
    assert_eq!(writer.wait_for(22)[20..], [(20, false), (21, false)]);
    writer.go_back();
    Switches::set(&disk.0.full, false);
    disk.0.hold();
    writer.insert(22);
    assert_eq!(writer.ended().len(), 22, "not at once");
    disk.0.let_go();
    assert_eq!(writer.wait_for(23)[22..], [(22, true)]);
    assert_eq!(writer.head.row_count(), 21);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
}

#[test]
fn a_failing_sync_fails_what_asked_for_it() {
    for policy in POLICIES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = FailingDisk::default();
        let mut writer = Writer::create(&disk, &path, options(policy));
        Switches::set(&disk.0.sync_fails, true);
        writer.durable(0);
        assert_eq!(writer.wait_for(1), [(0, false)]);
        let error = writer.ended.lock()[0].1.clone().unwrap_err();
        assert_eq!(error.io_error.as_deref(), Some("Input/output error"));
        writer.go_back();
        Switches::set(&disk.0.sync_fails, false);
        writer.durable(1);
        assert_eq!(writer.wait_for(2)[1..], [(1, true)]);
        let expected = contents(&writer.head);
        writer.keeper.close().unwrap();
        drop(writer);
        assert_eq!(in_file(&path), expected);
    }
}

#[derive(Default)]
struct Answers(Mutex<Vec<String>>);

impl Answer for Answers {
    fn done(&self, results: Vec<u8>) {
        self.0.lock().push(String::from_utf8(results).unwrap());
    }

    fn blocked(&self, _: Option<u64>) {}

    fn unknown(&self) {
        panic!("only clusters do not know");
    }

    fn canceled(&self) {
        self.0.lock().push("canceled".to_owned());
    }
}

fn submit(database: &Database, answers: &Arc<Answers>, n: u32) {
    let document = Document::parse(format!(r#"["d",{}]"#, insert(n))).unwrap();
    let schema = database.committed().version.schema().clone();
    database.submit(Job {
        key: JobKey {
            session: 0,
            number: u64::from(n),
        },
        transaction: Transaction::parse(document.root(), &schema, Uuid::new_v4),
        read_only: false,
        role: None,
        arrived: Instant::now(),
        owns_lock: Arc::new(|_| false),
        answer: answers.clone(),
        text: bytes::Bytes::new(),
        id: None,
        order: 0,
        passed_on_in: None,
    });
}

/// The disk is full now and then while clients write: whoever got a good answer finds the row.
#[test]
fn a_database_goes_through_full_disks() {
    for policy in POLICIES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = FailingDisk::default();
        let file = File::create_on(Arc::new(disk.clone()), &path, schema()).unwrap();
        let (version, keeper) = file.start(policy).unwrap();
        let database = Database::new(version, Box::new(keeper.clone()), Box::new(|| {}));
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let database = database.clone();
                std::thread::spawn(move || {
                    let answers = Arc::new(Answers::default());
                    for n in 0..300 {
                        submit(&database, &answers, client * 300 + n);
                        if n % 20 == 0 {
                            std::thread::sleep(std::time::Duration::from_millis(2));
                        }
                    }
                    wait_until("answers", || answers.0.lock().len() == 300);
                    let answers = answers.0.lock();
                    answers
                        .iter()
                        .filter(|text| !text.contains("error"))
                        .count()
                })
            })
            .collect();
        while !clients.iter().all(|client| client.is_finished()) {
            Switches::set(&disk.0.full, true);
            std::thread::sleep(std::time::Duration::from_millis(3));
            Switches::set(&disk.0.full, false);
            keeper.tick();
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        let good: usize = clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum();
        let committed = database.committed().version.clone();
        assert_eq!(committed.row_count(), good);
        keeper.close().unwrap();
        drop((database, keeper));
        assert_eq!(in_file(&path), contents(&committed));
    }
}
