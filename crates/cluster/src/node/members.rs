//! Members come and go, one at a time (Raft dissertation, section 4.1).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::EntryPayload;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::sync::oneshot;

use super::life::Life;
use super::network::bare;
use super::replies::Key;
use super::serve::End;
use super::{Inner, Node};
use crate::address::{Address, same_address};
use crate::entry::{ServerId, Servers};
use crate::failure_test::FailureTest;
use crate::file::record::LEFT;
use crate::raft::membership_of;
use crate::wire::Body;
use crate::wire::message::{AddServerReply, RemoveServerReply, RemoveServerRequest};
use crate::wire::stream::LinkId;

/// How long a new server may take for its first snapshot, and a second more for so many bytes of it.
const CATCH_UP: Duration = Duration::from_secs(20);
const CATCH_UP_BYTES: u64 = 1 << 20;
/// So many servers may wait to be added; more have to ask again.
const MOST_NEWCOMERS: usize = 32;
/// So many of them get their first snapshot at once.
pub(super) const CATCHING_UP: usize = 4;

/// What a node of our kind says about itself, and what it says when it may be added.
const STANDING: &str = "standing";
const JOINING: &str = "joining";
const MEMBER: &str = "member";

/// A server that is to become a member.
#[derive(Debug, Clone)]
pub(super) struct Newcomer {
    pub(super) address: String,
    /// It has the contents.
    pub(super) caught_up: bool,
}

/// Why the members have not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Another member leads.
    #[error("not leader")]
    NotLeader,
    /// Another change is under way.
    #[error("a change of members is under way")]
    InProgress,
    /// There is no such member.
    #[error("no such server")]
    NoSuchServer,
    /// The last member cannot go.
    #[error("the only member of its cluster cannot be removed")]
    OnlyMember,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Inner {
    /// Somebody wants to become a member.
    pub(super) fn take_newcomer(
        self: &Arc<Self>,
        life: &Arc<Life>,
        link: LinkId,
        from: ServerId,
        address: String,
    ) {
        if let Err(error) = address.parse::<Address>() {
            return self.remark(|| format!("server {from} is not added: {error}"));
        }
        let (success, why) = if !life.is_leader() {
            (false, "not leader")
        } else if self.only_looks_around(from) {
            (false, "not joining yet")
        } else if life.members().contains_key(&from) {
            (true, "already a member")
        } else {
            // Whoever asks again while it is being added gets no second answer.
            let mut adding = self.adding.lock();
            if adding.len() < MOST_NEWCOMERS && !adding.contains_key(&from) {
                let newcomer = Newcomer {
                    address: address.clone(),
                    caught_up: false,
                };
                adding.insert(from, newcomer);
                let work = self
                    .clone()
                    .on_add_server(life.clone(), link, from, address);
                tokio::spawn(work);
                self.wire.failing.become_that(
                    FailureTest::TransferLeadershipAfterStartingToAdd,
                    FailureTest::TransferLeadership,
                );
            }
            return;
        };
        let remote_addresses = match why {
            "not leader" => self.who_leads(life),
            _ => addresses(&life.members()),
        };
        self.reply_to_newcomer(link, success, remote_addresses, why);
    }

    fn reply_to_newcomer(
        &self,
        link: LinkId,
        success: bool,
        remote_addresses: Vec<String>,
        why: &str,
    ) {
        let reply = Body::AddServerReply(AddServerReply {
            success,
            remote_addresses,
        });
        self.say_on(link, &reply, Some(why));
    }

    async fn on_add_server(
        self: Arc<Self>,
        life: Arc<Life>,
        link: LinkId,
        from: ServerId,
        address: String,
    ) {
        let added = self.add_server(&life, from, &address).await;
        self.adding.lock().remove(&from);
        match added {
            Ok(()) => {
                self.reply_to_newcomer(link, true, addresses(&life.members()), "server added");
            }
            Err(ChangeError::NotLeader) => {
                self.reply_to_newcomer(link, false, self.who_leads(&life), "not leader");
            }
            Err(error) => {
                self.remark(|| format!("server {from} at {address} is not added yet: {error}"))
            }
        }
    }

    /// A node of our kind asks this of everybody before it has decided to join.
    fn only_looks_around(&self, server: ServerId) -> bool {
        let announced = self.wire.peers.announcement(server);
        let standing = announced.as_ref().and_then(|said| said.fact(STANDING));
        // With its first contents it counts itself as a member.
        standing.is_some_and(|standing| standing != JOINING && standing != MEMBER)
    }

    async fn add_server(
        &self,
        life: &Life,
        server: ServerId,
        address: &str,
    ) -> Result<(), ChangeError> {
        self.catch_up(life, server).await?;
        if let Some(newcomer) = self.adding.lock().get_mut(&server) {
            newcomer.caught_up = true;
        }
        let _turn = self.changing.lock().await;
        let mut members = life.members();
        if members.contains_key(&server) {
            return Ok(());
        }
        // Who had this address has lost its disk: its vote counts no more, and the new one's does
        // as soon as it is in.
        let same = |(_, known): &(&ServerId, &String)| same_address(known, address);
        if let Some((&old, _)) = members.iter().find(same) {
            // A connection alone proves nothing: it is the address that was dialled.
            let limit = self.clock.lock().timer() * 2;
            let heard = self.contacts.lock().last(old);
            if heard.is_some_and(|at| at.elapsed() < limit) {
                let why = format!("server {old} is alive at {address}");
                return Err(ChangeError::Failed(why));
            }
            if old == self.identity.server_id {
                return Err(ChangeError::Failed(
                    "that is the leader's address".to_owned(),
                ));
            }
            tracing::info!(
                db = self.db(),
                "raft: server {server} takes the place of {old} at {address}"
            );
            members.remove(&old);
            change(life, &members).await?;
        }
        // openraft refuses what comes between the entry that makes two members of one and the second
        // one's first answer. But transactions build on each other: none may be left out.
        let pause = match members.len() {
            1 => Some(self.proposing.write().await),
            _ => None,
        };
        members.insert(server, address.to_owned());
        change(life, &members).await?;
        drop(pause);
        tracing::info!(
            db = self.db(),
            "raft: server {server} at {address} is a member now"
        );
        Ok(())
    }

    /// Gives a server the contents, before it counts.
    async fn catch_up(&self, life: &Life, server: ServerId) -> Result<(), ChangeError> {
        let failed = |why: String| ChangeError::Failed(why);
        let snapshot = life.raft.get_snapshot().await;
        let contents = match snapshot {
            Ok(Some(snapshot)) => snapshot.snapshot,
            Ok(None) => return Err(failed("there are no contents".to_owned())),
            Err(error) => return Err(failed(error.to_string())),
        };
        // Others wait: whoever does not answer holds them up for as long as it may take.
        let Ok(_turn) = self.catching_up.acquire().await else {
            return Err(failed("the server stops".to_owned()));
        };
        let term = life.store.term();
        let key = Key::Snapshot {
            index: contents.meta.index,
            term: contents.meta.term,
        };
        let body = self.wire.snapshot_message(term, contents).await;
        let bytes = match &body {
            Body::InstallSnapshotRequest(request) => request.data.len() as u64,
            _ => 0,
        };
        let patience = CATCH_UP + Duration::from_secs(bytes / CATCH_UP_BYTES);
        let reply = self.wire.ask(server, key, body, patience).await;
        match reply.map_err(|trouble| failed(trouble.to_string()))? {
            Body::InstallSnapshotReply(reply) if reply.term > term => {
                life.take_term(bare(reply.term).leader_id.term).await;
                Err(ChangeError::NotLeader)
            }
            _ => Ok(()),
        }
    }

    /// Whom to ask instead.
    fn who_leads(&self, life: &Life) -> Vec<String> {
        let members = life.members();
        let leader = life.raft.metrics().borrow_watched().current_leader;
        match leader.and_then(|leader| members.get(&leader)) {
            Some(address) => vec![address.clone()],
            None => addresses(&members),
        }
    }

    /// Somebody asks that a member goes.
    pub(super) async fn on_remove_server(
        self: Arc<Self>,
        life: Arc<Life>,
        from: ServerId,
        target: ServerId,
    ) {
        let result = self.remove_server(&life, target).await;
        let success = matches!(result, Ok(()) | Err(ChangeError::NoSuchServer));
        let comment = match &result {
            Ok(()) => "server removed".to_owned(),
            Err(error) => error.to_string(),
        };
        for to in [from, target] {
            let reply = Body::RemoveServerReply(RemoveServerReply {
                success,
                target_server: (to != target).then_some(target),
            });
            self.say(to, &reply, Some(&comment));
            if from == target {
                break;
            }
        }
    }

    pub(super) async fn remove_server(
        &self,
        life: &Life,
        target: ServerId,
    ) -> Result<(), ChangeError> {
        if !life.is_leader() {
            return Err(ChangeError::NotLeader);
        }
        let Ok(_guard) = self.changing.try_lock() else {
            return Err(ChangeError::InProgress);
        };
        let mut members = life.members();
        if members.remove(&target).is_none() {
            return Err(ChangeError::NoSuchServer);
        }
        if members.is_empty() {
            return Err(ChangeError::OnlyMember);
        }
        change(life, &members).await?;
        tracing::info!(db = self.db(), "raft: server {target} is a member no more");
        Ok(())
    }

    pub(super) fn on_remove_server_reply(&self, life: &Life, reply: &RemoveServerReply) {
        let about_us = reply
            .target_server
            .is_none_or(|target| target == self.identity.server_id);
        if reply.success && about_us && self.leaving.load(Ordering::Relaxed) {
            self.report.lock().left = true;
            self.wake.notify_one();
        }
        tracing::debug!(
            db = self.db(),
            "raft: {reply:?} in term {}",
            life.store.term()
        );
    }

    /// Asks again to be let go. Who was elected meanwhile hands the leadership over once more, but not at once:
    /// the others may be leaving, too, and one of them has to let the other go.
    pub(super) async fn ask_again_to_leave(&self, life: &Life) {
        if !life.is_leader() || !self.became_leader_within(1) {
            self.ask_to_leave(life).await;
        }
    }

    /// Asks the leader to be let go; a leader first makes another one lead.
    async fn ask_to_leave(&self, life: &Life) {
        if life.is_leader() {
            self.hand_over_and_stay(life).await;
        }
        let own = self.identity.server_id;
        let request = Body::RemoveServerRequest(RemoveServerRequest { server_id: own });
        let leader = life.raft.metrics().borrow_watched().current_leader;
        match leader {
            Some(leader) if leader != own => self.say(leader, &request, None),
            // Nobody else leads yet.
            Some(_) => {}
            // It may be none of theirs already, and hear of no leader any more.
            None => {
                for other in life.members().keys().filter(|other| **other != own) {
                    self.say(*other, &request, None);
                }
            }
        }
    }

    /// The log, or the leader, says that this server is a member no more.
    pub(super) fn has_left(&self, life: &Life) -> bool {
        let progress = life.shared.progress();
        let own = self.identity.server_id;
        let removed =
            !progress.members.contains_key(&own) && life.was_member.load(Ordering::Relaxed);
        if progress.members.contains_key(&own) {
            life.was_member.store(true, Ordering::Relaxed);
        }
        removed || self.report.lock().left
    }

    /// Writes that into the file, so that nobody starts it as a member again.
    pub(super) async fn note_left(&self, life: &Life) -> End {
        let (sender, receiver) = oneshot::channel();
        let noted = life.store.note(
            LEFT,
            None,
            Box::new(move |result| {
                let _ = sender.send(result);
            }),
        );
        if let Err(refused) = noted {
            return End::Failed(format!("{:?}", refused.reason));
        }
        match receiver.await {
            Ok(Ok(())) => End::Left,
            Ok(Err(error)) => End::Failed(error.to_string()),
            Err(_) => End::Failed("the log has stopped".to_owned()),
        }
    }
}

async fn change(life: &Life, members: &Servers) -> Result<(), ChangeError> {
    let failed = |error: &dyn std::fmt::Display| ChangeError::Failed(error.to_string());
    let membership = membership_of(members).map_err(|error| failed(&error))?;
    let changed = life
        .raft
        .append_membership(membership, EntryPayload::Blank, []);
    match changed.await {
        Ok(_) => Ok(()),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
            Err(ChangeError::NotLeader)
        }
        Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_),
        ))) => Err(ChangeError::InProgress),
        Err(error) => Err(failed(&error)),
    }
}

fn addresses(members: &Servers) -> Vec<String> {
    members.values().cloned().collect()
}

impl Node {
    /// Removes a member (`cluster/kick`): as leader at once, otherwise by asking the leader.
    pub async fn kick(&self, server: ServerId) -> Result<(), ChangeError> {
        let Some(life) = self.inner.life() else {
            return Err(ChangeError::NotLeader);
        };
        if !life.members().contains_key(&server) {
            return Err(ChangeError::NoSuchServer);
        }
        if life.is_leader() {
            return self.inner.remove_server(&life, server).await;
        }
        let leader = life.raft.metrics().borrow_watched().current_leader;
        let leader = leader.ok_or(ChangeError::NotLeader)?;
        let request = Body::RemoveServerRequest(RemoveServerRequest { server_id: server });
        let sent = self.inner.wire.peers.send(leader, &request, None);
        sent.map_err(|error| ChangeError::Failed(error.to_string()))
    }

    /// Begins to leave the cluster (`cluster/leave`).
    pub async fn leave(&self) -> Result<(), ChangeError> {
        let Some(life) = self.inner.life() else {
            return Err(ChangeError::Failed("not yet a member".to_owned()));
        };
        if life.members().len() <= 1 {
            return Err(ChangeError::OnlyMember);
        }
        self.inner.leaving.store(true, Ordering::Relaxed);
        self.inner.ask_to_leave(&life).await;
        Ok(())
    }
}
