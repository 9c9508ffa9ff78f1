//! Who is connected how, for all connections of one database.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ovsdb_counters::Counter;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::{Budget, Held};
use super::event::{Event, LinkId, Receiver};
use super::identity::{Local, Refusal, judge};
use super::log_limit::LogLimit;
use super::outbox::{Bounds, Kind, Outbox};
use super::settings::Settings;
use crate::entry::{ServerId, Servers};
use crate::wire::message::{HelloRequest, frame};
use crate::wire::{Address, Announcement, Body, Head, Message};

/// A caller that says who it is may have so many connections; then its oldest is closed.
const SAME_CALLER: usize = 3;

/// What the tasks of all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) receiver: OnceLock<Weak<dyn Receiver>>,
    pub(super) state: Mutex<State>,
    /// Of what waits for each connection.
    pub(super) bounds: Arc<Bounds>,
    /// Of what members send, and those that were dialled.
    pub(super) of_members: Budget,
    pub(super) of_strangers: Budget,
    log_limit: LogLimit,
    /// Connections that come and go do not hide what was wrong with others.
    traffic_limit: LogLimit,
    /// Servers that there is no TLS with, called or calling.
    pub(super) failed_handshakes: Counter,
    /// In milliseconds.
    probe: AtomicU64,
    /// Nothing is sent or read at the moment, for tests.
    pub(super) halted: watch::Sender<bool>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) local: Local,
    pub(super) members: Servers,
    pub(super) targets: BTreeMap<Address, Arc<Target>>,
    links: BTreeMap<LinkId, Link>,
    last_link: u64,
    /// What members of our kind have said last about themselves, for the time without a connection.
    announced: BTreeMap<ServerId, Announcement>,
}

/// An address that is dialled.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    /// Who should be there, if that is known.
    pub(super) server: Mutex<Option<ServerId>>,
    /// The peer has called: it is worth trying now.
    pub(super) kick: Notify,
    pub(super) stop: CancellationToken,
}

impl Target {
    pub(super) fn server(&self) -> Option<ServerId> {
        *self.server.lock()
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) server: Option<ServerId>,
    pub(super) address: String,
    pub(super) dialled: bool,
    pub(super) outbox: Arc<Outbox>,
    pub(super) stop: CancellationToken,
    announcement: Option<Announcement>,
    /// It had our hello.
    greeted: bool,
}

/// What is known of a message's sender.
pub(super) struct Accepted {
    /// It is a member.
    pub(super) known: bool,
    /// A caller's address, with its first message, which says who it is.
    pub(super) caller: Option<String>,
}

impl Shared {
    pub(super) fn new(local: Local, settings: Settings, events: mpsc::Sender<Event>) -> Self {
        Shared {
            state: Mutex::new(State {
                local,
                members: Servers::new(),
                targets: BTreeMap::new(),
                links: BTreeMap::new(),
                last_link: 0,
                announced: BTreeMap::new(),
            }),
            bounds: Arc::new(Bounds::new(&settings)),
            of_members: Budget::new(settings.max_message),
            of_strangers: Budget::new(settings.max_of_strangers),
            log_limit: LogLimit::new(),
            traffic_limit: LogLimit::new(),
            failed_handshakes: Counter::new(),
            probe: AtomicU64::new(0),
            halted: watch::Sender::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            receiver: OnceLock::new(),
            settings,
            events,
        }
    }

    /// Hands a message to the receiver, or to the owner; false if there is none any more, or all is over.
    pub(super) async fn hand_over(&self, link: LinkId, message: Message, held: Held) -> bool {
        let receiver = self.receiver.get().and_then(Weak::upgrade);
        let left = match receiver {
            Some(receiver) => receiver.take(link, message, held),
            None => Some((message, held)),
        };
        match left {
            None => true,
            Some((message, held)) => {
                let received = Event::Received {
                    link,
                    message,
                    held,
                };
                self.tell(received).await
            }
        }
    }

    pub(super) fn is_halted(&self) -> bool {
        *self.halted.borrow()
    }

    /// Waits while nothing is to be sent or read.
    pub(super) async fn go_on(&self) {
        if self.is_halted() {
            // The sender is here.
            let _ = self.halted.subscribe().wait_for(|halted| !halted).await;
        }
    }

    pub(super) fn probe(&self) -> Duration {
        match self.probe.load(Ordering::Relaxed) {
            0 => self.settings.probe,
            milliseconds => Duration::from_millis(milliseconds),
        }
    }

    pub(super) fn set_probe(&self, probe: Duration) {
        let milliseconds = u64::try_from(probe.as_millis()).unwrap_or(u64::MAX);
        self.probe.store(milliseconds.max(1), Ordering::Relaxed);
    }

    /// The database's name for log lines.
    pub(super) fn db(&self) -> String {
        self.state.lock().local.db.clone()
    }

    /// Who is at the other end of a connection: the dialled address, or where the caller called from.
    pub(super) fn address_of(&self, link: LinkId) -> String {
        let state = self.state.lock();
        let link = state.links.get(&link);
        link.map_or_else(String::new, |link| link.address.clone())
    }

    /// Whether a line that a stranger can cause may be written.
    pub(super) fn may_log(&self) -> bool {
        self.may_log_in(&self.log_limit)
    }

    /// The same for connections that come and go.
    pub(super) fn may_log_traffic(&self) -> bool {
        self.may_log_in(&self.traffic_limit)
    }

    fn may_log_in(&self, limit: &LogLimit) -> bool {
        match limit.allow() {
            None => false,
            Some(0) => true,
            Some(others) => {
                tracing::info!(db = self.db(), "raft: {others} lines were left out here");
                true
            }
        }
    }

    /// Tells the owner; false if there is none any more, or all is over.
    pub(super) async fn tell(&self, event: Event) -> bool {
        tokio::select! {
            biased;
            sent = self.events.send(event) => sent.is_ok(),
            () = self.stop.cancelled() => false,
        }
    }

    /// Notes a new connection. One that was dialled begins with our hello.
    pub(super) fn add_link(
        &self,
        target: Option<&Target>,
        address: String,
        stop: &CancellationToken,
    ) -> (LinkId, Arc<Outbox>, CancellationToken) {
        let outbox = Arc::new(Outbox::new(self.bounds.clone()));
        let stop = stop.child_token();
        let mut state = self.state.lock();
        state.last_link += 1;
        let id = LinkId(state.last_link);
        let link = Link {
            server: target.and_then(Target::server),
            address,
            dialled: target.is_some(),
            outbox: outbox.clone(),
            stop: stop.clone(),
            announcement: None,
            greeted: false,
        };
        let State { local, links, .. } = &mut *state;
        let link = links.entry(id).or_insert(link);
        if link.dialled {
            link.greet(local);
        }
        (id, outbox, stop)
    }

    /// Forgets a connection; gives who was there and how many others that server has.
    pub(super) fn remove_link(&self, id: LinkId) -> (Option<ServerId>, usize) {
        let mut state = self.state.lock();
        let server = state.links.remove(&id).and_then(|link| link.server);
        let remaining = server.map_or(0, |server| state.links_of(server).count());
        (server, remaining)
    }

    /// Makes room for another caller: the oldest one that is no member goes. False if there is no
    /// room.
    pub(super) fn make_room(&self) -> bool {
        let most = self.settings.max_accepted;
        let state = self.state.lock();
        let callers = || state.links.values().filter(|link| !link.dialled);
        let staying = callers().filter(|link| !link.stop.is_cancelled());
        if staying.count() < most {
            return true;
        }
        let known = |link: &Link| {
            link.server
                .is_some_and(|id| state.members.contains_key(&id))
        };
        let oldest = callers().find(|link| !link.stop.is_cancelled() && !known(link));
        let Some(oldest) = oldest else { return false };
        oldest.stop.cancel();
        // Those that are told to go take a moment.
        callers().count() < 2 * most
    }

    /// Judges a message and notes what it says about who is there.
    pub(super) fn accept_message(
        &self,
        id: LinkId,
        message: &Message,
    ) -> Result<Accepted, Box<Refusal>> {
        let mut state = self.state.lock();
        let State {
            local,
            members,
            links,
            targets,
            announced,
            ..
        } = &mut *state;
        let known = members.contains_key(&message.head.from);
        let mut accepted = Accepted {
            known,
            caller: None,
        };
        let Some(link) = links.get_mut(&id) else {
            return Ok(accepted);
        };
        judge(local, members, link.server, message)?;
        if matches!(
            message.body,
            Body::HelloRequest(_) | Body::AddServerRequest(_)
        ) {
            let comment = message.head.comment.as_deref();
            link.announcement = comment.and_then(Announcement::parse);
            match &link.announcement {
                Some(announcement) if known => {
                    announced.insert(message.head.from, announcement.clone());
                }
                _ => {
                    announced.remove(&message.head.from);
                }
            }
        }
        let server = message.head.from;
        if link.server.replace(server).is_some() || link.dialled {
            return Ok(accepted);
        }
        link.greet(local);
        let address = link.address.clone();
        for target in targets.values().filter(|t| t.server() == Some(server)) {
            target.kick.notify_one();
        }
        let called: Vec<_> = links
            .values()
            .filter(|link| link.server == Some(server) && !link.dialled)
            .collect();
        if called.len() > SAME_CALLER {
            called[0].stop.cancel();
        }
        accepted.caller = Some(address);
        Ok(accepted)
    }
}

impl State {
    fn links_of(&self, server: ServerId) -> impl Iterator<Item = (&LinkId, &Link)> {
        self.links
            .iter()
            .filter(move |(_, link)| link.server == Some(server) && !link.stop.is_cancelled())
    }

    /// The connection to send on: the dialled one, else the newest. A snapshot goes the other
    /// way round, so that it does not stand in the way.
    pub(super) fn link_for(&self, server: ServerId, kind: Kind) -> Option<(LinkId, &Link)> {
        let prefers_dialled = kind != Kind::Snapshot;
        self.links_of(server)
            .max_by_key(|(id, link)| (link.dialled == prefers_dialled, **id))
            .map(|(id, link)| (*id, link))
    }

    /// A member, or who should be.
    pub(super) fn is_member(&self, server: ServerId) -> bool {
        self.members.contains_key(&server)
    }

    pub(super) fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    /// It is known now who should be at a dialled address, or it is no longer. A connection
    /// stays if the right one is there: who joins must not lose it at this moment.
    pub(super) fn expect(&mut self, target: &Target, server: Option<ServerId>) {
        let before = std::mem::replace(&mut *target.server.lock(), server);
        if before == server {
            return;
        }
        let address = target.address.to_string();
        let dialled = self.links.values_mut().filter(|link| link.dialled);
        for link in dialled.filter(|link| link.address == address) {
            match (link.server, server) {
                (None, _) => link.server = server,
                (Some(is), Some(should)) if is != should => link.stop.cancel(),
                _ => {}
            }
        }
    }

    /// What a server of our kind says about itself.
    pub(super) fn announcement(&self, server: ServerId) -> Option<&Announcement> {
        let mut links = self.links_of(server);
        links.find_map(|(_, link)| link.announcement.as_ref())
    }

    /// What a member has said last about itself, connected or not; none for one of another kind.
    pub(super) fn last_announcement(&self, server: ServerId) -> Option<&Announcement> {
        let live = self.announcement(server);
        live.or_else(|| self.announced.get(&server))
    }

    /// Notes who the members are. Of others nothing is kept.
    pub(super) fn note_members(&mut self, members: &Servers) {
        self.members.clone_from(members);
        self.announced
            .retain(|server, _| members.contains_key(server));
        for link in self.links.values() {
            if let (Some(server), Some(announcement)) = (link.server, &link.announcement)
                && members.contains_key(&server)
            {
                self.announced.insert(server, announcement.clone());
            }
        }
    }

    /// Our cluster is known now: say so where we could not before.
    pub(super) fn greet_all(&mut self) {
        let State { local, links, .. } = self;
        for link in links.values_mut() {
            if link.dialled || link.server.is_some() {
                link.greet(local);
            }
        }
    }
}

impl Link {
    /// Sends our hello, once. Without a cluster there is none: the reference would refuse it.
    fn greet(&mut self, local: &Local) {
        if self.greeted || local.cluster.is_none() {
            return;
        }
        let head = Head {
            cluster: local.cluster,
            from: local.server,
            to: self.server,
            comment: Some(local.announcement.to_string()),
        };
        let hello = Body::HelloRequest(HelloRequest {
            address: local.address.clone(),
        });
        self.greeted = self.outbox.push(Kind::Other, frame(&head, &hello));
    }

    /// Announced itself as one of our kind on this connection.
    pub(super) fn is_ours(&self) -> bool {
        self.announcement.is_some()
    }
}
