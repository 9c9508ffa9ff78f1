//! Which series of records make sense: our answer and `ovsdb-tool check-cluster`'s, for random ones.

use std::sync::Arc;

use ovsdb_cluster::entry::{Entry, Payload};
use ovsdb_cluster::file::{Contents, Fact, Record, Replay, Standing};
use ovsdb_log::{Appender, Disk, Lock, Magic};
use proptest::prelude::*;

use super::support::{data, header, run, servers, text, uuid};

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let payload = prop_oneof![
        3 => (1..9_u64).prop_map(data),
        1 => Just(Payload::Empty),
        1 => Just(Payload::Servers(servers(&[1, 2]))),
    ];
    let entry = |term, index, payload| {
        Fact::Entry(Entry {
            term,
            index,
            payload,
        })
    };
    let fact = prop_oneof![
        6 => (2..5_u64, 0..4_u64, payload).prop_map(move |(t, i, p)| entry(t, i, p)),
        1 => (2..6_u64).prop_map(Fact::Term),
        2 => (2..6_u64, 1..3_u64).prop_map(|(term, s)| Fact::Vote { term, server: uuid(s) }),
        1 => (2..6_u64, 1..3_u64).prop_map(|(term, s)| Fact::Leader { term, server: uuid(s) }),
        2 => (0..3_u64).prop_map(Fact::CommitIndex),
        1 => Just(Fact::Note("hello".to_owned())),
    ];
    proptest::collection::vec(fact, 1..14).prop_map(|mut facts| {
        // So far places are distances from the end of the log: mostly right, sometimes not.
        let (mut end, mut term) = (7_u64, 2);
        for fact in &mut facts {
            match fact {
                Fact::Entry(entry) => {
                    entry.index = match entry.index {
                        0 | 1 => end + 1,
                        2 => end,
                        _ => end + 2,
                    };
                    term = entry.term.max(term);
                    entry.term = term;
                    end = entry.index;
                }
                Fact::CommitIndex(index) => *index = end + 1 - *index,
                _ => {}
            }
        }
        facts
    })
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Accepted,
    Refused(String),
}

fn ours(facts: &[Fact]) -> Verdict {
    let mut replay = Replay::new(header(7, &[1, 2]));
    for fact in facts {
        if let Err(error) = replay.apply(Record::from(fact.clone())) {
            return Verdict::Refused(error);
        }
    }
    let state = replay.finish();
    assert_eq!(state.standing(), Standing::Member);
    assert!(state.term >= state.entries.last().term);
    assert!(state.commit_index <= state.entries.last().index);
    Verdict::Accepted
}

fn theirs(facts: &[Fact], path: &std::path::Path) -> Verdict {
    let _ = std::fs::remove_file(path);
    let contents = Contents {
        header: header(7, &[1, 2]),
        records: facts.iter().cloned().map(Record::from).collect(),
    };
    let lock = Lock::acquire(path).unwrap();
    Appender::create(Arc::new(Disk), lock, Magic::Cluster, |writer| {
        contents.write(writer)
    })
    .unwrap();
    match run("ovsdb-tool", &["check-cluster", text(path)]) {
        (true, _) => Verdict::Accepted,
        (false, why) => Verdict::Refused(why),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_same_files_make_sense(facts in facts()) {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (ours(&facts), theirs(&facts, &folder.path().join("a.db")));
        match (&ours, &theirs) {
            (Verdict::Accepted, Verdict::Refused(why)) => {
                // Fine for a server: a leader that replaces entries, a late word about an older term's
                // leader. The others compare several servers' files, or have nothing to compare.
                let known = [
                    "while server is leader",
                    "previously reported the leader",
                    "all logs are empty",
                    "was committed in a previous term",
                ];
                prop_assert!(known.iter().any(|k| why.contains(k)), "{}", why);
            }
            (Verdict::Refused(why), Verdict::Accepted) => {
                // Replacing the last committed entry, or the snapshot's.
                prop_assert!(why.contains("attempts to replace"), "{}", why);
            }
            _ => {}
        }
    }
}

#[test]
fn the_places_where_it_goes_wrong() {
    let entry = |term, index| {
        Fact::Entry(Entry {
            term,
            index,
            payload: data(index),
        })
    };
    let vote = |term, n| Fact::Vote {
        term,
        server: uuid(n),
    };
    let leader = |term, n| Fact::Leader {
        term,
        server: uuid(n),
    };
    for (facts, why) in [
        (
            vec![entry(2, 9)],
            "record 1 is wrong: an entry with index 9 does not follow index 7",
        ),
        (
            vec![entry(2, 7)],
            "record 1 attempts to replace the log's entries from index 7 on, but commit index is already 7",
        ),
        (
            vec![entry(1, 8)],
            "record 1 is wrong: the entry with index 8 has term 1, which precedes the previous entry's term 2",
        ),
        (
            vec![entry(2, 8), Fact::CommitIndex(9)],
            "record 2 advances commit index to 9 but last log index is 8",
        ),
        (
            vec![entry(2, 8), Fact::CommitIndex(8), Fact::CommitIndex(7)],
            "record 3 regresses commit index from 8 to 7",
        ),
        (
            vec![entry(2, 8), Fact::CommitIndex(8), entry(3, 8)],
            "record 3 attempts to replace the log's entries from index 8 on, but commit index is already 8",
        ),
        (
            vec![Fact::Term(4), vote(3, 1)],
            "record 2 votes for term 3 but current term is 4",
        ),
        (
            vec![vote(4, 1), vote(4, 1), vote(4, 2)],
            "record 3 votes for 00000002-0000-4000-8000-000000000002 in term 4 but a previous record for the same term voted for 00000001-0000-4000-8000-000000000001",
        ),
        (
            vec![leader(4, 1), leader(4, 2)],
            "record 2 reports leader 00000002-0000-4000-8000-000000000002 for term 4, but a previous record reported 00000001-0000-4000-8000-000000000001",
        ),
    ] {
        assert_eq!(ours(&facts), Verdict::Refused(why.to_owned()));
    }
    // A tail that a later leader replaced, and a committed entry that is written once more.
    let facts = [
        entry(2, 8),
        entry(2, 9),
        entry(2, 10),
        entry(3, 9),
        Fact::CommitIndex(9),
        entry(3, 9),
        entry(4, 10),
        vote(4, 2),
        leader(4, 2),
    ];
    let mut replay = Replay::new(header(7, &[1, 2]));
    for fact in facts {
        replay.apply(fact.into()).unwrap();
    }
    let state = replay.finish();
    let terms: Vec<_> = state.entries.iter().map(|e| (e.index, e.term)).collect();
    assert_eq!(terms, [(8, 2), (9, 3), (10, 4)]);
    assert_eq!(
        (state.term, state.vote, state.leader, state.commit_index),
        (4, Some(uuid(2)), Some(uuid(2)), 9)
    );
}

#[test]
fn how_a_server_stands() {
    let standing = |of: &[u64], facts: &[Fact]| {
        let mut replay = Replay::new(header(7, of));
        for fact in facts {
            replay.apply(fact.clone().into()).unwrap();
        }
        replay.finish().standing()
    };
    let members = |index, of: &[u64]| {
        Fact::Entry(Entry {
            term: 2,
            index,
            payload: Payload::Servers(servers(of)),
        })
    };
    assert_eq!(standing(&[1, 2], &[]), Standing::Member);
    assert_eq!(standing(&[2], &[]), Standing::NotAMember);
    assert_eq!(standing(&[2], &[members(8, &[1, 2])]), Standing::Member);
    assert_eq!(standing(&[1, 2], &[members(8, &[2])]), Standing::NotAMember);
    assert_eq!(
        standing(&[1, 2], &[Fact::Note("left".to_owned()), Fact::Term(8)]),
        Standing::Left
    );
}

#[test]
fn a_new_cluster_begins_in_the_term_before_its_contents() {
    let term = |of: &[u64], facts: &[Fact]| {
        let mut replay = Replay::new(header(7, of));
        for fact in facts {
            replay.apply(fact.clone().into()).unwrap();
        }
        replay.finish().term
    };
    let beginning = term(&[1, 2], &[]);
    // So its first leader leads in that term, as the reference's.
    assert_eq!(term(&[1], &[]), beginning - 1);
    assert_eq!(term(&[1], &[Fact::Term(beginning + 3)]), beginning + 3);
    assert_eq!(term(&[2], &[]), beginning);
}
