//! Which reply belongs to which request: OVSDB's messages have no numbers.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::entry::{Index, ServerId, Term};
use crate::wire::Body;
use crate::wire::message::AppendReply;

/// What a reply repeats of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Append {
        prev_index: Index,
        prev_term: Term,
        count: u64,
    },
    Vote(Term),
    PreVote,
    Snapshot {
        index: Index,
        term: Term,
    },
}

impl Key {
    /// The key that a reply answers.
    pub(super) fn of(reply: &Body) -> Option<Key> {
        Some(match reply {
            Body::AppendReply(AppendReply {
                prev_log_index,
                prev_log_term,
                n_entries,
                ..
            }) => Key::Append {
                prev_index: *prev_log_index,
                prev_term: *prev_log_term,
                count: *n_entries,
            },
            Body::VoteReply(reply) if reply.is_prevote => Key::PreVote,
            Body::VoteReply(reply) => Key::Vote(reply.term),
            Body::InstallSnapshotReply(reply) => Key::Snapshot {
                index: reply.last_index,
                term: reply.last_term,
            },
            _ => return None,
        })
    }
}

/// So many requests to one peer may wait for their replies; the oldest gives way.
const MAX_WAITING: usize = 256;

type Waiting = VecDeque<(Key, oneshot::Sender<Body>)>;

/// The requests that wait for replies, by peer.
#[derive(Debug, Default)]
pub(super) struct Replies(Mutex<HashMap<ServerId, Waiting>>);

impl Replies {
    /// Notes a request that is about to be sent. The receiver fails where the reply is lost.
    pub(super) fn register(&self, peer: ServerId, key: Key) -> oneshot::Receiver<Body> {
        let (sender, receiver) = oneshot::channel();
        let mut all = self.0.lock();
        let waiting = all.entry(peer).or_default();
        waiting.retain(|(_, sender)| !sender.is_closed());
        if waiting.len() >= MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((key, sender));
        receiver
    }

    /// Hands a reply to the oldest request that it can belong to.
    pub(super) fn take(&self, peer: ServerId, reply: Body) {
        let Some(key) = Key::of(&reply) else { return };
        let mut all = self.0.lock();
        let Some(waiting) = all.get_mut(&peer) else {
            return;
        };
        let same =
            |(known, sender): &(Key, oneshot::Sender<Body>)| *known == key && !sender.is_closed();
        if let Some(place) = waiting.iter().position(same)
            && let Some((_, sender)) = waiting.remove(place)
        {
            // Who asked may have given up this moment.
            let _ = sender.send(reply);
        }
    }

    /// A vote_reply of a later term answers all that was asked for earlier ones.
    pub(super) fn take_higher_vote(&self, peer: ServerId, term: Term, reply: &Body) {
        let mut all = self.0.lock();
        let Some(waiting) = all.get_mut(&peer) else {
            return;
        };
        let (over, rest): (Waiting, Waiting) = std::mem::take(waiting)
            .into_iter()
            .partition(|(key, _)| matches!(key, Key::Vote(asked) if *asked < term));
        *waiting = rest;
        for (_, sender) in over {
            let _ = sender.send(reply.clone());
        }
    }

    /// A connection is gone, and with it replies.
    pub(super) fn forget(&self, peer: ServerId) {
        self.0.lock().remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{AppendResult, VoteReply};
    use uuid::Uuid;

    fn append(prev: Index, count: u64) -> Body {
        Body::AppendReply(AppendReply {
            term: 3,
            log_end: 9,
            prev_log_index: prev,
            prev_log_term: 2,
            n_entries: count,
            result: AppendResult::Ok,
        })
    }

    fn key(prev_index: Index, count: u64) -> Key {
        Key::Append {
            prev_index,
            prev_term: 2,
            count,
        }
    }

    #[test]
    fn a_reply_goes_to_the_oldest_request_like_it() {
        let replies = Replies::default();
        let peer = Uuid::from_u128(1);
        let mut first = replies.register(peer, key(5, 0));
        let mut second = replies.register(peer, key(5, 2));
        let mut third = replies.register(peer, key(5, 0));
        replies.take(Uuid::from_u128(2), append(5, 0));
        replies.take(peer, append(6, 0));
        assert!(first.try_recv().is_err());
        replies.take(peer, append(5, 0));
        assert!(first.try_recv().is_ok() && third.try_recv().is_err());
        replies.take(peer, append(5, 2));
        assert!(second.try_recv().is_ok());
        replies.forget(peer);
        let lost = third.try_recv();
        assert_eq!(lost, Err(oneshot::error::TryRecvError::Closed));
    }

    #[test]
    fn a_later_term_ends_earlier_candidacies() {
        let replies = Replies::default();
        let peer = Uuid::from_u128(1);
        let mut old = replies.register(peer, Key::Vote(4));
        let mut new = replies.register(peer, Key::Vote(7));
        let reply = Body::VoteReply(VoteReply {
            term: 6,
            vote: Uuid::nil(),
            is_prevote: false,
        });
        replies.take_higher_vote(peer, 6, &reply);
        assert_eq!(old.try_recv(), Ok(reply));
        assert_eq!(new.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}
