//! Compactions and conversions beside a running log.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use ovsdb::{Error, Schema, Uuid};
use ovsdb_engine::convert::convert;
use ovsdb_log::testing::{Faults, SimulatedDisk, Writeback};
use ovsdb_log::{Options, SyncPolicy};
use ovsdb_server::ordering::Ordering;
use ovsdb_server::standalone::File;

use crate::failing_disk::{FailingDisk, Switches};
use crate::writer::{POLICIES, SCHEMA, Writer, contents, in_file, options};

const WAIT: Duration = Duration::from_secs(20);

fn replace(writer: &Writer) -> mpsc::Receiver<Result<(), Error>> {
    let (sender, receiver) = mpsc::channel();
    let done = Box::new(move |result| sender.send(result).unwrap());
    writer.keeper.replace(0, writer.head.clone(), done);
    receiver
}

#[test]
fn a_compaction_has_everything_exactly_once() {
    for policy in POLICIES {
        for max_batches in [8192, 5] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let options = Options {
                max_batches,
                ..options(policy)
            };
            let mut writer = Writer::create(&FailingDisk::default(), &path, options);
            let mut compactions = Vec::new();
            for n in 0..2000 {
                if n % 97 == 0 {
                    writer.durable(n);
                } else {
                    writer.insert(n);
                }
                if n % 300 == 150 {
                    compactions.push(replace(&writer));
                }
            }
            assert!(writer.wait_for(2000).iter().all(|(_, good)| *good));
            let results: Vec<_> = compactions
                .iter()
                .map(|done| done.recv_timeout(WAIT).unwrap())
                .collect();
            assert!(results[0].is_ok(), "{results:?}");
            assert!(!folder.path().join("a.db.tmp").exists());
            let expected = contents(&writer.head);
            writer.keeper.close().unwrap();
            drop(writer);
            assert_eq!(in_file(&path), expected);
        }
    }
}

#[test]
fn a_compaction_includes_what_was_acknowledged_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = Writer::create(&disk, &path, options(SyncPolicy::Asked));
    Switches::set(&disk.0.full, true);
    writer.insert(0);
    crate::writer::wait_until("failed", || writer.keeper.unwritten() == 1);
    let error = replace(&writer).recv_timeout(WAIT).unwrap().unwrap_err();
    assert_eq!(error.io_error.as_deref(), Some("No space left on device"));
    Switches::set(&disk.0.full, false);
    replace(&writer).recv_timeout(WAIT).unwrap().unwrap();
    assert_eq!(writer.keeper.unwritten(), 0);
    writer.insert(1);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
}

#[test]
fn a_compaction_of_what_fails_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = Writer::create(&disk, &path, options(SyncPolicy::Always));
    writer.insert(0);
    writer.wait_for(1);
    Switches::set(&disk.0.full, true);
    disk.0.hold();
    writer.insert(1);
    let done = replace(&writer);
    disk.0.let_go();
    assert!(done.recv_timeout(WAIT).unwrap().is_err());
    assert!(
        replace(&writer).recv_timeout(WAIT).unwrap().is_err(),
        "not gone back yet"
    );
    Switches::set(&disk.0.full, false);
    writer.go_back();
    replace(&writer).recv_timeout(WAIT).unwrap().unwrap();
    assert_eq!(writer.head.row_count(), 1);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
}

fn newer() -> Arc<Schema> {
    let text = SCHEMA
        .replace("1.0.0", "2.0.0")
        .replace("\"map\"", "\"plan\"");
    Arc::new(Schema::from_text(text.as_bytes()).unwrap())
}

#[test]
fn a_conversion_is_done_in_order_and_holds_what_comes_behind_it() {
    for policy in POLICIES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let disk = FailingDisk::default();
        let mut writer = Writer::create(&disk, &path, options(policy));
        for n in 0..100 {
            writer.insert(n);
        }
        // Waits for a compaction that is on its way.
        let compacted = replace(&writer);
        disk.0.hold();
        writer.head = convert(&writer.head, newer(), &mut Uuid::new_v4).unwrap();
        let converted = replace(&writer);
        writer.insert(100);
        let read = writer.read();
        assert!(!writer.ended().iter().any(|(n, _)| *n >= 100));
        disk.0.let_go();
        assert_eq!(writer.wait_for(102).last(), Some(&(read, true)));
        converted.try_recv().unwrap().unwrap();
        compacted.recv_timeout(WAIT).unwrap().unwrap();
        let expected = contents(&writer.head);
        writer.keeper.close().unwrap();
        drop(writer);
        assert_eq!(in_file(&path), expected);
        assert!(expected.contains("\"plan\"") && expected.contains("2.0.0"));
    }
}

#[test]
fn a_failed_conversion_leaves_everything_and_fails_what_stands_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = Writer::create(&disk, &path, options(SyncPolicy::Asked));
    writer.insert(0);
    let old = writer.head.clone();
    Switches::set(&disk.0.rename_fails, true);
    writer.head = convert(&old, newer(), &mut Uuid::new_v4).unwrap();
    let converted = replace(&writer);
    assert!(converted.recv_timeout(WAIT).unwrap().is_err());
    // Nothing stood on it: no need to go back.
    writer.head = old.clone();
    writer.insert(1);
    assert_eq!(writer.wait_for(2), [(0, true), (1, true)]);
    let old = writer.head.clone();
    writer.head = convert(&old, newer(), &mut Uuid::new_v4).unwrap();
    disk.0.hold();
    let converted = replace(&writer);
    writer.insert(2);
    disk.0.let_go();
    assert!(converted.recv_timeout(WAIT).unwrap().is_err());
    assert_eq!(writer.wait_for(3)[2..], [(2, false)]);
    writer.insert(3);
    assert_eq!(writer.wait_for(4)[3..], [(3, false)]);
    writer.go_back();
    writer.insert(4);
    assert_eq!(writer.wait_for(5)[4..], [(4, true)]);
    assert_eq!(writer.head.row_count(), 3);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
}

#[test]
fn a_conversion_is_told_when_it_cannot_be_undone_by_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    for gets_better in [true, false] {
        let disk = SimulatedDisk::new(1, Writeback::InOrder);
        let file = File::create_on(disk.mount(), &path, crate::writer::schema()).unwrap();
        let mut writer = Writer::start(file, options(SyncPolicy::Always));
        writer.insert(0);
        writer.wait_for(1);
        disk.set_faults(Faults {
            folder_sync: 100,
            ..Faults::default()
        });
        let old = disk.read(&path);
        writer.head = convert(&writer.head, newer(), &mut Uuid::new_v4).unwrap();
        let converted = replace(&writer);
        writer.insert(1);
        crate::writer::wait_until("renamed", || disk.read(&path) != old);
        assert!(converted.recv_timeout(Duration::from_millis(20)).is_err());
        if gets_better {
            disk.set_faults(Faults::default());
            converted.recv_timeout(WAIT).unwrap().unwrap();
            assert_eq!(writer.wait_for(2)[1..], [(1, true)]);
            writer.keeper.close().unwrap();
        } else {
            assert!(writer.keeper.close().is_err());
            assert!(converted.recv_timeout(WAIT).unwrap().is_err());
            assert_eq!(writer.wait_for(2)[1..], [(1, false)]);
        }
    }
}

#[test]
fn a_conversion_behind_what_cannot_be_written_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = SimulatedDisk::new(1, Writeback::InOrder);
    let file = File::create_on(disk.mount(), &path, crate::writer::schema()).unwrap();
    let mut writer = Writer::start(file, options(SyncPolicy::Asked));
    disk.set_faults(Faults {
        folder_sync: 100,
        ..Faults::default()
    });
    // Stays on its way, and nothing can be written meanwhile.
    let old = disk.read(&path);
    let compacted = replace(&writer);
    crate::writer::wait_until("renamed", || disk.read(&path) != old);
    writer.insert(0);
    crate::writer::wait_until("failed", || writer.keeper.unwritten() == 1);
    let before = writer.head.clone();
    writer.head = convert(&before, newer(), &mut Uuid::new_v4).unwrap();
    let converted = replace(&writer);
    assert!(converted.recv_timeout(WAIT).unwrap().is_err());
    writer.insert(1);
    assert_eq!(writer.wait_for(2), [(0, true), (1, false)]);
    writer.go_back();
    assert_eq!(contents(&writer.head), contents(&before));
    disk.set_faults(Faults::default());
    writer.insert(2);
    assert_eq!(writer.wait_for(3)[2..], [(2, true)]);
    compacted.recv_timeout(WAIT).unwrap().unwrap();
    assert_eq!(writer.keeper.unwritten(), 0);
    writer.keeper.close().unwrap();
    let expected = contents(&writer.head);
    drop(writer);
    let file = File::open_on(disk.mount(), &path).unwrap();
    assert_eq!(contents(file.version()), expected);
}
