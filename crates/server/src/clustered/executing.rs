//! A leader's view of the transactions that its followers have passed on.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::Uuid;

use super::passing::{Answer, Answers};

/// Answers in one message.
const MOST: usize = 512;
const MOST_BYTES: usize = 1 << 20;

/// One follower's transactions in one term.
#[derive(Debug, Default)]
struct Follower {
    incarnation: Uuid,
    term: u64,
    /// All with smaller numbers are answered, and the follower knows it.
    answered: u64,
    /// Those from there on that have come.
    seen: BTreeSet<u64>,
    /// Answers that the follower may not have yet.
    answers: BTreeMap<u64, Answer>,
    unsent: BTreeSet<u64>,
}

/// All followers' transactions.
#[derive(Debug, Default)]
pub(super) struct Executing {
    followers: BTreeMap<Uuid, Follower>,
}

impl Executing {
    /// Transactions of a follower have come: these of them are new.
    pub(super) fn receive(
        &mut self,
        from: Uuid,
        incarnation: Uuid,
        term: u64,
        answered: u64,
        numbers: impl IntoIterator<Item = u64>,
    ) -> BTreeSet<u64> {
        let follower = self.followers.entry(from).or_default();
        if (follower.incarnation, follower.term) != (incarnation, term) {
            *follower = Follower {
                incarnation,
                term,
                answered,
                ..Follower::default()
            };
        }
        if answered > follower.answered {
            follower.answered = answered;
            follower.seen = follower.seen.split_off(&answered);
            follower.answers = follower.answers.split_off(&answered);
            follower.unsent = follower.unsent.split_off(&answered);
        }
        let mut new = BTreeSet::new();
        for number in numbers {
            if number < follower.answered {
                continue;
            }
            if follower.seen.insert(number) {
                new.insert(number);
            } else if follower.answers.contains_key(&number) {
                // It has not got the answer.
                follower.unsent.insert(number);
            }
        }
        new
    }

    /// A transaction is executed, or not. True if somebody is to be told.
    pub(super) fn answer(
        &mut self,
        to: Uuid,
        incarnation: Uuid,
        term: u64,
        answer: Answer,
    ) -> bool {
        let Some(follower) = self.followers.get_mut(&to) else {
            return false;
        };
        if (follower.incarnation, follower.term) != (incarnation, term)
            || answer.number < follower.answered
        {
            return false;
        }
        follower.unsent.insert(answer.number);
        follower.answers.insert(answer.number, answer);
        true
    }

    /// The next message with answers, and for whom.
    pub(super) fn next_message(&mut self) -> Option<(Uuid, Answers)> {
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
                if let super::passing::Verdict::Results(results) = &answer.verdict {
                    bytes += results.len();
                }
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
    use super::super::passing::Verdict;
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

    fn sent(executing: &mut Executing) -> Vec<u64> {
        let message = executing.next_message();
        let all = message.map_or_else(Vec::new, |(_, answers)| answers.all);
        all.iter().map(|answer| answer.number).collect()
    }

    #[test]
    fn each_number_is_new_once() {
        let mut executing = Executing::default();
        let (a, one) = (id(1), id(11));
        let new = executing.receive(a, one, 1, 5, [5, 6]);
        assert_eq!(new, [5, 6].into());
        assert!(executing.answer(a, one, 1, answer(5)));
        assert_eq!(sent(&mut executing), [5]);
        // The connection was lost: 5 has its answer, 6 is under way, 4 was answered long ago.
        let new = executing.receive(a, one, 1, 5, [4, 5, 6, 7]);
        assert_eq!(new, [7].into());
        assert_eq!(sent(&mut executing), [5]);
        // It has got that now.
        assert!(executing.receive(a, one, 1, 6, [6]).is_empty());
        assert!(!executing.answer(a, one, 1, answer(5)));
        assert!(executing.answer(a, one, 1, answer(6)));
        assert_eq!(sent(&mut executing), [6]);
        assert!(executing.next_message().is_none());
    }

    #[test]
    fn a_new_start_or_a_new_term_begins_anew() {
        let mut executing = Executing::default();
        let a = id(1);
        executing.receive(a, id(11), 1, 1, [1]);
        assert_eq!(executing.receive(a, id(12), 1, 1, [1]), [1].into());
        assert!(!executing.answer(a, id(11), 1, answer(1)));
        assert_eq!(executing.receive(a, id(12), 2, 1, [1]), [1].into());
        assert!(!executing.answer(a, id(12), 1, answer(1)));
        assert!(executing.answer(a, id(12), 2, answer(1)));
    }
}
