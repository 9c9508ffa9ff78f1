//! The member's side: committed entries become commits of the database.

use std::sync::Arc;
use std::sync::atomic::Ordering as AtomicOrdering;
use std::time::{Duration, Instant};

use ovsdb::{Error, Uuid};
use ovsdb_cluster::contents::{self, Applied, Contents};
use ovsdb_cluster::entry::{Entry, Index, Payload, ServerId};
use ovsdb_cluster::replica::{Place, Replica};
use ovsdb_cluster::wire::message::{ExecuteCommandReply, ExecuteCommandRequest, Own};
use ovsdb_cluster::wire::stream::Held;
use ovsdb_engine::Version;

use super::again::Around;
use super::conversion::{CONVERT, CONVERTED};
use super::passing::{ANSWERS, TRANSACTIONS};
use super::waiting::End;
use super::{Clustered, SHOW};
use crate::database::{Database, Executed};
use crate::ordering::Loss;
use crate::server_database::{Model, Status};

/// How soon it is looked again whether all was told that is just being told.
const TELLING: Duration = Duration::from_millis(1);

impl Replica for Clustered {
    fn apply(&self, entries: &[Entry]) -> Result<(), Error> {
        self.applying.store(true, AtomicOrdering::Release);
        let applied = self.apply_all(entries);
        self.applying.store(false, AtomicOrdering::Release);
        self.answer();
        applied
    }

    fn install(&self, contents: &Contents) {
        let index = contents.meta.index;
        if index <= self.applied.load(AtomicOrdering::Acquire) {
            return;
        }
        let version = contents.version.clone();
        match self.database.get() {
            None => self.offer(version),
            Some(database) => {
                let items = self.flight.lock().take_all();
                self.lose(items, Loss::Unknown);
                if database.replace_foreign(version) {
                    let version = &database.committed().version;
                    self.service.schema_changed(version.schema().clone());
                }
                let ends = self.waiting.lock().contents_replaced();
                self.end_all(ends);
                self.old_leader.contents_replaced();
            }
        }
        self.applied.fetch_max(index, AtomicOrdering::AcqRel);
        let ends = self.waiting.lock().applied(index);
        self.end_all(ends);
    }

    fn version(&self) -> Option<(Index, Version)> {
        let database = self.database.get()?;
        let applied = self.applied.load(AtomicOrdering::Acquire);
        Some((applied, database.committed().version.clone()))
    }

    fn placed(&self, place: &Place) {
        self.place.send_replace(place.clone());
    }

    fn received(&self, from: ServerId, message: Own, held: Held) {
        match &*message.kind {
            TRANSACTIONS => self.receive_transactions(from, message.data, held),
            ANSWERS => self.receive_answers(from, &message.data),
            CONVERT => self.receive_wish(from, message.data, held),
            CONVERTED => self.receive_converted(&message.data),
            other => tracing::debug!(
                db = &*self.name,
                "{}: {from} sends {other}, which is not known",
                self.name
            ),
        }
    }

    fn disconnected(&self, from: ServerId) {
        if self.leader.lock().is_some_and(|(leader, _)| leader == from) {
            self.waiting.lock().send_again();
            self.to_send.notify_one();
            self.old_leader.send_again(self);
        }
    }

    fn command(&self, from: ServerId, request: ExecuteCommandRequest) {
        self.execute_command(from, request);
    }

    fn command_reply(&self, _: ServerId, reply: ExecuteCommandReply) {
        self.old_leader.reply(self, &reply);
    }
}

impl Clustered {
    fn apply_all(&self, entries: &[Entry]) -> Result<(), Error> {
        for entry in entries {
            if entry.index <= self.applied.load(AtomicOrdering::Acquire) {
                continue;
            }
            if let Payload::Data { eid, data } = &entry.payload {
                self.apply_data(*eid, data, entry.index)?;
            }
            self.applied.fetch_max(entry.index, AtomicOrdering::AcqRel);
            self.term_applied(entry.term);
        }
        let ends = self
            .waiting
            .lock()
            .applied(self.applied.load(AtomicOrdering::Acquire));
        self.end_all(ends);
        Ok(())
    }

    fn apply_data(&self, id: Uuid, data: &bytes::Bytes, index: u64) -> Result<(), Error> {
        let own = self.flight.lock().commit(id);
        if let Some(item) = own {
            let item_term = item.term;
            self.applied.fetch_max(index, AtomicOrdering::AcqRel);
            (item.done)(Ok(()));
            loop {
                let next = self.flight.lock().told();
                let Some(next) = next else { break };
                (next.done)(Ok(()));
            }
            // In this order: who takes another route meanwhile sees what is committed here.
            let leads = *self.route.lock() == Some(Route::Lead(item_term));
            if !leads && let Some(database) = self.database.get() {
                database.catch_up();
            }
            self.old_leader.applied(self, id);
            return Ok(());
        }
        let Some(database) = self.database.get() else {
            return Ok(());
        };
        let committed = database.committed();
        let mut around = None;
        match contents::apply(Some(&committed.version), data, id)? {
            Applied::Changed(version, changes) => {
                let version = if changes.is_empty() {
                    version.with_sequence(committed.version.sequence() + 1)
                } else {
                    version
                };
                around = Some(Around {
                    before: committed.version.clone(),
                    behind: version.clone(),
                });
                database.apply_foreign(version, changes);
            }
            Applied::Replaced(version) => {
                let schema = version.schema().clone();
                if database.replace_foreign(version) {
                    self.service.schema_changed(schema);
                }
            }
        }
        self.waiting.lock().seen(id, around);
        self.old_leader.applied(self, id);
        Ok(())
    }

    /// What earlier terms have left open is known now.
    fn term_applied(&self, term: u64) {
        let items = self.flight.lock().term_over(term);
        let lost = !items.is_empty();
        self.lose(items, Loss::NotKept);
        let ends = self.waiting.lock().term_over(term);
        if (lost || !ends.is_empty())
            && let Some(database) = self.database.get()
        {
            self.end_all(ends);
            database.resume_work();
        }
        if self.settled.swap(term, AtomicOrdering::AcqRel) < term {
            // What came later has waited for this.
            self.to_send.notify_one();
            self.old_leader.work(self);
        }
    }

    /// Tells what transactions that were passed on have come to.
    pub(super) fn end_all(&self, ends: Vec<End>) {
        let mut again = false;
        for end in ends {
            match (end, self.database.get()) {
                (End::Done(job, results), _) => job.answer.done_by_leader(results),
                (End::Again(job), Some(database)) => {
                    database.take_back(job);
                    again = true;
                }
                (End::Again(job) | End::Unknown(job), _) => job.answer.unknown(),
            }
        }
        if again && let Some(database) = self.database.get() {
            database.resume_work();
        }
    }

    /// The first contents are there.
    fn offer(&self, version: Version) {
        let Some(itself) = self.itself.upgrade() else {
            return;
        };
        let status = Status {
            model: Model::Clustered,
            connected: false,
            leader: false,
            schema: Some(version.schema().clone()),
            cluster: self.cluster(),
            server: Some(self.server),
            index: None,
        };
        match self.service.add_with(version, Box::new(itself), &status) {
            Some(database) => {
                // It is only set here, and here only once.
                let _ = self.database.set(database);
            }
            None => tracing::error!(
                db = &*self.name,
                "{}: is served already from another file",
                self.name
            ),
        }
    }
}

/// What the database does in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Lead(u64),
    Follow,
    StandBy,
}

/// Follows the member's place, and shows how far it is.
pub(super) async fn take_places(clustered: Arc<Clustered>) {
    let mut places = clustered.place.subscribe();
    let mut show = tokio::time::interval(SHOW);
    show.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let stop = clustered.stop.clone();
    let weak = Arc::downgrade(&clustered);
    drop(clustered);
    let mut taken: Option<Place> = None;
    let mut shown = (0, None);
    let mut since: Option<Instant> = None;
    loop {
        let Some(clustered) = weak.upgrade() else {
            return;
        };
        let refused = tokio::select! {
            _ = places.changed() => false,
            () = clustered.refusal.notified() => true,
            _ = show.tick() => false,
            () = stop.cancelled() => return,
        };
        // Whatever has woken this, the place may have changed meanwhile.
        let place = places.borrow_and_update().clone();
        let news = refused || taken.as_ref() != Some(&place);
        taken = Some(place.clone());
        if news || since.is_none() && clustered.database.get().is_some() {
            since = clustered.database.get().map(|_| Instant::now());
            tokio::task::block_in_place(|| clustered.take_place(&place));
        }
        if refused && let Some(node) = clustered.node.get().cloned() {
            let term = clustered.refused.load(AtomicOrdering::Acquire);
            tokio::spawn(async move { node.end_term(term).await });
        }
        let applied = clustered.applied.load(AtomicOrdering::Acquire);
        let cluster = clustered.cluster();
        if news || shown != (applied, cluster) {
            shown = (applied, cluster);
            clustered.show(cluster);
        }
    }
}

impl Clustered {
    fn take_place(&self, place: &Place) {
        let Some(database) = self.database.get() else {
            return;
        };
        let refused = self.refused.load(AtomicOrdering::Acquire);
        let leading = place.leading.filter(|term| *term > refused);
        let leader = place.leader.map(|leader| (leader, place.term));
        let ours = leader.is_some_and(|(leader, _)| self.is_ours(leader));
        *self.leader.lock() = leader.filter(|_| leading.is_none());
        if leading.is_none() {
            self.led.store(0, AtomicOrdering::Release);
        }
        // Other news of the place must not touch the writer: what it has executed and proposed is
        // not committed yet.
        let route = match (leading, leader) {
            (Some(term), _) => Route::Lead(term),
            (None, Some(_)) => Route::Follow,
            (None, None) => Route::StandBy,
        };
        if self.route.lock().replace(route) != Some(route) {
            match route {
                Route::Lead(term) => {
                    let first = self.gather(database);
                    database.lead(term, first);
                }
                Route::Follow => database.follow(),
                Route::StandBy => database.stand_by(),
            }
        } else {
            // Jobs may have come back.
            database.resume_work();
        }
        if let Some(term) = leading {
            self.led.store(term, AtomicOrdering::Release);
        }
        if leading.is_some() || !ours {
            let ends = self.waiting.lock().take_unsent();
            self.end_all(ends);
        }
        if leader.is_some() {
            self.to_send.notify_one();
        }
        self.old_leader.send_again(self);
    }

    /// Gets everything back that was to go elsewhere, before anything that came later is executed
    /// here. The one that is executed already is the first.
    fn gather(&self, database: &Database) -> Option<Executed> {
        // From here on nothing is passed on.
        database.stand_by();
        while !self.flight.lock().all_told() {
            // Somebody is just doing it.
            std::thread::sleep(TELLING);
        }
        let ends = self.waiting.lock().take_unsent();
        self.end_all(ends);
        let newest = database.committed().version.id();
        self.old_leader.hand_over(self, newest)
    }

    /// A member of our own kind.
    pub(super) fn is_ours(&self, server: Uuid) -> bool {
        let node = self.node.get();
        let announced = node.and_then(|node| node.announcement(server));
        announced.is_some_and(|announcement| {
            announcement.has(ovsdb_cluster::wire::extension::OWN_MESSAGES)
        })
    }
}
