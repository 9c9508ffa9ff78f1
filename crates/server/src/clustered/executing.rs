//! A leader's view of the transactions that its followers have passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use ovsdb::Uuid;

use super::passing::{Answer, Answers, Transactions, Verdict};

/// Answers in one message.
const MOST: usize = 512;
const MOST_BYTES: usize = 1 << 20;
/// What is kept of one follower's transactions, as long as it does not say that it has the answers.
const MOST_KEPT: usize = 1 << 16;
const MOST_KEPT_BYTES: usize = 256 << 20;

/// One follower's transactions in one term.
#[derive(Debug, Default)]
struct Follower {
    incarnation: Uuid,
    term: u64,
    /// All with smaller numbers are answered, and the follower knows it.
    answered: u64,
    /// Those from there on that have come, and how long they are.
    seen: BTreeMap<u64, usize>,
    /// Answers that the follower may not have yet.
    answers: BTreeMap<u64, Answer>,
    unsent: BTreeSet<u64>,
    /// Of transactions and answers.
    bytes: usize,
    /// From the first one that was not taken to the last. They come again, and nothing is taken that is
    /// behind the first one before that: a client's transactions are executed in their order.
    refused: Option<RangeInclusive<u64>>,
}

impl Follower {
    /// The follower has the answers to all with smaller numbers.
    fn forget_before(&mut self, answered: u64) {
        if answered <= self.answered {
            return;
        }
        self.answered = answered;
        self.unsent = self.unsent.split_off(&answered);
        let kept = self.seen.split_off(&answered);
        let transactions = std::mem::replace(&mut self.seen, kept);
        let kept = self.answers.split_off(&answered);
        let answers = std::mem::replace(&mut self.answers, kept);
        let freed = transactions.into_values().sum::<usize>();
        self.bytes -= freed + answers.values().map(length).sum::<usize>();
        // Where the first one is not wanted any more, others may be.
        let refused = self.refused.take();
        let refused = refused.filter(|refused| *refused.end() >= answered);
        self.refused = refused.map(|refused| answered.max(*refused.start())..=*refused.end());
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= MOST_KEPT || self.bytes >= MOST_KEPT_BYTES
    }

    /// Does not take this one now.
    fn refuse(&mut self, number: u64) {
        if number >= self.answered && !self.seen.contains_key(&number) {
            let refused = self.refused.take().unwrap_or(number..=number);
            self.refused = Some(number.min(*refused.start())..=number.max(*refused.end()));
        }
    }

    /// One that was not taken has to come before this one.
    fn is_behind_refused(&self, number: u64) -> bool {
        let refused = self.refused.as_ref();
        refused.is_some_and(|refused| number > *refused.start())
    }

    /// Takes this one.
    fn take(&mut self, number: u64, length: usize) {
        // Those before the first refused one do not stand for it.
        let refused = self.refused.take();
        self.refused = refused.filter(|refused| number < *refused.start());
        self.seen.insert(number, length);
        self.bytes += length;
    }
}

fn length(answer: &Answer) -> usize {
    match &answer.verdict {
        Verdict::Results(results) => results.len(),
        Verdict::NotExecuted => 0,
    }
}

/// All followers' transactions.
#[derive(Debug, Default)]
pub struct Executing {
    followers: BTreeMap<Uuid, Follower>,
}

impl Executing {
    /// Transactions of a follower have come: these of them are to be executed. The others are under way
    /// or answered, or [not taken](Self::refuses).
    pub fn receive(&mut self, from: Uuid, transactions: &Transactions) -> BTreeSet<u64> {
        let (incarnation, term) = (transactions.incarnation, transactions.term);
        let follower = self.followers.entry(from).or_default();
        if (follower.incarnation, follower.term) != (incarnation, term) {
            *follower = Follower {
                incarnation,
                term,
                answered: transactions.answered,
                ..Follower::default()
            };
        }
        follower.forget_before(transactions.answered);
        let all = transactions.all.iter();
        let lengths: BTreeMap<u64, usize> = all.map(|one| (one.number, one.text.len())).collect();
        let mut new = BTreeSet::new();
        for (number, length) in lengths {
            if number < follower.answered {
                continue;
            }
            if follower.seen.contains_key(&number) {
                if follower.answers.contains_key(&number) {
                    // It has not got the answer.
                    follower.unsent.insert(number);
                }
            } else if follower.is_full() || follower.is_behind_refused(number) {
                follower.refuse(number);
            } else {
                follower.take(number, length);
                new.insert(number);
            }
        }
        new
    }

    /// None of these can be taken now. Only of a follower that has been heard in this term, or in none
    /// that is later.
    pub fn refuse(&mut self, from: Uuid, transactions: &Transactions) {
        let (incarnation, term) = (transactions.incarnation, transactions.term);
        let follower = self.followers.entry(from).or_default();
        if follower.term < term {
            *follower = Follower {
                incarnation,
                term,
                answered: transactions.answered,
                ..Follower::default()
            };
        }
        if (follower.incarnation, follower.term) == (incarnation, term) {
            for one in &transactions.all {
                follower.refuse(one.number);
            }
        }
    }

    /// Whether a follower has to send something again.
    pub fn refuses(&self, from: Uuid) -> bool {
        let follower = self.followers.get(&from);
        follower.is_some_and(|follower| follower.refused.is_some())
    }

    /// A transaction is executed, or not. True if somebody is to be told.
    pub fn answer(&mut self, to: Uuid, incarnation: Uuid, term: u64, answer: Answer) -> bool {
        let Some(follower) = self.followers.get_mut(&to) else {
            return false;
        };
        if (follower.incarnation, follower.term) != (incarnation, term)
            || answer.number < follower.answered
        {
            return false;
        }
        follower.unsent.insert(answer.number);
        follower.bytes += length(&answer);
        if let Some(earlier) = follower.answers.insert(answer.number, answer) {
            follower.bytes -= length(&earlier);
        }
        true
    }

    /// The next message with answers, and for whom.
    pub fn next_message(&mut self) -> Option<(Uuid, Answers)> {
        let (to, follower) = self
            .followers
            .iter_mut()
            .find(|(_, follower)| !follower.unsent.is_empty())?;
        let mut all = Vec::new();
        let mut bytes = 0;
        while all.len() < MOST
            && bytes < MOST_BYTES
            && let Some(number) = follower.unsent.pop_first()
        {
            if let Some(answer) = follower.answers.get(&number) {
                bytes += length(answer);
                all.push(answer.clone());
            }
        }
        let answers = Answers {
            incarnation: follower.incarnation,
            term: follower.term,
            all,
        };
        Some((*to, answers))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::passing::PassedOn;
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn answer(number: u64) -> Answer {
        Answer {
            number,
            index: 9,
            verdict: Verdict::NotExecuted,
        }
    }

    /// Transactions of one incarnation in a term.
    fn passed_on(incarnation: u128, term: u64, answered: u64, numbers: &[u64]) -> Transactions {
        let one = |number: &u64| PassedOn {
            number: *number,
            id: id(100 + u128::from(*number)),
            elapsed: 0,
            limits: Default::default(),
            text: Bytes::from_static(b"[\"D\"]"),
        };
        Transactions {
            incarnation: id(incarnation),
            term,
            answered,
            all: numbers.iter().map(one).collect(),
        }
    }

    fn sent(executing: &mut Executing) -> Vec<u64> {
        let message = executing.next_message();
        let all = message.map_or_else(Vec::new, |(_, answers)| answers.all);
        all.iter().map(|answer| answer.number).collect()
    }

    #[test]
    fn each_number_is_new_once() {
        let mut executing = Executing::default();
        let (a, one) = (id(1), id(11));
        let new = executing.receive(a, &passed_on(11, 1, 5, &[5, 6]));
        assert_eq!(new, [5, 6].into());
        assert!(executing.answer(a, one, 1, answer(5)));
        assert_eq!(sent(&mut executing), [5]);
        // The connection was lost: 5 has its answer, 6 is under way, 4 was answered long ago.
        let new = executing.receive(a, &passed_on(11, 1, 5, &[4, 5, 6, 7]));
        assert_eq!(new, [7].into());
        assert_eq!(sent(&mut executing), [5]);
        // It has got that now.
        assert!(executing.receive(a, &passed_on(11, 1, 6, &[6])).is_empty());
        assert!(!executing.answer(a, one, 1, answer(5)));
        assert!(executing.answer(a, one, 1, answer(6)));
        assert_eq!(sent(&mut executing), [6]);
        assert!(executing.next_message().is_none());
    }

    #[test]
    fn a_new_start_or_a_new_term_begins_anew() {
        let mut executing = Executing::default();
        let a = id(1);
        executing.receive(a, &passed_on(11, 1, 1, &[1]));
        let new = executing.receive(a, &passed_on(12, 1, 1, &[1]));
        assert_eq!(new, [1].into());
        assert!(!executing.answer(a, id(11), 1, answer(1)));
        let new = executing.receive(a, &passed_on(12, 2, 1, &[1]));
        assert_eq!(new, [1].into());
        assert!(!executing.answer(a, id(12), 1, answer(1)));
        assert!(executing.answer(a, id(12), 2, answer(1)));
    }

    #[test]
    fn nothing_overtakes_what_was_not_taken() {
        let mut executing = Executing::default();
        let a = id(1);
        // 2 comes before this server leads.
        executing.refuse(a, &passed_on(11, 3, 1, &[2]));
        assert!(executing.refuses(a));
        // 1 was on its way, and is before it; 3 is behind it.
        let new = executing.receive(a, &passed_on(11, 3, 1, &[1, 3]));
        assert_eq!(new, [1].into());
        assert!(executing.refuses(a));
        let new = executing.receive(a, &passed_on(11, 3, 1, &[1, 2, 3]));
        assert_eq!(new, [2, 3].into());
        assert!(!executing.refuses(a));
        // What was not taken, and nobody wants any more, is not waited for.
        executing.refuse(a, &passed_on(11, 3, 1, &[4]));
        let new = executing.receive(a, &passed_on(11, 3, 5, &[5]));
        assert_eq!(new, [5].into());
        // The first one that was not taken is given up, the second one is not.
        executing.refuse(a, &passed_on(11, 3, 5, &[6]));
        executing.refuse(a, &passed_on(11, 3, 5, &[7]));
        assert!(executing.receive(a, &passed_on(11, 3, 7, &[8])).is_empty());
        let new = executing.receive(a, &passed_on(11, 3, 7, &[7, 8]));
        assert_eq!(new, [7, 8].into());
        // A message of an earlier term says nothing of this one.
        executing.refuse(a, &passed_on(11, 2, 1, &[1]));
        let new = executing.receive(a, &passed_on(11, 3, 8, &[8, 9]));
        assert_eq!(new, [9].into());
    }

    #[test]
    fn who_takes_no_answers_is_not_served_for_ever() {
        let mut executing = Executing::default();
        let (a, one) = (id(1), id(11));
        let results = Bytes::from(vec![b' '; MOST_KEPT_BYTES / 4]);
        let large = |number| Answer {
            number,
            index: 9,
            verdict: Verdict::Results(results.clone()),
        };
        for number in 1..=4 {
            let new = executing.receive(a, &passed_on(11, 1, 1, &[number]));
            assert_eq!(new, [number].into());
            assert!(executing.answer(a, one, 1, large(number)));
        }
        assert!(executing.receive(a, &passed_on(11, 1, 1, &[5])).is_empty());
        assert!(executing.refuses(a));
        // It has got some of them.
        let new = executing.receive(a, &passed_on(11, 1, 3, &[5, 6]));
        assert_eq!(new, [5, 6].into());
        let numbers: Vec<u64> = (3..MOST_KEPT as u64 + 10).collect();
        let new = executing.receive(a, &passed_on(11, 1, 3, &numbers));
        assert_eq!(new.last(), Some(&(MOST_KEPT as u64 + 2)));
        assert!(executing.refuses(a));
    }
}
