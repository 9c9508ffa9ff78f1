//! New snapshots in a file in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use ovsdb_cluster::entry::Payload;
use ovsdb_cluster::file::{Ballot, Reason};
use ovsdb_log::Options;

use super::in_use::{Slow, append, check_cluster, meta, rows, save, start, start_with};
use super::support::{WAIT, contents, done, entry, replay, servers, uuid};

#[test]
fn a_log_is_made_short_beside_the_work() {
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
    append(&store, &rows(3, 8..=20));
    append(
        &store,
        &[entry(3, 21, Payload::Servers(servers(&[1, 2, 3])))],
    );
    append(&store, &rows(3, 22..=25));
    store.commit(24).unwrap();
    let (slow, data, replaced) = Slow::new();
    store.compact(22, data, replaced).unwrap();
    let (second, data, replaced) = Slow::new();
    assert!(matches!(
        store.compact(23, data, replaced),
        Err(Reason::Busy)
    ));
    drop(second);
    // The work goes on.
    append(&store, &rows(3, 26..=30));
    store.commit(28).unwrap();
    save(
        &store,
        Ballot::Leader {
            term: 3,
            server: uuid(1),
        },
    );
    assert_eq!(store.purge(22).index, 7, "the file still starts there");
    slow.finish().unwrap();
    let meta = store.snapshot().unwrap();
    assert_eq!((meta.index, meta.term, meta.eid), (22, 3, uuid(1022)));
    assert_eq!(
        (meta.servers, meta.election_timer),
        (servers(&[1, 2, 3]), Some(1000))
    );
    assert_eq!(store.range(8..31, usize::MAX).len(), 23);
    assert_eq!(store.purge(15).index, 15);
    assert_eq!(store.range(0..u64::MAX, usize::MAX).len(), 15);
    assert_eq!(store.purge(100).index, 22);
    assert_eq!(
        (store.term_at(22), store.term_at(21), store.eid_at(22)),
        (Some(3), None, Some(uuid(1022)))
    );
    // What is not in memory any more is known by the snapshot.
    assert_eq!(store.servers_at(u64::MAX), Some(servers(&[1, 2, 3])));
    store.commit(30).unwrap();
    store.close().unwrap();
    check_cluster(&path);
    let state = replay(&path).unwrap();
    assert_eq!(
        state.entries.iter().map(|e| e.index).collect::<Vec<_>>(),
        (23..=30).collect::<Vec<_>>()
    );
    assert_eq!(
        (state.term, state.vote, state.leader, state.commit_index),
        (3, Some(uuid(1)), Some(uuid(1)), 30)
    );
    assert_eq!(contents(&state).matches("\"n\":").count(), 8 + 1);
}

#[test]
fn a_leaders_snapshot_takes_the_place_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    append(&store, &rows(3, 8..=12));
    store.commit(9).unwrap();
    for (index, term) in [(7, 2), (9, 9)] {
        let (_slow, data, replaced) = Slow::new();
        let result = store.install(meta(index, term), data, replaced);
        assert!(matches!(result, Err(Reason::Invalid(_))), "{result:?}");
    }
    let (slow, data, replaced) = Slow::new();
    store.install(meta(50, 4), data, replaced).unwrap();
    assert_eq!(
        (
            store.ends().0.index,
            store.ends().1.term,
            store.commit_index(),
            store.term()
        ),
        (50, 4, 50, 4)
    );
    // Entries behind it wait for it; a vote does not.
    let (append_done, appended) = done();
    store.append(&rows(4, 51..=53), append_done).unwrap();
    store.commit(52).unwrap();
    save(
        &store,
        Ballot::Vote {
            term: 5,
            server: uuid(2),
        },
    );
    assert!(appended.try_recv().is_err());
    assert_eq!(replay(&path).unwrap().entries.last().index, 12);
    assert_eq!(replay(&path).unwrap().vote, Some(uuid(2)));
    slow.finish().unwrap();
    appended.recv_timeout(WAIT).unwrap().unwrap();
    append(&store, &rows(5, 54..=55));
    store.close().unwrap();
    check_cluster(&path);
    let state = replay(&path).unwrap();
    assert_eq!(state.snapshot(), Some(&meta(50, 4)));
    assert_eq!(
        (
            state.entries.len(),
            state.commit_index,
            state.term,
            state.vote
        ),
        (5, 52, 5, Some(uuid(2)))
    );
}

#[test]
fn a_snapshot_that_the_log_leads_to_leaves_what_is_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    append(&store, &rows(3, 8..=12));
    let (slow, data, replaced) = Slow::new();
    store.install(meta(10, 3), data, replaced).unwrap();
    append(&store, &rows(3, 13..=13));
    slow.finish().unwrap();
    store.close().unwrap();
    let state = replay(&path).unwrap();
    assert_eq!(
        state.entries.iter().map(|e| e.index).collect::<Vec<_>>(),
        [11, 12, 13]
    );
    assert_eq!(state.commit_index, 10);
    check_cluster(&path);
}

#[test]
fn what_waits_for_a_snapshot_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let options = Options {
        max_bytes: 1500,
        ..Options::default()
    };
    let store = start_with(&path, options);
    let (slow, data, replaced) = Slow::new();
    store.install(meta(50, 4), data, replaced).unwrap();
    let mut waiting = Vec::new();
    let mut next = 51;
    let full = loop {
        let (done, receiver) = done();
        match store.append(&rows(4, next..=next), done) {
            Ok(()) => waiting.push(receiver),
            Err(refused) => break refused.reason,
        }
        next += 1;
    };
    assert!(matches!(full, Reason::Full), "{full:?}");
    assert!((2..20).contains(&waiting.len()));
    assert_eq!(
        store.ends().1.index,
        next - 1,
        "what was refused is not there"
    );
    let room = Arc::new(AtomicBool::new(false));
    let (told, receiver) = mpsc::channel();
    let flag = room.clone();
    store.on_space(
        400,
        Box::new(move || {
            flag.store(true, Ordering::SeqCst);
            told.send(()).unwrap();
        }),
    );
    assert!(!room.load(Ordering::SeqCst));
    slow.finish().unwrap();
    receiver.recv_timeout(WAIT).unwrap();
    for receiver in waiting {
        receiver.recv_timeout(WAIT).unwrap().unwrap();
    }
    store.close().unwrap();
    assert_eq!(replay(&path).unwrap().entries.last().index, next - 1);
}

#[test]
fn closing_gives_up_what_waits_for_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = start(&path);
    append(&store, &rows(3, 8..=9));
    let (slow, data, replaced) = Slow::new();
    store.install(meta(50, 4), data, replaced).unwrap();
    let (append_done, appended) = done();
    store.append(&rows(4, 51..=51), append_done).unwrap();
    let closing = std::thread::spawn(move || store.close());
    let Slow {
        go,
        done: installed,
    } = slow;
    go.send(()).unwrap();
    closing.join().unwrap().unwrap();
    // In time or not; but both together.
    let result = installed.recv_timeout(WAIT).unwrap();
    let appended = appended.recv_timeout(WAIT).unwrap();
    let state = replay(&path).unwrap();
    match result {
        Ok(()) => assert_eq!(state.snapshot().unwrap().index, 50),
        Err(_) => assert_eq!(state.entries.last().index, 9),
    }
    assert_eq!(appended.is_ok(), state.entries.last().index == 51);
}
