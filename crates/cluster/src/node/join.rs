//! A server that is not a member yet: it asks until one lets it in.
//!
//! First comes a snapshot, then the log behind it; only then the leader adds it to the members
//! (Raft dissertation, section 4.2.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::serve::{End, RETRY};
use super::snapshots::split;
use super::{Events, Inner};
use crate::address::same_address;
use crate::contents::Contents;
use crate::entry::{ServerId, Servers};
use crate::failure_test::FailureTest;
use crate::file::{Reason, Store};
use crate::wire::message::{
    AddServerReply, AddServerRequest, AppendReply, AppendRequest, AppendResult,
    InstallSnapshotReply, InstallSnapshotRequest,
};
use crate::wire::stream::{Event, Held, LinkId};
use crate::wire::{Body, Message};

/// So many addresses of others are remembered.
const MOST_REMOTES: usize = 64;

impl Inner {
    /// Waits for the first snapshot, and puts it into the file.
    pub(super) async fn join(
        self: &Arc<Self>,
        store: &Arc<Store>,
        events: &mut Events,
    ) -> Result<(), End> {
        let remotes = self.report.lock().remotes.join(", ");
        tracing::info!(
            db = self.db(),
            "raft: asks {remotes} to be let into the cluster"
        );
        let mut ask = tokio::time::interval(RETRY);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Err(End::Stopped),
                _ = ask.tick() => self.ask_all(),
                event = events.recv() => match event {
                    None => return Err(End::Stopped),
                    Some(Event::Received { link, message, held }) => {
                        if self.joining_message(store, link, message, held).await? {
                            return Ok(());
                        }
                    }
                    Some(Event::Connected { link, .. }) => self.ask(link),
                    Some(event) => self.on_link_event(&event),
                },
            }
        }
    }

    /// Asks on a connection to become a member.
    pub(super) fn ask(&self, link: LinkId) {
        let request = Body::AddServerRequest(AddServerRequest {
            address: self.identity.local_address.clone(),
        });
        self.say_on(link, &request, None);
    }

    /// Asks on every connection that this side has made.
    pub(super) fn ask_all(&self) {
        let links = self.wire.peers.links();
        links
            .iter()
            .filter(|link| link.dialled)
            .for_each(|link| self.ask(link.link));
    }

    /// True when the first snapshot is in the file.
    async fn joining_message(
        &self,
        store: &Arc<Store>,
        link: LinkId,
        message: Message,
        held: Held,
    ) -> Result<bool, End> {
        let from = message.head.from;
        // Who is called is chosen; anybody can call, and could have another cluster joined.
        let chosen = self.wire.peers.is_dialled(link);
        match message.body {
            Body::InstallSnapshotRequest(request) => {
                if !chosen || !self.is_of_cluster(store, message.head.cluster) {
                    return Ok(false);
                }
                let test = FailureTest::CrashBeforeSendingInstallSnapshotReply;
                self.wire.failing.crash_if(test);
                self.first_snapshot(store, from, request).await
            }
            Body::AppendRequest(request) => {
                if chosen && self.is_of_cluster(store, message.head.cluster) {
                    self.refuse_append(link, &request);
                }
                Ok(false)
            }
            Body::AddServerReply(reply) => {
                self.on_add_server_reply(reply, message.head.comment.as_deref());
                Ok(false)
            }
            Body::Own(own) => {
                self.replica.received(from, own, held);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// The first leader that takes this server in says which cluster it is.
    fn is_of_cluster(&self, store: &Store, cluster: Option<Uuid>) -> bool {
        let Some(cluster) = cluster else {
            return false;
        };
        let same = store.set_cluster_id(cluster);
        if same {
            self.wire.peers.set_cluster(cluster);
        }
        same
    }

    /// There is nothing yet that entries could follow.
    fn refuse_append(&self, link: LinkId, request: &AppendRequest) {
        let reply = Body::AppendReply(AppendReply {
            term: request.term,
            log_end: 1,
            prev_log_index: request.prev_log_index,
            prev_log_term: request.prev_log_term,
            n_entries: request.log.len() as u64,
            result: AppendResult::Inconsistency,
        });
        self.say_on(link, &reply, None);
    }

    async fn first_snapshot(
        &self,
        store: &Arc<Store>,
        from: ServerId,
        request: InstallSnapshotRequest,
    ) -> Result<bool, End> {
        let term = request.term;
        let (meta, data) = split(request);
        let (index, last_term) = (meta.index, meta.term);
        tracing::info!(
            db = self.db(),
            "raft: server {from} sends the contents up to entry {index} ({} bytes)",
            data.len()
        );
        let text = data.clone();
        let read_meta = meta.clone();
        let reading = tokio::task::spawn_blocking(move || Contents::read(read_meta, data)).await;
        let contents = match reading.map(|read| read.map_err(|error| error.to_string())) {
            Ok(Ok(contents)) => contents,
            Ok(Err(why)) => {
                tracing::error!(
                    db = self.db(),
                    "raft: the snapshot of {from} is wrong: {why}"
                );
                return Ok(false);
            }
            Err(error) => return Err(End::Failed(error.to_string())),
        };
        if *contents.version.schema().name != *self.identity.name {
            let name = contents.version.schema().name.clone();
            let own = &self.identity.name;
            let trouble = format!("server {from} is a member for the database {name}, not {own}");
            tracing::error!(db = self.db(), "raft: {trouble}");
            self.trouble("database", trouble);
            return Ok(false);
        }
        let (sender, receiver) = oneshot::channel();
        let installed = store.install(
            meta,
            Box::new(move |out| out.extend_from_slice(&text)),
            Box::new(move |result| {
                let _ = sender.send(result);
            }),
        );
        match installed {
            Ok(()) => {}
            Err(Reason::Failed(error)) => return Err(End::Failed(error.to_string())),
            Err(reason) => return Err(End::Failed(format!("{reason:?}"))),
        }
        match receiver.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(End::Failed(error.to_string())),
            Err(_) => return Err(End::Failed("the log has stopped".to_owned())),
        }
        self.replica.install(&contents);
        let reply = Body::InstallSnapshotReply(InstallSnapshotReply {
            term,
            last_index: index,
            last_term,
        });
        self.say(from, &reply, None);
        Ok(true)
    }

    /// Who cannot let this server in says who can.
    pub(super) fn on_add_server_reply(&self, reply: AddServerReply, comment: Option<&str>) {
        if reply.success {
            return;
        }
        let why = comment.unwrap_or("no reason given");
        tracing::debug!(db = self.db(), "raft: add_server_reply: {why}");
        let mut report = self.report.lock();
        for address in reply.remote_addresses {
            let own = same_address(&address, &self.identity.local_address);
            let known = report
                .remotes
                .iter()
                .any(|known| same_address(known, &address));
            if !own && !known && report.remotes.len() < MOST_REMOTES {
                report.remotes.push(address);
            }
        }
        let remotes = report.remotes.clone();
        drop(report);
        let members = self.life().map_or_else(Servers::new, |life| life.members());
        self.wire.peers.set_members(&members, &remotes);
        let known: BTreeSet<_> = remotes.iter().collect();
        tracing::trace!(db = self.db(), "raft: may ask {known:?}");
    }

    pub(super) fn trouble(&self, subject: &str, text: String) {
        self.report.lock().troubles.insert(subject, text);
    }
}
