use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ovsdb::Schema;
use ovsdb::json::Document;
use ovsdb_engine::{Outcome, Transaction, Version};

use super::*;
use crate::database::{Answer, JobKey};

struct Nobody;

impl Answer for Nobody {
    fn done(&self, _: Vec<u8>) {}
    fn blocked(&self, _: Option<u64>) {}
    fn canceled(&self) {}
    fn unknown(&self) {}
}

fn job_of(session: SessionId, order: u64, text: &str, lock: Arc<AtomicBool>) -> Job {
    let schema = r#"{"name":"D","tables":{"T":{"columns":{"n":{"type":"integer"}}}}}"#;
    let schema = Document::parse(schema).expect("JSON");
    let schema = Arc::new(Schema::parse(schema.root()).expect("schema"));
    let document = Document::parse(text.to_owned()).expect("JSON");
    Job {
        key: JobKey {
            session,
            number: order,
        },
        order,
        transaction: Transaction::parse(document.root(), &schema, Uuid::new_v4),
        read_only: false,
        role: None,
        arrived: Instant::now(),
        owns_lock: Arc::new(move |_| lock.load(Ordering::Relaxed)),
        answer: Arc::new(Nobody),
        text: text.to_owned().into(),
        id: None,
        passed_on_in: None,
    }
}

fn job(session: SessionId, order: u64) -> Job {
    let text = r#"["D",{"op":"insert","table":"T","row":{"n":1}}]"#;
    job_of(session, order, text, Arc::default())
}

fn id(n: u64) -> Uuid {
    Uuid::from_u128(n.into())
}

/// Session 1 has asked for the odd ones, session 2 for the even ones.
fn waiting(orders: &[u64]) -> Waiting {
    let mut waiting = Waiting::new(id(1000));
    for order in orders {
        waiting.push(job(2 - order % 2, *order), id(*order));
    }
    waiting
}

/// What is in the next message: numbers and ids.
fn sent(waiting: &mut Waiting, term: u64) -> Vec<(u64, u64)> {
    let (message, ends) = waiting.next_message(term);
    assert!(ends.is_empty());
    let all = message.map_or_else(Vec::new, |message| message.all);
    let pair = |one: &PassedOn| (one.number, u64::try_from(one.id.as_u128()).expect("small"));
    all.iter().map(pair).collect()
}

fn ids(waiting: &mut Waiting, term: u64) -> Vec<u64> {
    sent(waiting, term).into_iter().map(|(_, id)| id).collect()
}

fn answer(waiting: &mut Waiting, term: u64, number: u64, results: Option<&[u8]>) {
    waiting.answer(id(1000), term, number, 50, results.map(<[u8]>::to_vec));
}

fn names(ends: Vec<End>) -> Vec<(&'static str, u64)> {
    let name = |end| match end {
        End::Done(job, _) => ("done", job.order),
        End::Again(job) => ("again", job.order),
        End::Unknown(job) => ("unknown", job.order),
    };
    ends.into_iter().map(name).collect()
}

#[test]
fn what_comes_later_waits_for_what_an_earlier_leader_has() {
    let mut waiting = waiting(&[1, 2]);
    assert_eq!(sent(&mut waiting, 1), [(1, 1), (2, 2)]);
    waiting.push(job(1, 3), id(3));
    // Another leader, of whom no entry has come yet: 1 may still be in its log.
    assert!(ids(&mut waiting, 2).is_empty());
    waiting.send_again();
    assert!(ids(&mut waiting, 2).is_empty());
    assert!(names(waiting.term_over(2)).is_empty());
    // It is not: it goes first, under a new number.
    assert_eq!(sent(&mut waiting, 2), [(3, 1), (4, 2), (5, 3)]);
    // Answers of the earlier leader are about nothing.
    answer(&mut waiting, 1, 1, Some(b"[]"));
    assert!(waiting.applied(100).is_empty());
    answer(&mut waiting, 2, 3, Some(b"[]"));
    assert_eq!(names(waiting.applied(100)), [("done", 1)]);
}

#[test]
fn what_is_taken_back_goes_before_what_came_later() {
    let mut waiting = waiting(&[5, 7]);
    // This server led before, and was not told until now that these were lost.
    waiting.push(job(1, 1), id(1));
    waiting.push(job(2, 2), id(2));
    assert_eq!(sent(&mut waiting, 3), [(1, 1), (2, 2), (3, 5), (4, 7)]);
    // A `wait` that did not hold comes back, and is passed on once more.
    answer(&mut waiting, 3, 2, None);
    assert_eq!(names(waiting.applied(100)), [("again", 2)]);
    waiting.push(job(2, 2), id(2));
    assert_eq!(sent(&mut waiting, 3), [(5, 2)]);
    waiting.send_again();
    assert_eq!(sent(&mut waiting, 3), [(1, 1), (3, 5), (4, 7), (5, 2)]);
}

#[test]
fn a_session_ends_where_its_order_cannot_be_kept() {
    let mut waiting = waiting(&[1, 2, 3, 4, 5]);
    assert_eq!(ids(&mut waiting, 1), [1, 2, 3, 4, 5]);
    waiting.push(job(1, 7), id(7));
    // 1 has changed nothing, 3 is in the log without its results: 1 cannot be executed behind it.
    waiting.seen(id(3), None);
    waiting.seen(id(2), None);
    answer(&mut waiting, 1, 2, Some(b"[]"));
    let ends = names(waiting.term_over(2));
    let expected = [
        ("unknown", 1),
        ("unknown", 3),
        ("unknown", 5),
        ("unknown", 7),
        ("done", 2),
    ];
    assert_eq!(ends, expected);
    // The other session goes on.
    assert_eq!(ids(&mut waiting, 2), [4]);
    assert!(waiting.has_session(2) && !waiting.has_session(1));
}

#[test]
fn contents_from_elsewhere_end_what_was_sent() {
    let mut waiting = waiting(&[1]);
    assert_eq!(ids(&mut waiting, 1), [1]);
    waiting.push(job(1, 3), id(3));
    waiting.push(job(2, 4), id(4));
    let ends = names(waiting.contents_replaced());
    assert_eq!(ends, [("unknown", 1), ("unknown", 3)]);
    assert_eq!(names(waiting.take_unsent()), [("again", 4)]);
    assert!(!waiting.has_unsent() && !waiting.has_sent());
}

#[test]
fn a_lock_that_was_lost_is_noticed_before_it_is_sent() {
    let lock = Arc::new(AtomicBool::new(true));
    let text = r#"["D",{"op":"assert","lock":"l"},{"op":"insert","table":"T","row":{}}]"#;
    let mut waiting = waiting(&[2]);
    waiting.push(job_of(1, 1, text, lock.clone()), id(1));
    assert_eq!(ids(&mut waiting, 1), [1, 2]);
    waiting.term_over(2);
    lock.store(false, Ordering::Relaxed);
    let (message, ends) = waiting.next_message(2);
    assert_eq!(names(ends), [("again", 1)]);
    assert_eq!(message.map(|message| message.all.len()), Some(1));
}

#[test]
fn a_large_one_goes_alone_and_too_large_a_one_is_answered() {
    let mut waiting = waiting(&[]);
    let long = format!(
        r#"["D",{{"op":"comment","comment":"{}"}}]"#,
        "x".repeat(MOST_BYTES)
    );
    waiting.push(job(1, 1), id(1));
    waiting.push(job_of(1, 3, &long, Arc::default()), id(3));
    waiting.push(job(1, 5), id(5));
    assert_eq!(ids(&mut waiting, 1), [1]);
    let (message, _) = waiting.next_message(1);
    let message = message.expect("the large one");
    assert_eq!(message.all.len(), 1);
    let ends = waiting.too_long(&message, long.len());
    let [End::Done(job, results)] = &ends[..] else {
        panic!("no answer");
    };
    let results = String::from_utf8_lossy(results);
    assert!(
        job.order == 3 && results.contains("resources exhausted"),
        "{results}"
    );
    assert_eq!(ids(&mut waiting, 1), [5]);
}

#[test]
fn an_answer_that_is_lost_is_found_in_the_log() {
    let schema = job(1, 1).transaction.schema().clone();
    let before = Version::empty(schema);
    // What the leader does with them.
    let execute = |job: &Job, number: u64, version: &Version| {
        let document = Document::parse(job.text.clone()).expect("JSON");
        let ids = again::row_ids(id(number));
        let transaction = Transaction::parse(document.root(), version.schema(), ids);
        match job.execute_as(&transaction, version, false) {
            Outcome::Done { version, reply, .. } => (version, reply.finish()),
            Outcome::Blocked { .. } => panic!("it waits"),
        }
    };
    let (one, results) = execute(&job(1, 1), 1, &before);
    let (two, _) = execute(&job(2, 2), 2, &one);
    let mut waiting = waiting(&[1, 2]);
    assert_eq!(ids(&mut waiting, 1), [1, 2]);
    let around = |before: &Version, behind: &Version| {
        Some(Around {
            before: before.clone(),
            behind: behind.clone(),
        })
    };
    waiting.seen(id(1), around(&before, &one));
    // Not what it does: this is known of no answer.
    waiting.seen(id(2), around(&before, &two));
    let mut ends = waiting.term_over(2);
    assert_eq!(ends.len(), 2);
    ends.sort_by_key(|end| matches!(end, End::Unknown(_)));
    let [End::Done(_, found), End::Unknown(_)] = &ends[..] else {
        panic!("{:?}", names(ends));
    };
    assert_eq!(found, &results);
}
