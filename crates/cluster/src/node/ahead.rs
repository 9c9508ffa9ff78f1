//! A follower that knows that entries are committed before its append requests say so.
//!
//! The leader's answers to those whose transactions it was given say it. Their clients wait: the transactions are applied at
//! once, past openraft, which hears of it with the next append request, or a moment later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::raft::AppendEntriesRequest;

use super::Inner;
use super::life::Life;
use crate::entry::{Index, ServerId, Term};
use crate::raft::{LogId, TypeConfig, Vote};

/// How soon openraft is told if no append request does it.
const LATER: Duration = Duration::from_millis(5);

impl Inner {
    /// A leader has said, beside its append requests, that all up to an index is committed. An entry's index and term tell
    /// which one it is, so what this server's log has of that leader's entries is known to be committed now.
    pub(super) fn on_committed(self: &Arc<Self>, from: ServerId, term: Term, index: Index) {
        let Some(life) = self.life() else {
            return;
        };
        let vote = Vote::new_committed(term, from);
        let index = index.min(life.store.ends().1.index);
        let is_news = index > life.store.commit_index();
        if !is_news || life.store.term_at(index) != Some(term) || life.vote() != vote {
            return;
        }
        let at = LogId::new(term, index);
        // From here on nobody takes them back.
        let is_noted = life.store.commit(index).is_ok();
        if is_noted && life.shared.apply_ahead(&*self.replica, &life.store, index) {
            self.tell_later(life, at);
        } else {
            tokio::spawn(async move { tell(&life, at).await });
        }
    }

    /// Sees to it that openraft hears of it, too. Mostly the next append request comes first.
    fn tell_later(self: &Arc<Self>, life: Arc<Life>, at: LogId) {
        if self.telling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (inner, mut at) = (self.clone(), at);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LATER).await;
                if life.applied() < at.index {
                    tell(&life, at).await;
                }
                inner.telling.store(false, Ordering::Release);
                let index = life.store.commit_index();
                let term = life.store.term_at(index);
                let Some(term) = term.filter(|_| index > at.index) else {
                    return;
                };
                if inner.telling.swap(true, Ordering::AcqRel) {
                    return;
                }
                at = LogId::new(term, index);
            }
        });
    }
}

async fn tell(life: &Life, at: LogId) {
    let vote = life.vote();
    let request = AppendEntriesRequest::<TypeConfig> {
        vote,
        prev_log_id: Some(at),
        entries: Vec::new(),
        leader_commit: Some(at),
    };
    // Where there is no leader any more, the next one says it.
    if vote.committed {
        let _ = life.raft.append_entries(request).await;
    }
}
