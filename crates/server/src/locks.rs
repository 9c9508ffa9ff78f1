//! The locks of one server (RFC 7047 4.1.8 to 4.1.10): who owns them and who waits. Pure: the
//! caller sends the replies and the `locked` and `stolen` notifications.
//!
//! Order on the wire, as in the reference: a victim's `stolen` and a new owner's `locked` are
//! sent before the reply to the request that caused them.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;

/// How many locks one session may hold and wait for.
pub const MAX_LOCKS: usize = 1000;

/// A session, unique within its server.
pub type SessionId = u64;

/// The outcome of `lock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// The session owns the lock: `{"locked":true}`.
    Locked,
    /// Somebody else does: `{"locked":false}`, and a `locked` notification later.
    Queued,
}

/// Why a lock request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// `lock` or `steal` of a lock that the session has asked for already.
    #[error("must issue \"unlock\" before new \"{method}\"")]
    AlreadyRequested {
        /// The method: `lock` or `steal`.
        method: &'static str,
    },
    /// `unlock` of a lock that the session has not asked for.
    #[error("unlock: \"unlock\" without \"lock\" or \"steal\"")]
    NotRequested,
    /// A bound of ours.
    #[error("a session may have at most {MAX_LOCKS} locks")]
    TooMany,
}

impl LockError {
    /// The `error` member of the OVSDB error object; the text is its `details`.
    pub fn name(&self) -> &'static str {
        match self {
            LockError::TooMany => "resources exhausted",
            _ => "syntax error",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Lock,
    Steal,
}

/// What a session's locks are, for status; names in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockStatus {
    /// Locks that the session owns.
    pub held: Vec<String>,
    /// Locks that it waits for.
    pub waiting: Vec<String>,
    /// Locks that it stole and that were stolen from it in turn.
    pub lost: Vec<String>,
}

/// All locks of a server.
#[derive(Debug, Default)]
pub struct LockTable {
    /// For each lock, its owner and then those who wait, never empty.
    queues: FxHashMap<String, VecDeque<SessionId>>,
    /// What each session asked for and has not unlocked.
    requests: FxHashMap<SessionId, BTreeMap<String, Mode>>,
}

impl LockTable {
    /// A server without locks.
    pub fn new() -> LockTable {
        LockTable::default()
    }

    /// Asks for a lock, and queues behind those who have it.
    pub fn lock(&mut self, session: SessionId, name: &str) -> Result<Locking, LockError> {
        self.request(session, name, Mode::Lock)?;
        let queue = self.queues.entry(name.to_owned()).or_default();
        queue.push_back(session);
        Ok(if queue.len() == 1 {
            Locking::Locked
        } else {
            Locking::Queued
        })
    }

    /// Takes a lock away from its owner, the victim, who is to be notified with `stolen`. A
    /// victim that used `lock` queues right behind, one that used `steal` has lost it.
    pub fn steal(
        &mut self,
        session: SessionId,
        name: &str,
    ) -> Result<Option<SessionId>, LockError> {
        self.request(session, name, Mode::Steal)?;
        let queue = self.queues.entry(name.to_owned()).or_default();
        let victim = queue.front().copied();
        if let Some(victim) = victim
            && self.requests.get(&victim).and_then(|names| names.get(name)) == Some(&Mode::Steal)
        {
            queue.pop_front();
        }
        queue.push_front(session);
        Ok(victim)
    }

    /// Gives a lock, a place in its queue, or the memory of a lost lock up. Returns the session
    /// that is to be notified with `locked`: the lock's owner, if one is left. As in the
    /// reference, that is also told to an owner that was so before, when somebody behind it leaves.
    pub fn unlock(
        &mut self,
        session: SessionId,
        name: &str,
    ) -> Result<Option<SessionId>, LockError> {
        let names = self
            .requests
            .get_mut(&session)
            .ok_or(LockError::NotRequested)?;
        names.remove(name).ok_or(LockError::NotRequested)?;
        if names.is_empty() {
            self.requests.remove(&session);
        }
        Ok(self.leave(session, name))
    }

    /// Forgets a session. Returns the locks whose owners are to be notified with `locked`, and these
    /// owners, as [`LockTable::unlock`] does.
    pub fn close(&mut self, session: SessionId) -> Vec<(String, SessionId)> {
        let names = self.requests.remove(&session).unwrap_or_default();
        let mut changed = Vec::new();
        for name in names.into_keys() {
            if let Some(owner) = self.leave(session, &name) {
                changed.push((name, owner));
            }
        }
        changed
    }

    /// True if the session owns the lock.
    pub fn owns(&self, session: SessionId, name: &str) -> bool {
        self.queues.get(name).and_then(VecDeque::front) == Some(&session)
    }

    /// True if the session has asked for the lock and not unlocked it, be it held, awaited or lost.
    pub fn has_waiter(&self, session: SessionId, name: &str) -> bool {
        self.requests
            .get(&session)
            .is_some_and(|names| names.contains_key(name))
    }

    /// The session's locks, for status.
    pub fn status(&self, session: SessionId) -> LockStatus {
        let mut status = LockStatus::default();
        for (name, mode) in self.requests.get(&session).into_iter().flatten() {
            let list = match mode {
                _ if self.owns(session, name) => &mut status.held,
                Mode::Lock => &mut status.waiting,
                Mode::Steal => &mut status.lost,
            };
            list.push(name.clone());
        }
        status
    }

    fn request(&mut self, session: SessionId, name: &str, mode: Mode) -> Result<(), LockError> {
        if self.has_waiter(session, name) {
            let method = match mode {
                Mode::Lock => "lock",
                Mode::Steal => "steal",
            };
            return Err(LockError::AlreadyRequested { method });
        }
        let names = self.requests.entry(session).or_default();
        if names.len() >= MAX_LOCKS {
            return Err(LockError::TooMany);
        }
        names.insert(name.to_owned(), mode);
        Ok(())
    }

    /// Takes the session out of a queue; returns who owns the lock then, if it was in there.
    fn leave(&mut self, session: SessionId, name: &str) -> Option<SessionId> {
        let queue = self.queues.get_mut(name)?;
        let place = queue.iter().position(|other| *other == session)?;
        queue.remove(place);
        let Some(&owner) = queue.front() else {
            self.queues.remove(name);
            return None;
        };
        Some(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_go_round_in_the_order_of_asking() {
        let mut table = LockTable::new();
        assert_eq!(table.lock(1, "a"), Ok(Locking::Locked));
        assert_eq!(table.lock(2, "a"), Ok(Locking::Queued));
        assert_eq!(table.lock(3, "a"), Ok(Locking::Queued));
        assert!(table.owns(1, "a") && !table.owns(2, "a") && table.has_waiter(2, "a"));
        assert_eq!(table.unlock(2, "a"), Ok(Some(1)), "the owner is told again");
        assert_eq!(table.unlock(1, "a"), Ok(Some(3)));
        assert_eq!(table.unlock(3, "a"), Ok(None));
        assert!(table.queues.is_empty() && table.requests.is_empty());
    }

    #[test]
    fn the_victim_of_a_theft_gets_a_locked_lock_back() {
        let mut table = LockTable::new();
        assert_eq!(table.lock(1, "a"), Ok(Locking::Locked));
        assert_eq!(table.lock(2, "a"), Ok(Locking::Queued));
        assert_eq!(table.steal(3, "a"), Ok(Some(1)));
        assert_eq!(table.status(1).waiting, ["a"]);
        assert_eq!(table.unlock(3, "a"), Ok(Some(1)));
        assert!(table.owns(1, "a"));
    }

    #[test]
    fn a_stolen_lock_that_is_stolen_again_is_lost_until_unlocked() {
        let mut table = LockTable::new();
        assert_eq!(table.steal(1, "a"), Ok(None));
        assert_eq!(table.steal(2, "a"), Ok(Some(1)));
        assert_eq!(table.status(1).lost, ["a"]);
        assert_eq!(table.status(2).held, ["a"]);
        let again = LockError::AlreadyRequested { method: "steal" };
        assert_eq!(table.steal(1, "a"), Err(again));
        assert_eq!(
            table.unlock(2, "a"),
            Ok(None),
            "who lost it does not get it back"
        );
        assert_eq!(table.unlock(1, "a"), Ok(None));
        assert_eq!(table.steal(1, "a"), Ok(None));
    }

    #[test]
    fn a_closed_session_leaves_everything() {
        let mut table = LockTable::new();
        for name in ["a", "b", "c"] {
            assert_eq!(table.lock(1, name), Ok(Locking::Locked));
        }
        assert_eq!(table.lock(2, "c"), Ok(Locking::Queued));
        assert_eq!(table.lock(3, "a"), Ok(Locking::Queued));
        assert_eq!(table.close(1), [("a".to_owned(), 3), ("c".to_owned(), 2)]);
        assert_eq!(table.close(1), []);
        assert_eq!(table.lock(9, "b"), Ok(Locking::Locked));
    }

    #[test]
    fn errors_are_the_references_words() {
        let mut table = LockTable::new();
        let error = table.unlock(1, "a").expect_err("not locked");
        assert_eq!(
            error.to_string(),
            "unlock: \"unlock\" without \"lock\" or \"steal\""
        );
        assert_eq!(error.name(), "syntax error");
        assert_eq!(table.lock(1, "a"), Ok(Locking::Locked));
        let error = table.lock(1, "a").expect_err("locked");
        assert_eq!(
            error.to_string(),
            "must issue \"unlock\" before new \"lock\""
        );
    }

    #[test]
    fn locks_are_bounded() {
        let mut table = LockTable::new();
        for i in 0..MAX_LOCKS {
            assert!(table.lock(1, &format!("l{i}")).is_ok());
        }
        assert_eq!(table.lock(1, "more"), Err(LockError::TooMany));
        assert_eq!(table.lock(2, "more"), Ok(Locking::Locked));
    }
}
