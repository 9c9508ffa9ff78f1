//! A server that was removed from its cluster while it was away: its own file does not say so, and
//! nobody has reason to send it anything. The leader tells it when it stands for election.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ovsdb::json::Document;

use super::life::Life;
use super::{Inner, Node};
use crate::entry::{ServerId, Term};
use crate::wire::Body;
use crate::wire::message::Own;
use crate::wire::stream::LinkId;

/// The kind of the message of our own: the sender leads in a term, and the receiver is no member.
pub(super) const NO_MEMBER: &str = "no-member";
/// What it is about, among the troubles.
const SUBJECT: &str = "no member";

impl Inner {
    /// Somebody who is no member stands for election. Whoever leads knows all members, as soon as an
    /// entry of its term is committed; so nobody else answers.
    pub(super) fn answer_stranger(&self, life: &Arc<Life>, link: LinkId, from: ServerId) {
        let term = life.store.term();
        let progress = life.shared.progress();
        let knows = life.is_leader() && self.has_quorum(life) && life.shared.last().term == term;
        let known = progress.members.contains_key(&from)
            || life.members().contains_key(&from)
            || self.adding.lock().contains_key(&from);
        if knows && !known {
            let own = Body::Own(Own {
                kind: NO_MEMBER.to_owned(),
                data: format!("[{term}]").into(),
            });
            self.say_on(link, &own, None);
        }
    }

    /// A leader says that this server is no member. It is believed if this server has called it,
    /// has heard of no leader for long, and knows of no later term: whoever had added this server
    /// since would have led in one.
    pub(super) fn on_no_member(&self, life: &Life, link: LinkId, from: ServerId, data: &Bytes) {
        let cut_off = !life.is_leader() && !self.place.lock().connected;
        let believed = self.wire.peers.is_dialled(link)
            && cut_off
            && term_of(data).is_some_and(|term| term >= life.store.term());
        if !believed {
            return;
        }
        if self.leaving.load(Ordering::Relaxed) {
            self.report.lock().left = true;
            return self.wake.notify_one();
        }
        let text = format!(
            "this server was removed from its cluster while it was away, as server {from} says, which leads"
        );
        let mut report = self.report.lock();
        if !report.expelled {
            tracing::error!(db = self.db(), "raft: {text}");
            report.expelled = true;
        }
        report.troubles.insert(SUBJECT, text);
    }
}

impl Node {
    /// It was removed from its cluster while it was away.
    pub fn is_expelled(&self) -> bool {
        self.inner.report.lock().expelled
    }
}

fn term_of(data: &Bytes) -> Option<Term> {
    let document = Document::parse(data.clone()).ok()?;
    document.root().element(0)?.integer()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_is_read() {
        let read = |text: &'static str| term_of(&Bytes::from_static(text.as_bytes()));
        assert_eq!(read("[7]"), Some(7));
        for wrong in ["", "[]", "[-1]", "{}", "7"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
