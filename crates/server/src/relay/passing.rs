//! What was passed on and has no answer yet, and what waits for that.

use std::collections::VecDeque;

use ovsdb::json::write;
use rustc_hash::FxHashMap;

use crate::database::{Job, JobKey};
use crate::locks::SessionId;
use crate::ordering::Done;
use crate::upstream::{Outgoing, Requests};

/// Requests of one message are sent until so many bytes wait.
const HIGH_WATER: usize = 256 << 10;

/// What is asked of the other server.
pub(super) enum Asked {
    Transaction(Box<Job>),
    /// A conversion to the schema of this text.
    Conversion(Vec<u8>, Done),
}

/// Requests in their order.
#[derive(Default)]
pub(super) struct Passing {
    unsent: VecDeque<Asked>,
    /// By their numbers.
    sent: FxHashMap<u64, Asked>,
    /// How many each session has.
    of_sessions: FxHashMap<SessionId, usize>,
    /// Nothing is taken any more.
    over: bool,
}

impl Passing {
    /// Takes a transaction; gives it back when all is over. While the source is lost it waits as others
    /// do for a change: nothing waits behind it, and its client need not stay.
    pub(super) fn push(&mut self, job: Job, following: impl FnOnce() -> bool) -> Option<Job> {
        if self.over {
            return Some(job);
        }
        if !following() {
            job.answer.blocked(None);
        }
        *self.of_sessions.entry(job.key.session).or_default() += 1;
        self.unsent.push_back(Asked::Transaction(Box::new(job)));
        None
    }

    /// Takes a conversion; gives `done` back when all is over.
    pub(super) fn push_conversion(&mut self, schema: Vec<u8>, done: Done) -> Option<Done> {
        if self.over {
            return Some(done);
        }
        self.unsent.push_back(Asked::Conversion(schema, done));
        None
    }

    pub(super) fn has_session(&self, session: SessionId) -> bool {
        self.of_sessions.contains_key(&session)
    }

    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.sent.len()
    }

    /// Sends what the connection takes.
    pub(super) fn send(&mut self, database: &str, requests: &mut Requests, out: &mut Outgoing) {
        while out.len() < HIGH_WATER
            && let Some(mut asked) = self.unsent.pop_front()
        {
            let number = match &mut asked {
                // It is not sent again: nobody would know whether it was executed twice.
                Asked::Transaction(job) => {
                    requests.send(out, "transact", &std::mem::take(&mut job.text))
                }
                Asked::Conversion(schema, _) => {
                    let mut params = vec![b'['];
                    write::string(&mut params, database);
                    params.push(b',');
                    params.append(schema);
                    params.push(b']');
                    requests.send(out, "convert", &params)
                }
            };
            self.sent.insert(number, asked);
        }
    }

    /// The request of a number is answered.
    pub(super) fn answered(&mut self, number: u64) -> Option<Asked> {
        let asked = self.sent.remove(&number)?;
        self.count_out(&asked);
        Some(asked)
    }

    /// The connection is lost: nobody knows what has become of these.
    pub(super) fn take_sent(&mut self) -> Vec<Asked> {
        let mut sent: Vec<_> = std::mem::take(&mut self.sent).into_iter().collect();
        sent.sort_unstable_by_key(|(number, _)| *number);
        let sent: Vec<_> = sent.into_iter().map(|(_, asked)| asked).collect();
        for asked in &sent {
            self.count_out(asked);
        }
        sent
    }

    /// The source is lost: what was not sent waits as what comes from now on.
    pub(super) fn block_unsent(&self) {
        for asked in &self.unsent {
            if let Asked::Transaction(job) = asked {
                job.answer.blocked(None);
            }
        }
    }

    /// Nobody waits for these any more: they are not sent, if they were not.
    pub(super) fn forget(&mut self, which: &mut dyn FnMut(JobKey) -> bool) -> bool {
        let before = self.unsent.len();
        let (forgotten, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.unsent)
            .into_iter()
            .partition(|asked| match asked {
                Asked::Transaction(job) => which(job.key),
                Asked::Conversion(..) => false,
            });
        self.unsent = kept;
        forgotten.iter().for_each(|asked| self.count_out(asked));
        self.unsent.len() < before
    }

    /// A session is over: what the source answers to it goes nowhere.
    pub(super) fn leave(&mut self, session: SessionId) {
        if self.of_sessions.remove(&session).is_none() {
            return;
        }
        let stays = |asked: &Asked| match asked {
            Asked::Transaction(job) => job.key.session != session,
            Asked::Conversion(..) => true,
        };
        self.unsent.retain(|asked| stays(asked));
        self.sent.retain(|_, asked| stays(asked));
    }

    /// Everything; nothing is taken from now on.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.over = true;
        self.of_sessions.clear();
        let mut all = self.take_sent();
        all.extend(std::mem::take(&mut self.unsent));
        let job = |asked| match asked {
            Asked::Transaction(job) => Some(*job),
            // Dropped, its session ends with the server.
            Asked::Conversion(..) => None,
        };
        all.into_iter().filter_map(job).collect()
    }

    fn count_out(&mut self, asked: &Asked) {
        let Asked::Transaction(job) = asked else {
            return;
        };
        if let Some(count) = self.of_sessions.get_mut(&job.key.session) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_sessions.remove(&job.key.session);
            }
        }
    }
}
