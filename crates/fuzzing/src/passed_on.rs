//! What followers pass on to their leader, and what it answers: one leader and two followers, whose
//! messages are as they should be or come out of the input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_engine::{Context, Outcome, Transaction};
use ovsdb_server::clustered::testing::{
    Answer, Answers, End, Executing, PassedOn, Transactions, Verdict, Waiting, read_answer,
    read_wish, row_ids, write_wish,
};
use ovsdb_server::database::{Answer as Told, Job, JobKey};

use crate::contents::{Drawn, free, version};

/// How many lines of one input are heard.
const MOST: usize = 32;
/// How often the leader may speak in one go.
const MESSAGES: usize = 1 << 16;

/// The first byte of each line says what it is:
/// - `a`, `b`: transactions from one of two servers to the leader;
/// - `r`: answers to the follower; `q`: the real leader's answers so far;
/// - `j`: a client's transaction at the follower, passed on when `s` comes;
/// - `i`: an id that is in the follower's log; `n`: how far that is applied; `t`: its term;
/// - `f`: the leader takes nothing of the next message;
/// - `c`, `l`: the connection is lost, the leader is another one;
/// - `w`, `v`: the wish for a conversion, and the answer to it.
pub fn run(data: &[u8]) {
    let mut play = Play::new();
    for line in data.split(|byte| *byte == b'\n').take(MOST) {
        if let Some((kind, rest)) = line.split_first() {
            play.step(*kind, rest);
        }
    }
    play.finish();
}

struct Play {
    leader: Executing,
    /// Numbers that have been new, by sender, incarnation and term: the present one of each.
    new: BTreeMap<Uuid, (Uuid, u64, BTreeSet<u64>)>,
    follower: Waiting,
    term: u64,
    refuses: bool,
    jobs: u64,
    ended: BTreeSet<u64>,
    /// What the leader has said to the follower.
    said: Vec<Answers>,
}

const INCARNATION: Uuid = Uuid::from_u128(7);
const FOLLOWER: Uuid = Uuid::from_u128(1);

impl Play {
    fn new() -> Play {
        Play {
            leader: Executing::default(),
            new: BTreeMap::new(),
            follower: Waiting::new(INCARNATION),
            term: 1,
            refuses: false,
            jobs: 0,
            ended: BTreeSet::new(),
            said: Vec::new(),
        }
    }

    fn step(&mut self, kind: u8, rest: &[u8]) {
        let data = Bytes::copy_from_slice(rest);
        // What is an integer in JSON: terms and indexes come from there.
        let number = || u64::try_from(std::str::from_utf8(rest).ok()?.parse::<i64>().ok()?).ok();
        match kind {
            b'a' | b'b' => {
                if let Some(transactions) = Transactions::read(&data) {
                    let again = Transactions::read(&transactions.write());
                    assert_eq!(again.as_ref(), Some(&transactions));
                    self.lead(Uuid::from_u128(u128::from(kind)), transactions);
                }
            }
            b'r' => {
                if let Some(answers) = Answers::read(&data) {
                    assert_eq!(Answers::read(&answers.write()).as_ref(), Some(&answers));
                    self.hear(answers);
                }
            }
            b'q' => {
                for answers in std::mem::take(&mut self.said) {
                    self.hear(answers);
                }
            }
            b'j' => self.ask(data),
            b's' => self.pass_on(),
            b'i' => {
                if let Some(number) = number() {
                    self.follower.seen(job_id(number), None);
                }
            }
            b'n' => {
                let ends = self.follower.applied(number().unwrap_or(u64::MAX));
                self.end(ends);
            }
            b't' => {
                if let Some(term) = number() {
                    self.term = self.term.max(term);
                    let ends = self.follower.term_over(term);
                    self.end(ends);
                }
            }
            b'f' => self.refuses = true,
            b'c' => self.follower.send_again(),
            b'l' => {
                let ends = self.follower.contents_replaced();
                self.end(ends);
            }
            b'w' => {
                if let Some((id, schema)) = read_wish(&data) {
                    assert_eq!(read_wish(&write_wish(id, &schema)), Some((id, schema)));
                }
            }
            b'v' => {
                let _ = read_answer(&data);
            }
            _ => {}
        }
    }

    /// The leader gets transactions, executes those that are new, and answers.
    fn lead(&mut self, from: Uuid, transactions: Transactions) {
        if std::mem::take(&mut self.refuses) {
            self.leader.refuse(from, &transactions);
            return;
        }
        let new = self.leader.receive(from, &transactions);
        let Transactions {
            incarnation,
            term,
            all,
            ..
        } = transactions;
        let known = self.new.entry(from).or_default();
        if (known.0, known.1) != (incarnation, term) {
            *known = (incarnation, term, BTreeSet::new());
        }
        for number in &new {
            // An honest follower's clients rely on it.
            let is_last = known.2.last().is_none_or(|last| last < number);
            assert!(
                from != FOLLOWER || is_last,
                "{number} is executed in its order"
            );
            assert!(known.2.insert(*number), "{number} is executed once");
        }
        let mut executed = BTreeSet::new();
        for one in all.into_iter().filter(|one| new.contains(&one.number)) {
            if !executed.insert(one.number) {
                continue;
            }
            let answer = Answer {
                number: one.number,
                index: one.number % 4,
                verdict: execute(&one),
            };
            let told = self.leader.answer(from, incarnation, term, answer);
            assert!(told, "who asks is told");
        }
        for _ in 0..MESSAGES {
            let Some((to, answers)) = self.leader.next_message() else {
                return;
            };
            let written = answers.write();
            assert_eq!(Answers::read(&written).as_ref(), Some(&answers));
            for answer in &answers.all {
                let (_, _, known) = self.new.get(&to).expect("a server that has asked");
                assert!(known.contains(&answer.number), "an answer to a question");
            }
            if to == FOLLOWER {
                self.said.push(answers);
            }
        }
        panic!("the leader says the same without an end");
    }

    /// A client of the follower asks for something.
    fn ask(&mut self, text: Bytes) {
        let Ok(document) = Document::parse(text) else {
            return;
        };
        self.jobs += 1;
        let order = self.jobs;
        let id = job_id(order);
        let version = version();
        let transaction = Transaction::parse(document.root(), version.schema(), row_ids(id));
        let job = Job {
            key: JobKey {
                session: 1 + order % 2,
                number: order,
            },
            order,
            transaction,
            read_only: false,
            role: None,
            arrived: Instant::now(),
            owns_lock: Arc::new(|name| name == "mine"),
            answer: Arc::new(Nobody),
            text: Bytes::copy_from_slice(document.root().source()),
            id: None,
            passed_on_in: None,
        };
        self.follower.push(job, id);
    }

    fn pass_on(&mut self) {
        for _ in 0..MESSAGES {
            let (message, ends) = self.follower.next_message(self.term);
            self.end(ends);
            let Some(message) = message else {
                return;
            };
            assert_eq!(
                Transactions::read(&message.write()).as_ref(),
                Some(&message)
            );
            self.lead(FOLLOWER, message);
        }
        panic!("the follower says the same without an end");
    }

    fn hear(&mut self, answers: Answers) {
        for answer in answers.all {
            let results = match answer.verdict {
                Verdict::Results(results) => Some(results.to_vec()),
                Verdict::NotExecuted => None,
            };
            self.follower.answer(
                answers.incarnation,
                answers.term,
                answer.number,
                answer.index,
                results,
            );
        }
    }

    fn end(&mut self, ends: Vec<End>) {
        for end in ends {
            let (End::Done(job, _) | End::Again(job) | End::Unknown(job)) = end;
            assert!(self.ended.insert(job.order), "each transaction ends once");
        }
    }

    fn finish(mut self) {
        let ends = self.follower.take_all();
        self.end(ends);
        assert_eq!(self.ended.len() as u64, self.jobs, "each transaction ends");
        assert!(!self.follower.has_sent() && !self.follower.has_unsent());
        assert!(!self.follower.has_session(1) && !self.follower.has_session(2));
    }
}

fn job_id(order: u64) -> Uuid {
    Uuid::from_u128(0x1000 + u128::from(order))
}

fn execute(one: &PassedOn) -> Verdict {
    let document = Document::parse(one.text.clone()).expect("a part of a message");
    let version = version();
    let transaction = Transaction::parse(document.root(), version.schema(), row_ids(one.id));
    let mut drawn = Drawn(1 << 32);
    let mut draw = || drawn.next();
    let mut context = Context {
        read_only: one.limits.read_only,
        role: one.limits.role.as_deref(),
        elapsed: one.elapsed,
        ..free(&mut draw)
    };
    match transaction.execute(&version, &mut context) {
        Outcome::Done { reply, .. } => Verdict::Results(reply.finish().into()),
        Outcome::Blocked { .. } => Verdict::NotExecuted,
    }
}

/// A client that hears nothing: it is what is handed out that counts.
struct Nobody;

impl Told for Nobody {
    fn done(&self, _: Vec<u8>) {}
    fn blocked(&self, _: Option<u64>) {}
    fn canceled(&self) {}
    fn unknown(&self) {}
}
