//! A file in use, case by case.

use std::sync::{Arc, mpsc};

use ovsdb_cluster::entry::{Entry, Payload};
use ovsdb_cluster::file::record::{LEFT, TRANSFER_LEADERSHIP};
use ovsdb_cluster::file::{Ballot, ClusterFile, Contents, Fact, Identity, Reason, Standing};
use ovsdb_log::testing::{Faults, SimulatedDisk, Writeback};
use ovsdb_log::{Disk, Lock, Options};

use super::in_use::{Slow, append, check_cluster, meta, rows, save, start};
use super::support::{WAIT, done, entry, header, must, read_all, replay, servers, text, uuid};

#[test]
fn everything_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    save(
        &store,
        Ballot::Vote {
            term: 3,
            server: uuid(1),
        },
    );
    save(
        &store,
        Ballot::Leader {
            term: 3,
            server: uuid(1),
        },
    );
    append(&store, &[entry(3, 8, Payload::Empty)]);
    append(&store, &rows(3, 9..=12));
    append(
        &store,
        &[
            entry(3, 13, Payload::Servers(servers(&[1, 2]))),
            entry(3, 14, Payload::ElectionTimer(3000)),
        ],
    );
    store.commit(14).unwrap();
    let (note_done, receiver) = done();
    store
        .note(
            TRANSFER_LEADERSHIP,
            Some("to another".to_owned()),
            note_done,
        )
        .unwrap();
    receiver.recv_timeout(WAIT).unwrap().unwrap();
    assert_eq!(store.election_timer(), 3000);
    assert_eq!(store.servers_at(12), Some(servers(&[1])));
    assert_eq!(store.servers_at(13), Some(servers(&[1, 2])));
    assert_eq!(
        (store.eid_at(7), store.eid_at(8), store.eid_at(u64::MAX)),
        (Some(uuid(1007)), Some(uuid(1007)), Some(uuid(1012)))
    );
    assert_eq!(
        (
            store.term_at(6),
            store.term_at(7),
            store.term_at(8),
            store.term_at(15)
        ),
        (None, Some(2), Some(3), None)
    );
    store.close().unwrap();
    check_cluster(&path);
    let log = must("ovsdb-tool", &["show-log", text(&path)]);
    assert!(
        log.contains("comment: \"to another\"\n note: \"transfer leadership\""),
        "{log}"
    );

    let state = replay(&path).unwrap();
    assert_eq!(
        (state.term, state.vote, state.leader, state.commit_index),
        (3, Some(uuid(1)), Some(uuid(1)), 14)
    );
    assert_eq!(state.entries.len(), 7);
    assert_eq!(state.standing(), Standing::Member);
    assert_eq!(state.election_timer(), 3000);
}

#[test]
fn what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = start(&folder.path().join("a.db"));
    append(&store, &rows(3, 8..=10));
    store.commit(9).unwrap();
    let refused =
        |result: Result<(), ovsdb_cluster::file::Refused>| match result.unwrap_err().reason {
            Reason::Invalid(why) => why,
            other => panic!("{other:?}"),
        };
    let add = |entries: &[Arc<Entry>]| refused(store.append(entries, done().0));
    assert_eq!(
        add(&rows(3, 10..=10)),
        "an entry with index 10 does not follow index 10"
    );
    assert_eq!(
        add(&rows(3, 12..=12)),
        "an entry with index 12 does not follow index 10"
    );
    assert!(
        add(&rows(2, 11..=11)).contains("has term 2, which precedes the previous entry's term 3")
    );
    assert!(matches!(store.truncate_behind(8), Err(Reason::Invalid(_))));
    assert!(matches!(store.commit(11), Err(Reason::Invalid(_))));
    let ballot = |ballot| refused(store.save(ballot, done().0));
    assert_eq!(ballot(Ballot::Term(2)), "term 2 is over, it is 3");
    save(
        &store,
        Ballot::Vote {
            term: 3,
            server: uuid(1),
        },
    );
    save(
        &store,
        Ballot::Vote {
            term: 3,
            server: uuid(1),
        },
    );
    assert!(
        ballot(Ballot::Vote {
            term: 3,
            server: uuid(2)
        })
        .contains("it was")
    );
    for index in [7, 10, 11] {
        let (_slow, data, replaced) = Slow::new();
        assert!(
            matches!(
                store.compact(index, data, replaced),
                Err(Reason::Invalid(_))
            ),
            "{index}"
        );
    }
    assert_eq!(store.ends().1.index, 10);
    store.close().unwrap();
    let result = store.append(&rows(3, 11..=11), done().0);
    assert!(matches!(result.unwrap_err().reason, Reason::Closed));
}

#[test]
fn a_leader_replaces_nothing_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    append(&store, &rows(3, 8..=12));
    store.commit(9).unwrap();
    store.truncate_behind(9).unwrap();
    save(
        &store,
        Ballot::Vote {
            term: 4,
            server: uuid(1),
        },
    );
    save(
        &store,
        Ballot::Leader {
            term: 4,
            server: uuid(1),
        },
    );
    // Leading in the next term too, before anything was added.
    save(
        &store,
        Ballot::Leader {
            term: 5,
            server: uuid(1),
        },
    );
    append(&store, &[entry(5, 10, Payload::Empty)]);
    store.close().unwrap();
    check_cluster(&path);
    assert_eq!(replay(&path).unwrap().entries.last().index, 10);

    // All behind the snapshot taken back: nothing to write again.
    let path = folder.path().join("b.db");
    let store = start(&path);
    append(&store, &rows(3, 8..=12));
    store.truncate_behind(7).unwrap();
    save(
        &store,
        Ballot::Leader {
            term: 4,
            server: uuid(1),
        },
    );
    assert_eq!(store.leader(), Some(uuid(1)));
    append(&store, &[entry(4, 8, Payload::Empty)]);
    store.close().unwrap();
    check_cluster(&path);
    let state = replay(&path).unwrap();
    assert_eq!(
        (state.term, state.leader, state.entries.len()),
        (4, None, 1)
    );

    // And while the last entry is becoming a part of the snapshot.
    let path = folder.path().join("c.db");
    let store = start(&path);
    append(&store, &rows(3, 8..=12));
    store.commit(9).unwrap();
    let (slow, data, replaced) = Slow::new();
    store.compact(9, data, replaced).unwrap();
    store.truncate_behind(9).unwrap();
    save(
        &store,
        Ballot::Leader {
            term: 4,
            server: uuid(1),
        },
    );
    append(&store, &[entry(4, 10, Payload::Empty)]);
    slow.finish().unwrap();
    store.close().unwrap();
    check_cluster(&path);
    let state = replay(&path).unwrap();
    assert_eq!(
        (state.snapshot().unwrap().index, state.entries.len()),
        (9, 1)
    );
}

#[test]
fn a_joining_server_keeps_its_votes_and_becomes_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let identity = Identity {
        server_id: uuid(2),
        cluster_id: None,
        name: "d".to_owned(),
        local_address: "tcp:127.0.0.2:6647".to_owned(),
    };
    let contents = Contents::joining(identity, vec!["tcp:127.0.0.1:6647".to_owned()]).unwrap();
    let lock = Lock::acquire(&path).unwrap();
    let file = ClusterFile::create(Arc::new(Disk), lock, &contents).unwrap();
    let (store, snapshot) = file.start(Options::default()).unwrap();
    assert!(snapshot.is_none() && store.snapshot().is_none());
    let refused = store.append(&rows(1, 1..=1), done().0).unwrap_err();
    assert!(matches!(refused.reason, Reason::Invalid(_)));
    save(&store, Ballot::Term(6));
    drop(store);

    let file = ClusterFile::open(Arc::new(Disk), Lock::acquire(&path).unwrap()).unwrap();
    assert_eq!(
        (file.replayed().standing(), file.replayed().term),
        (Standing::Joining, 6)
    );
    let (store, _) = file.start(Options::default()).unwrap();
    let (_slow, data, replaced) = Slow::new();
    let result = store.install(meta(50, 4), data, replaced);
    assert!(
        matches!(result, Err(Reason::Invalid(_))),
        "the cluster is not known"
    );
    assert!(store.set_cluster_id(uuid(99)) && !store.set_cluster_id(uuid(98)));
    let (slow, data, replaced) = Slow::new();
    store.install(meta(50, 4), data, replaced).unwrap();
    slow.finish().unwrap();
    append(&store, &rows(6, 51..=52));
    drop(store);
    assert_eq!(
        must("ovsdb-tool", &["db-cid", text(&path)]),
        uuid(99).to_string()
    );
    assert_eq!(
        must("ovsdb-tool", &["db-sid", text(&path)]),
        uuid(2).to_string()
    );
    check_cluster(&path);
    let state = replay(&path).unwrap();
    assert_eq!(
        (state.standing(), state.term, state.entries.len()),
        (Standing::Member, 6, 2)
    );
}

#[test]
fn who_has_left_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    let (done, receiver) = done();
    store.note(LEFT, None, done).unwrap();
    receiver.recv_timeout(WAIT).unwrap().unwrap();
    assert!(store.left());
    drop(store);
    assert_eq!(replay(&path).unwrap().standing(), Standing::Left);
    let (_, records) = read_all(&path);
    assert_eq!(records.last().unwrap().fact, Fact::Note(LEFT.to_owned()));
}

#[test]
fn a_full_disk_refuses_everything_until_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = SimulatedDisk::new(1, Writeback::InOrder);
    let contents = Contents {
        header: header(7, &[1]),
        records: Vec::new(),
    };
    let lock = Lock::acquire(&path).unwrap();
    let file = ClusterFile::create(disk.mount(), lock, &contents).unwrap();
    let (store, _) = file.start(Options::default()).unwrap();
    append(&store, &rows(3, 8..=9));
    let size = store.status().size;
    disk.set_faults(Faults {
        space: Some(size + 300),
        ..Faults::default()
    });
    let (append_done, appended) = done();
    store.append(&rows(3, 10..=15), append_done).unwrap();
    appended.recv_timeout(WAIT).unwrap().unwrap_err();
    let refused = store.save(Ballot::Term(9), done().0).unwrap_err();
    assert!(matches!(refused.reason, Reason::Failed(_)), "{refused:?}");
    assert!(store.status().failed.is_some());
    drop(store);

    disk.set_faults(Faults::default());
    let file = ClusterFile::open(disk.mount(), Lock::acquire(&path).unwrap()).unwrap();
    assert_eq!(file.replayed().entries.last().index, 9);
    let (store, _) = file.start(Options::default()).unwrap();
    append(&store, &rows(3, 10..=10));

    // A leader's snapshot that finds no room: what waits for it fails with it, and the old log stays.
    disk.set_faults(Faults {
        space: Some(store.status().size + 300),
        ..Faults::default()
    });
    let (slow, data, replaced) = Slow::new();
    store.install(meta(50, 4), data, replaced).unwrap();
    let (append_done, appended) = done();
    store.append(&rows(4, 51..=51), append_done).unwrap();
    slow.finish().unwrap_err();
    appended.recv_timeout(WAIT).unwrap().unwrap_err();
    let refused = store.append(&rows(4, 52..=52), done().0).unwrap_err();
    assert!(matches!(refused.reason, Reason::Failed(_)), "{refused:?}");
    assert!(store.status().failed.is_some());
    drop(store);
    disk.set_faults(Faults::default());
    let file = ClusterFile::open(disk.mount(), Lock::acquire(&path).unwrap()).unwrap();
    assert_eq!(file.replayed().entries.last().index, 10);
}

/// Many small appends, as proposals of many transactions are: one after the other, and all done.
#[test]
fn appends_are_done_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    let (sender, receiver) = mpsc::channel();
    for index in 8..3008 {
        let sender = sender.clone();
        let done = Box::new(move |result: Result<(), _>| {
            sender.send((index, result.is_ok())).unwrap();
        });
        store.append(&rows(3, index..=index), done).unwrap();
        assert_eq!(store.get(index).unwrap().index, index, "visible at once");
        if index % 7 == 0 {
            store.commit(index - 3).unwrap();
        }
    }
    for index in 8..3008 {
        assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (index, true));
    }
    assert_eq!(store.range(100..200, usize::MAX).len(), 100);
    assert!((1..10).contains(&store.range(100..200, 1000).len()));
    store.close().unwrap();
    let state = replay(&path).unwrap();
    assert_eq!((state.entries.len(), state.commit_index), (3000, 3000));
}
