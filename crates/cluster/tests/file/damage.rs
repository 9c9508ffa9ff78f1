//! A file cut at every byte and with every byte changed: an error or the beginning of what was in it, never more.

use std::path::Path;
use std::sync::Arc;

use ovsdb_cluster::entry::{Entry, Payload};
use ovsdb_cluster::file::{Contents, Fact, Record, Replayed};
use ovsdb_log::{Appender, Disk, Lock, LogError, Magic};

use super::support::{data, header, replay, servers, uuid, write_texts};

fn write(path: &Path) {
    let entry = |term, index, payload| {
        Fact::Entry(Entry {
            term,
            index,
            payload,
        })
    };
    let server = uuid(2);
    let facts = [
        Fact::Term(3),
        entry(3, 8, Payload::Empty),
        entry(3, 9, data(9)),
        Fact::Vote { term: 4, server },
        Fact::Leader { term: 4, server },
        entry(4, 9, Payload::Servers(servers(&[1, 2]))),
        entry(4, 10, Payload::ElectionTimer(2000)),
        Fact::CommitIndex(10),
        Fact::Note("transfer leadership".to_owned()),
        entry(4, 11, data(11)),
    ];
    let contents = Contents {
        header: header(7, &[1]),
        records: facts.into_iter().map(Record::from).collect(),
    };
    Appender::create(
        Arc::new(Disk),
        Lock::acquire(path).unwrap(),
        Magic::Cluster,
        |writer| contents.write(writer),
    )
    .unwrap();
}

/// A prefix of the whole: nothing in it that was not there.
fn check(result: Result<Replayed, LogError>, all: &Replayed, what: &str) -> bool {
    let Ok(state) = result else {
        return false;
    };
    assert_eq!(state.header, all.header, "{what}");
    assert!(
        state.term <= all.term && state.commit_index <= all.commit_index,
        "{what}"
    );
    for entry in state.entries.iter() {
        let known = all.entries.get(entry.index) == Some(entry)
            || (entry.index == 9 && entry.payload == data(9));
        assert!(known, "{what}: {entry:?}");
    }
    true
}

#[test]
fn cut_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    write(&path);
    let (all, bytes) = (replay(&path).unwrap(), std::fs::read(&path).unwrap());
    let header_end = 2 + bytes.windows(2).position(|w| w == b"}\n").unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let accepted = check(replay(&path), &all, &format!("cut at {length}"));
        assert_eq!(accepted, length >= header_end, "cut at {length}");
    }
}

#[test]
fn every_byte_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    write(&path);
    let (all, bytes) = (replay(&path).unwrap(), std::fs::read(&path).unwrap());
    let mut accepted = 0;
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            std::fs::write(&path, &changed).unwrap();
            accepted += usize::from(check(replay(&path), &all, &format!("{flip} at {at}")));
        }
    }
    // Only the last record can be damaged and taken for one that was cut short.
    let last = bytes.len() - bytes.windows(6).rposition(|w| w == b"OVSDB ").unwrap();
    assert!(accepted <= 2 * last, "{accepted}");
}

/// Records with right hashes and wrong contents.
#[test]
fn records_that_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    for (n, text) in [
        "{}",
        "[]",
        "{\"term\":1",
        "not JSON",
        "{\"term\":{}}",
        "{\"term\":3,\"index\":900}",
        "",
    ]
    .iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{n}.db"));
        let mut first = Vec::new();
        header(7, &[1]).write(&mut first);
        let first = std::str::from_utf8(&first).unwrap();
        write_texts(&path, &[first, text, "{\"term\":3}"]);
        let at = std::fs::read(&path).unwrap();
        let expected = at.windows(2).position(|w| w == b"}\n").unwrap() as u64 + 2;
        match replay(&path) {
            Err(LogError::Damaged { offset, .. }) => assert_eq!(offset, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
