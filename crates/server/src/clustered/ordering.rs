//! The leader's side: what transactions change goes into the cluster's log.

use std::sync::Arc;
use std::sync::atomic::Ordering as AtomicOrdering;

use bytes::Bytes;
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_cluster::contents::now;
use ovsdb_cluster::file::create::write_data;
use ovsdb_engine::{Commit, Version};
use tokio::sync::mpsc;

use super::Clustered;
use super::flight::{Item, Pushed};
use crate::database::Job;
use crate::file_form::write_changes;
use crate::locks::SessionId;
use crate::ordering::{Done, Loss, Ordering, Proposal};

/// What is to be proposed.
pub(super) struct Proposed {
    term: u64,
    id: Uuid,
    what: What,
}

enum What {
    Changes(Arc<Commit>, Option<String>),
    /// Another schema, and all contents.
    Whole(Version),
}

impl What {
    fn data(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            What::Changes(commit, comment) => {
                out.extend_from_slice(b"[null,");
                if !write_changes(&mut out, &commit.changes, now(), comment.as_deref()) {
                    out.extend_from_slice(b"null");
                }
                out.push(b']');
            }
            What::Whole(version) => write_data(&mut out, version, now(), None),
        }
        out.into()
    }
}

/// Proposes one after the other, in the order in which they were executed.
pub(super) async fn propose_all(
    clustered: Arc<Clustered>,
    mut proposed: mpsc::UnboundedReceiver<Proposed>,
) {
    let Some(node) = clustered.node.get().cloned() else {
        return;
    };
    let stop = clustered.stop.clone();
    let weak = Arc::downgrade(&clustered);
    drop(clustered);
    loop {
        let next = tokio::select! {
            next = proposed.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some(Proposed { term, id, what }) = next else {
            return;
        };
        let clustered = weak.clone();
        let refused = move || {
            if let Some(clustered) = clustered.upgrade() {
                clustered.refused(term, id);
            }
        };
        node.propose(term, id, what.data(), refused).await;
    }
}

impl Clustered {
    /// The log does not take a transaction, and so none of those behind it.
    fn refused(&self, term: u64, id: Uuid) {
        // Before the jobs go back: they must not be executed on the same head again.
        self.refused.fetch_max(term, AtomicOrdering::AcqRel);
        let items = self.flight.lock().refused(term, id);
        self.lose(items, Loss::NotKept);
        self.refusal.notify_one();
    }
}

impl Clustered {
    /// Tells those who have proposed what was in flight that it is lost.
    pub(super) fn lose(&self, items: Vec<Item>, loss: Loss) {
        let count = items.len();
        if count > 0 {
            lose(items, loss);
            self.flight.lock().told_losses(count);
            self.to_send.notify_one();
        }
    }
}

fn lose(items: Vec<Item>, loss: Loss) {
    for item in items {
        if let Some(lost) = item.lost {
            lost(loss);
        }
    }
}

impl Ordering for Arc<Clustered> {
    fn propose(&self, proposal: Proposal) {
        let Proposal {
            term,
            commit,
            comment,
            done,
            lost,
            ..
        } = proposal;
        let id = commit.as_ref().map(|commit| commit.version.id());
        let item = Item {
            term,
            id,
            done,
            lost,
        };
        // The lock keeps flight and channel in one order.
        let mut flight = self.flight.lock();
        let pushed = flight.push(item);
        if let (Pushed::Queued, Some(commit), Some(id)) = (&pushed, commit, id) {
            let what = What::Changes(commit, comment);
            // The receiver ends with the server.
            let _ = self.proposals.send(Proposed { term, id, what });
        }
        drop(flight);
        match pushed {
            Pushed::Queued => {}
            Pushed::AtOnce(item) => (item.done)(Ok(())),
            Pushed::Lost(item) => lose(vec![item], Loss::NotKept),
        }
    }

    fn resume(&self) {}

    /// A conversion; compactions are the member's own business.
    fn replace(&self, term: u64, version: Version, done: Done) {
        let id = version.id();
        let done = Arc::new(parking_lot::Mutex::new(Some(done)));
        let lost = done.clone();
        let item = Item {
            term,
            id: Some(id),
            done: Box::new(move |result| {
                if let Some(done) = done.lock().take() {
                    done(result);
                }
            }),
            lost: Some(Box::new(move |_| {
                if let Some(done) = lost.lock().take() {
                    let why = "the leadership was lost; whether it is converted shows its schema";
                    done(Err(Error::new(Tag::IoError, why)));
                }
            })),
        };
        let mut flight = self.flight.lock();
        if let Pushed::Lost(item) = flight.push(item) {
            drop(flight);
            return lose(vec![item], Loss::NotKept);
        }
        let what = What::Whole(version);
        let _ = self.proposals.send(Proposed { term, id, what });
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_over(&self, term: u64) -> bool {
        self.flight.lock().is_over(term)
    }

    fn has_passed_on(&self, session: SessionId) -> bool {
        self.waiting.lock().has_session(session)
    }

    fn pass_on(&self, job: Job) {
        self.pass_job_on(job);
    }

    fn have_converted(&self, schema: Arc<Schema>, done: Done) {
        self.begin_conversion(schema, done);
    }
}
