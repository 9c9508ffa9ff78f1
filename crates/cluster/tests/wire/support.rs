//! Members on loopback addresses.

#![allow(dead_code, reason = "each test uses a part")]

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use ovsdb::Uuid;
use ovsdb_cluster::entry::{ServerId, Servers};
use ovsdb_cluster::wire::extension::{OWN_MESSAGES, PRE_VOTE};
use ovsdb_cluster::wire::message::{AppendRequest, BecomeLeader, Log};
use ovsdb_cluster::wire::stream::{Event, Local, Peers, Settings};
use ovsdb_cluster::wire::{Announcement, Body, Message};
use tokio::sync::mpsc;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x4000_8000_0000_0000_0000 + n)
}

pub fn cluster() -> Uuid {
    id(0xc1)
}

/// An address with a port that was free a moment ago.
pub fn free(ip: &str) -> SocketAddr {
    let ip: IpAddr = ip.parse().expect("IP address");
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("address")
}

/// Members 1, 2, ... at these addresses.
pub fn servers(addresses: &[SocketAddr]) -> Servers {
    let numbered = (1..).zip(addresses);
    numbered
        .map(|(n, address)| (id(n), format!("tcp:{address}")))
        .collect()
}

pub fn local(n: u128, address: SocketAddr) -> Local {
    Local {
        db: "test".into(),
        server: id(n),
        cluster: Some(cluster()),
        address: format!("tcp:{address}"),
        announcement: Announcement::new([OWN_MESSAGES, PRE_VOTE]),
    }
}

/// A member and its news.
pub struct Node {
    pub peers: Peers,
    pub events: mpsc::Receiver<Event>,
    pub server: ServerId,
}

impl Node {
    pub fn start(local: Local, listen: SocketAddr, members: &Servers, settings: Settings) -> Node {
        let (sender, events) = mpsc::channel(64);
        let server = local.server;
        let peers =
            Peers::start(local, &[listen.into()], members, sender, settings).expect("start");
        Node {
            peers,
            events,
            server,
        }
    }

    /// Member `n` of those at `addresses`.
    pub fn member(n: u128, addresses: &[SocketAddr]) -> Node {
        let address = addresses[n as usize - 1];
        let members = servers(addresses);
        Node::start(local(n, address), address, &members, Settings::default())
    }

    /// The first event from now on that `pick` takes.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("events go on");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not within {PATIENCE:?}"),
        }
    }

    pub async fn message(&mut self, what: &str, mut pick: impl FnMut(&Message) -> bool) -> Message {
        self.wait(what, |event| match event {
            Event::Received { message, .. } if pick(&message) => Some(message),
            _ => None,
        })
        .await
    }

    /// A message of this term.
    pub async fn term(&mut self, term: u64) -> Message {
        let what = format!("a message of term {term}");
        self.message(&what, |m| m.body.term() == Some(term)).await
    }

    /// Waits until it has so many connections with a server.
    pub async fn links(&mut self, server: ServerId, count: usize) {
        let start = std::time::Instant::now();
        loop {
            while self.events.try_recv().is_ok() {}
            let links = self.peers.links();
            if links.iter().filter(|l| l.server == Some(server)).count() == count {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{count} links: {links:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn send(&self, to: u128, body: &Body) {
        self.peers.send(id(to), body, None).expect("sent");
    }
}

/// A small message that carries a number.
pub fn term(term: u64) -> Body {
    Body::BecomeLeader(BecomeLeader { term })
}

pub fn heartbeat(term: u64) -> Body {
    Body::AppendRequest(AppendRequest {
        term,
        prev_log_index: 1,
        prev_log_term: 1,
        leader_commit: 1,
        log: Log::default(),
    })
}
