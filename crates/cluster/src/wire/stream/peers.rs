//! The owner's side.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::DropGuard;

use super::accept;
use super::dial;
use super::event::{Event, LinkId, Receiver};
use super::identity::Local;
use super::listen::{Listen, Listener};
use super::outbox::{Kind, Outbox};
use super::settings::Settings;
use super::table::{Link, Shared, State, Target};
use super::traffic;
use crate::address::Transport;
use crate::entry::{ServerId, Servers};
use crate::wire::message::frame;
use crate::wire::{Address, Announcement, Body, ClusterId, Head};

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection with that server (any more).
    #[error("not connected")]
    NotConnected,
    /// The peer does not take what waits for it.
    #[error("the peer is too slow: too much waits for it")]
    QueueFull,
    /// Longer than members accept.
    #[error("message of {0} bytes is too long")]
    TooLong(usize),
    /// The message must name a cluster, and we do not know ours.
    #[error("the cluster is not known yet")]
    NoCluster,
    /// The message must name its receiver, and it is not known who that is.
    #[error("the receiver is not known yet")]
    NoReceiver,
    /// The message is for members of our own kind only.
    #[error("the receiver would not understand it")]
    NotOurs,
}

/// A connection as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Which one.
    pub link: LinkId,
    /// Who is at the other end.
    pub server: Option<ServerId>,
    /// The dialled address, or where the caller called from.
    pub address: String,
    /// This side made it.
    pub dialled: bool,
    /// Messages that wait to be written.
    pub waiting_messages: usize,
    /// Their bytes, without snapshots.
    pub waiting_bytes: usize,
}

/// All connections of one member of one database. Dropped, they are closed.
#[derive(Debug)]
pub struct Peers {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl Peers {
    /// Listens at the addresses and dials the members. A full `events` makes the peers wait, so
    /// its reader must not wait for them. Must be called in a runtime.
    ///
    /// # Errors
    /// If an address cannot be listened at; nothing is left behind then.
    pub fn start(
        local: Local,
        listen: &[Listen],
        members: &Servers,
        events: mpsc::Sender<Event>,
        settings: Settings,
    ) -> io::Result<Peers> {
        let by_tls = is_tls(&local.address);
        let listeners = listen.iter().map(Listener::open);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(Shared::new(local, settings, events));
        for listener in listeners {
            let calls = accept::take_calls(shared.clone(), listener, by_tls);
            shared.tasks.spawn(calls);
        }
        let peers = Peers {
            _stop: shared.stop.clone().drop_guard(),
            shared,
        };
        peers.set_members(members, &[]);
        Ok(peers)
    }

    /// What this takes from now on does not become an event. It is set once.
    pub fn set_receiver(&self, receiver: Weak<dyn Receiver>) {
        // A second one would be a mistake of the owner's, which costs nothing.
        let _ = self.shared.receiver.set(receiver);
    }

    /// Dials these from now on, and no others: the members (but not us), and addresses of
    /// which it is not known who is there. Connections that the others made stay.
    pub fn set_members(&self, members: &Servers, unknown: &[String]) {
        let mut state = self.shared.state.lock();
        let wanted = wanted(&state, members, unknown);
        state.note_members(members);
        state.targets.retain(|address, target| {
            let keep = wanted.contains_key(address);
            if !keep {
                target.stop.cancel();
            }
            keep
        });
        for (address, server) in wanted {
            if let Some(target) = state.targets.get(&address).cloned() {
                state.expect(&target, server);
                continue;
            }
            let target = Arc::new(Target {
                address: address.clone(),
                server: Mutex::new(server),
                kick: Notify::new(),
                stop: self.shared.stop.child_token(),
            });
            let keep = dial::keep(self.shared.clone(), target.clone());
            self.shared.tasks.spawn(keep);
            state.targets.insert(address, target);
        }
    }

    /// Our cluster is known now. Who is connected gets the hello that was not possible before.
    pub fn set_cluster(&self, cluster: ClusterId) {
        let mut state = self.shared.state.lock();
        state.local.cluster = Some(cluster);
        state.greet_all();
    }

    /// What we say about ourselves on the next connections.
    pub fn set_announcement(&self, announcement: Announcement) {
        self.shared.state.lock().local.announcement = announcement;
    }

    /// After this silence a peer is probed, and after as much again given up. The reference
    /// takes the election timer and a second.
    pub fn set_probe(&self, probe: Duration) {
        self.shared.set_probe(probe);
    }

    /// How many messages may wait for one connection from now on, and how many bytes.
    pub fn set_backlog(&self, messages: usize, bytes: usize) {
        self.shared.bounds.set(messages, bytes);
    }

    /// Sends and reads nothing from now on, or does again; connections stay. For tests.
    pub fn set_halted(&self, halted: bool) {
        self.shared.halted.send_replace(halted);
    }

    /// Sends to a server, on the best connection with it. Never waits. Where the peer is slow,
    /// a heartbeat that waits gives way to other messages without a word.
    ///
    /// # Errors
    /// If it is not sent. What was sent can still get lost with its connection.
    pub fn send(&self, to: ServerId, body: &Body, comment: Option<&str>) -> Result<(), SendError> {
        let to = {
            let state = self.shared.state.lock();
            let Some((_, link)) = state.link_for(to, Kind::of(body)) else {
                return Err(SendError::NotConnected);
            };
            let ours = state.announcement(to).is_some();
            prepare(&state, link, ours, body, comment)?
        };
        self.push(&to, body)
    }

    /// Sends on a connection, for example where it is not known who is there.
    ///
    /// # Errors
    /// If it is not sent.
    pub fn send_on(
        &self,
        link: LinkId,
        body: &Body,
        comment: Option<&str>,
    ) -> Result<(), SendError> {
        let to = {
            let state = self.shared.state.lock();
            let link = state.link(link).ok_or(SendError::NotConnected)?;
            prepare(&state, link, link.is_ours(), body, comment)?
        };
        self.push(&to, body)
    }

    fn push(&self, to: &Way, body: &Body) -> Result<(), SendError> {
        let frame = frame(&to.head, body);
        if self.shared.is_halted() {
            return Err(SendError::NotConnected);
        }
        if let Some((db, address)) = &to.logged {
            traffic::sent(db, address, body, &frame);
        }
        if frame.len() > self.shared.settings.max_message {
            return Err(SendError::TooLong(frame.len()));
        }
        match to.outbox.send(Kind::of(body), frame) {
            true => Ok(()),
            false => Err(SendError::QueueFull),
        }
    }

    /// What a server of our own kind says about itself; none for others, and for who is not
    /// connected.
    pub fn announcement(&self, server: ServerId) -> Option<Announcement> {
        self.shared.state.lock().announcement(server).cloned()
    }

    /// The same, but of a member that is not connected at the moment what it has said last.
    pub fn last_announcement(&self, server: ServerId) -> Option<Announcement> {
        self.shared.state.lock().last_announcement(server).cloned()
    }

    /// True if a member has said last that it is of our own kind.
    pub fn is_ours(&self, server: ServerId) -> bool {
        self.shared.state.lock().last_announcement(server).is_some()
    }

    /// True if there is a connection with that server.
    pub fn is_connected(&self, server: ServerId) -> bool {
        let state = self.shared.state.lock();
        state.link_for(server, Kind::Other).is_some()
    }

    /// How many TLS handshakes with other servers have failed.
    pub fn failed_handshakes(&self) -> u64 {
        self.shared.failed_handshakes.get()
    }

    /// True if it is one of the members that were named last.
    pub fn is_member(&self, server: ServerId) -> bool {
        self.shared.state.lock().is_member(server)
    }

    /// Whether a line that a stranger can cause may be written to the log.
    pub fn may_log(&self) -> bool {
        self.shared.may_log()
    }

    /// True if this address is dialled.
    pub fn dials(&self, address: &str) -> bool {
        let address = address.parse::<Address>();
        let state = self.shared.state.lock();
        address.is_ok_and(|address| state.targets.contains_key(&address))
    }

    /// True if this side has made the connection.
    pub fn is_dialled(&self, link: LinkId) -> bool {
        let state = self.shared.state.lock();
        state.link(link).is_some_and(|link| link.dialled)
    }

    /// All connections, oldest first.
    pub fn links(&self) -> Vec<LinkStatus> {
        let state = self.shared.state.lock();
        let links = state.links().map(|(id, link)| {
            let (waiting_messages, waiting_bytes) = link.outbox.waiting();
            LinkStatus {
                link: id,
                server: link.server,
                address: link.address.clone(),
                dialled: link.dialled,
                waiting_messages,
                waiting_bytes,
            }
        });
        links.collect()
    }

    /// Addresses that are dialled without success at the moment, and who should be there, as far as
    /// that is known.
    pub fn broken(&self) -> Vec<(String, Option<ServerId>)> {
        let state = self.shared.state.lock();
        let targets = state.targets.values();
        let targets = targets.map(|target| (target.address.to_string(), target.server()));
        let is_up = |address: &str| {
            let mut dialled = state.links().filter(|(_, link)| link.dialled);
            dialled.any(|(_, link)| link.address == address)
        };
        targets.filter(|(address, _)| !is_up(address)).collect()
    }

    /// Closes a connection. One that was dialled is dialled again.
    pub fn close(&self, link: LinkId) {
        let state = self.shared.state.lock();
        if let Some(link) = state.link(link) {
            link.stop.cancel();
        }
    }

    /// Closes all connections, after what is queued was written (or after 0.3 s), and ends.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// Whether who calls at an address has to use TLS.
fn is_tls(address: &str) -> bool {
    matches!(
        address.parse(),
        Ok(Address::Network {
            transport: Transport::Ssl,
            ..
        })
    )
}

/// The addresses to dial, and who should be there.
fn wanted(
    state: &State,
    members: &Servers,
    unknown: &[String],
) -> std::collections::BTreeMap<Address, Option<ServerId>> {
    let local = &state.local;
    let ours: Option<Address> = local.address.parse().ok();
    let known = members
        .iter()
        .filter(|(server, _)| **server != local.server)
        .map(|(server, address)| (address, Some(*server)));
    // What is known comes last, and so wins.
    let all = unknown.iter().map(|address| (address, None)).chain(known);
    all.filter_map(|(text, server)| match text.parse::<Address>() {
        Ok(address) => Some((address, server)),
        Err(error) => {
            tracing::warn!(db = local.db, "raft: {error}");
            None
        }
    })
    .filter(|(address, _)| Some(address) != ours.as_ref())
    .collect()
}

/// How a message goes to a peer.
struct Way {
    outbox: Arc<Outbox>,
    head: Head,
    /// The database and the peer's address, where each message is logged.
    logged: Option<(String, String)>,
}

/// The queue for a message and its head.
fn prepare(
    state: &State,
    link: &Link,
    ours: bool,
    body: &Body,
    comment: Option<&str>,
) -> Result<Way, SendError> {
    let local = &state.local;
    let (needs_cluster, needs_receiver) = body.must_name();
    if needs_cluster && local.cluster.is_none() {
        return Err(SendError::NoCluster);
    }
    if needs_receiver && link.server.is_none() {
        return Err(SendError::NoReceiver);
    }
    if matches!(body, Body::Own(_)) && !ours {
        return Err(SendError::NotOurs);
    }
    let comment = match (comment, body) {
        (None, Body::HelloRequest(_) | Body::AddServerRequest(_)) => {
            Some(local.announcement.to_string())
        }
        (comment, _) => comment.map(str::to_owned),
    };
    let head = Head {
        cluster: local.cluster,
        from: local.server,
        to: link.server,
        comment,
    };
    Ok(Way {
        outbox: link.outbox.clone(),
        head,
        logged: traffic::is_logged().then(|| (local.db.clone(), link.address.clone())),
    })
}
