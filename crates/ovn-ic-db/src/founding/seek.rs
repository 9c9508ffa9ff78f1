//! Looking for a cluster: [`Founding`] on real connections.
//!
//! Until there is a cluster, a server can say one thing that every member takes, the reference too: a
//! request to be added. It goes to all nodes again and again, and its comment carries the report.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ovsdb_cluster::entry::{ServerId, Servers};
use ovsdb_cluster::wire::message::AddServerRequest;
use ovsdb_cluster::wire::stream::{self, LinkId, Local, Peers};
use ovsdb_cluster::wire::{Announcement, Body, ClusterId};
use tokio::sync::mpsc;

use super::contacts::Contacts;
use super::decision::{Decision, Event};
use super::rule::Founding;
use super::{Past, Report};
use crate::schemas::Side;
use crate::settings::ClusterSettings;

/// How often everybody is asked again, as the reference does.
const AGAIN: Duration = Duration::from_secs(1);
/// News of connections that may wait.
const EVENTS: usize = 256;

/// Who looks for a cluster.
#[derive(Debug, Clone)]
pub struct Seeking {
    /// For which database.
    pub side: Side,
    /// Under which id ([`OwnFile::candidate_id`](crate::membership::OwnFile::candidate_id)).
    pub server: ServerId,
    /// What its file says.
    pub past: Past,
    /// Whom its file says to ask.
    pub remotes: Vec<IpAddr>,
    /// What it can do, without facts about founding.
    pub announcement: Announcement,
    /// Bounds, times and keys of its connections.
    pub wire: stream::Settings,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// There is a new decision. Only after [`Decision::Found`] is it the last one.
    Decided(Decision),
    /// The leader of the cluster that is to be joined has sent this, as to a server that it adds: the file
    /// and the connections are a member's business now. It comes after the decision to join, and the
    /// reference's leader sends it only once.
    Taken {
        /// Which cluster.
        cluster: ClusterId,
        /// The message, which is not lost.
        event: stream::Event,
    },
}

/// A node that looks for a cluster. Dropped, its connections are closed.
#[derive(Debug)]
pub struct Seeker {
    seeking: Seeking,
    address: String,
    founding: Founding,
    contacts: Contacts,
    peers: Peers,
    events: mpsc::Receiver<stream::Event>,
    ask_at: Instant,
    /// At most the two that one event makes.
    steps: VecDeque<Step>,
}

impl Seeker {
    /// Listens at the node's Raft address and dials all others. Must be called in a runtime.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub fn start(seeking: Seeking, cluster: &ClusterSettings) -> io::Result<Seeker> {
        let (side, now) = (seeking.side, Instant::now());
        let founding = Founding::new(cluster, seeking.past, &seeking.remotes, now);
        let address = cluster.local_address(side);
        let (sender, events) = mpsc::channel(EVENTS);
        let local = Local {
            db: side.short().to_owned(),
            server: seeking.server,
            cluster: None,
            address: address.clone(),
            announcement: founding.report().announce(seeking.announcement.clone()),
        };
        let listen = SocketAddr::new(cluster.local, cluster.raft_port(side));
        let settings = seeking.wire.clone();
        let peers = Peers::start(local, &[listen.into()], &Servers::new(), sender, settings)?;
        let asked = cluster.others().into_iter().chain(seeking.remotes.clone());
        let asked: Vec<String> = asked.map(|node| cluster.raft_address(side, node)).collect();
        peers.set_members(&Servers::new(), &asked);
        let decision = founding.decision().clone();
        tell(side, &decision);
        Ok(Seeker {
            seeking,
            address,
            founding,
            contacts: Contacts::default(),
            peers,
            events,
            ask_at: now + AGAIN,
            steps: VecDeque::from([Step::Decided(decision)]),
        })
    }

    /// The id that it introduces itself by.
    pub fn server(&self) -> ServerId {
        self.seeking.server
    }

    /// The decision as it is now.
    #[cfg(test)]
    pub(super) fn decision(&self) -> &Decision {
        self.founding.decision()
    }

    /// Goes on until there is something to do. Nothing is lost if it is cancelled.
    pub async fn next(&mut self) -> Step {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            let now = Instant::now();
            let look = self.founding.next_look(now);
            let wake = look.map_or(self.ask_at, |look| look.min(self.ask_at));
            tokio::select! {
                event = self.events.recv() => {
                    if let Some(event) = event {
                        self.handle(event);
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    if self.ask_at <= Instant::now() {
                        self.ask_all();
                    }
                    self.note(Event::Tick);
                }
            }
        }
    }

    /// The connections, for the member that is started on them.
    pub fn into_connections(self) -> (Peers, mpsc::Receiver<stream::Event>) {
        (self.peers, self.events)
    }

    fn handle(&mut self, event: stream::Event) {
        if let stream::Event::Connected { link, .. } = &event {
            self.ask(*link);
        }
        if let Some(event) = self.contacts.on(&event) {
            self.note(event);
        }
        let cluster = match &event {
            stream::Event::Received { message, .. } if from_a_leader(&message.body) => {
                message.head.cluster
            }
            _ => None,
        };
        let Decision::Join {
            cluster: wanted, ..
        } = self.founding.decision()
        else {
            return;
        };
        if let Some(cluster) = cluster.filter(|_| cluster == *wanted) {
            self.steps.push_back(Step::Taken { cluster, event });
        }
    }

    fn note(&mut self, event: Event) {
        let news = self.founding.on(event, Instant::now());
        if let Some(decision) = news.decision {
            tell(self.seeking.side, &decision);
            self.steps.push_back(Step::Decided(decision));
        }
        if let Some(report) = news.report {
            self.announce(&report);
        }
    }

    fn announce(&mut self, report: &Report) {
        let announcement = report.announce(self.seeking.announcement.clone());
        self.peers.set_announcement(announcement);
        self.ask_all();
    }

    fn ask_all(&mut self) {
        self.ask_at = Instant::now() + AGAIN;
        for link in self.peers.links() {
            self.ask(link.link);
        }
    }

    /// A connection that has gone meanwhile, or is full, is asked another time.
    fn ask(&self, link: LinkId) {
        let request = Body::AddServerRequest(AddServerRequest {
            address: self.address.clone(),
        });
        let _ = self.peers.send_on(link, &request, None);
    }
}

/// What a leader begins with when it adds a server.
fn from_a_leader(body: &Body) -> bool {
    matches!(
        body,
        Body::AppendRequest(_) | Body::InstallSnapshotRequest(_)
    )
}

fn tell(side: Side, decision: &Decision) {
    tracing::info!(db = side.short(), "cluster: {decision}");
}
