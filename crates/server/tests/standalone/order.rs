//! The order in which proposals are done, and what each of them waits for.

use ovsdb_log::{Options, SyncPolicy};
use ovsdb_server::ordering::Ordering;

use crate::failing_disk::FailingDisk;
use crate::writer::{Writer, contents, in_file, insert, options};

fn numbered(range: std::ops::Range<u32>) -> Vec<(u32, bool)> {
    range.map(|n| (n, true)).collect()
}

#[test]
fn always_waits_for_the_disk_and_keeps_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = Writer::create(&disk, &path, options(SyncPolicy::Always));
    writer.read();
    assert_eq!(writer.ended(), numbered(0..1), "nothing waits");
    disk.0.hold();
    writer.insert(1);
    writer.durable(2);
    writer.read();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(writer.ended(), numbered(0..1));
    disk.0.let_go();
    assert_eq!(writer.wait_for(4), numbered(0..4));
}

#[test]
fn asked_waits_only_where_it_is_asked_and_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = Writer::create(&disk, &path, options(SyncPolicy::Asked));
    disk.0.hold();
    writer.insert(0);
    writer.read();
    writer.insert(2);
    assert_eq!(writer.ended(), numbered(0..3), "at once");
    writer.durable(3);
    writer.insert(4);
    writer.read();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(writer.ended(), numbered(0..3));
    disk.0.let_go();
    assert_eq!(writer.wait_for(6), numbered(0..6));
    writer.insert(6);
    assert_eq!(writer.ended(), numbered(0..7), "at once again");
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
}

#[test]
fn a_lone_writer_commits_itself_and_others_wait_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::default();
    let path = folder.path().join("a.db");
    let mut writer = Writer::create(&disk, &path, options(SyncPolicy::Always));
    let mut count = 0;
    let work = loop {
        let (proposal, _) = writer.proposal(&insert(count));
        count += 1;
        if let Some(work) = writer.keeper.propose_here(proposal) {
            break work;
        }
        writer.wait_for(count as usize);
        assert!(count < 10_000, "never alone");
    };
    writer.read();
    writer.insert(count);
    assert_eq!(writer.ended(), numbered(0..count - 1));
    work();
    assert_eq!(writer.ended(), numbered(0..count + 2));
    // Work that is not done is left to the log.
    let (proposal, _) = writer.proposal(&insert(count + 1));
    drop(writer.keeper.propose_here(proposal));
    writer.wait_for(count as usize + 3);
}

#[test]
fn any_mix_is_done_in_order() {
    for (policy, max_batches) in [
        (SyncPolicy::Always, 8192),
        (SyncPolicy::Always, 3),
        (SyncPolicy::Asked, 8192),
        (SyncPolicy::Asked, 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = Options {
            max_batches,
            ..options(policy)
        };
        let mut writer = Writer::create(&FailingDisk::default(), &path, options);
        for n in 0..3000_u32 {
            match n.wrapping_mul(2_654_435_761) >> 29 {
                0 => writer.durable(n),
                1 | 2 => writer.read(),
                _ => writer.insert(n),
            };
        }
        assert_eq!(writer.wait_for(3000), numbered(0..3000), "{policy:?}");
        let expected = contents(&writer.head);
        writer.keeper.close().unwrap();
        drop(writer);
        assert_eq!(in_file(&path), expected);
    }
}

#[test]
fn what_the_full_log_does_not_take_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let options = Options {
        max_batches: 4,
        max_bytes: 2000,
        ..options(SyncPolicy::Asked)
    };
    let mut writer = Writer::create(&disk, &path, options);
    disk.0.hold();
    for n in 0..50 {
        writer.insert(n);
    }
    // A larger one than ever fits, between the others.
    let large = "x".repeat(10_000);
    writer.propose(&format!(
        r#"{{"op":"insert","table":"t","row":{{"set":"{large}"}}}}"#
    ));
    writer.insert(51);
    let early = writer.ended().len();
    assert!((4..=8).contains(&early), "{early} done with a full log");
    let closing = std::thread::spawn({
        let keeper = writer.keeper.clone();
        move || keeper.close()
    });
    disk.0.let_go();
    assert_eq!(writer.wait_for(52), numbered(0..52));
    closing.join().unwrap().unwrap();
    assert_eq!(writer.insert(52), 52);
    assert_eq!(writer.wait_for(53).last(), Some(&(52, false)), "closed");
    let expected = contents(&writer.kept.lock());
    drop(writer);
    assert_eq!(in_file(&path), expected);
}
