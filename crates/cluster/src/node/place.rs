//! Where this member stands: for its clients, and for people.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, ServerState};
use uuid::Uuid;

use super::contacts::Contacts;
use super::life::Life;
use super::troubles::Troubles;
use super::{Inner, Node};
use crate::entry::{Index, ServerId, Servers, Term};
use crate::replica::Place;
use crate::status::Phase;
use crate::wire::Announcement;
use crate::wire::stream::LinkStatus;

/// A member is cut off after this many election timers without a sign of the others.
const CUT_OFF: u32 = 2;

/// An election that this server stood for.
#[derive(Debug, Clone)]
pub struct LastElection {
    /// When it began.
    pub started: Instant,
    /// When it was won, if it was.
    pub won: Option<Instant>,
    /// Why: `timeout`, `leadership_transfer`.
    pub reason: &'static str,
}

/// What is only good to know.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) election: Option<LastElection>,
    pub(super) disconnections: u64,
    /// Whom it asks to become a member.
    pub(super) remotes: Vec<String>,
    /// Why the file is not in use, while it is not.
    pub(super) failure: Option<String>,
    pub(super) troubles: Troubles,
    pub(super) left: bool,
    /// The cluster says that it is no member.
    pub(super) expelled: bool,
    pub(super) stranger: Option<Stranger>,
    /// It was in touch with a majority once.
    pub(super) was_connected: bool,
    /// Who has led last.
    pub(super) last_leader: Option<ServerId>,
}

/// A member of another cluster that was refused.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// Where it is.
    pub address: String,
    /// Its cluster.
    pub cluster: Uuid,
    /// What it says about itself, if it is of our kind.
    pub announcement: Option<Announcement>,
}

impl Report {
    pub(super) fn new(remotes: Vec<String>) -> Report {
        Report {
            remotes,
            ..Report::default()
        }
    }

    pub(super) fn election_started(&mut self, reason: &'static str) {
        self.election = Some(LastElection {
            started: Instant::now(),
            won: None,
            reason,
        });
    }
}

/// Another member as a leader sees it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// The last entry that it is known to have; only a leader knows.
    pub matched: Option<Index>,
    /// How long ago it was heard.
    pub heard: Option<Duration>,
    /// The entry that has made it a member is not committed yet.
    pub committing: bool,
}

/// A server that a leader adds or removes.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its id.
    pub server: ServerId,
    /// Its address.
    pub address: String,
    /// How far it is.
    pub phase: Phase,
}

/// Where a member stands, for people.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The cluster's id, once known.
    pub cluster: Option<Uuid>,
    /// It waits for these to let it in.
    pub joining: Option<Vec<String>>,
    /// It is on its way out.
    pub leaving: bool,
    /// It is a member no more.
    pub left: bool,
    /// Its file cannot be used at the moment.
    pub failure: Option<String>,
    /// It leads.
    pub is_leader: bool,
    /// It stands for election.
    pub is_candidate: bool,
    /// It was in touch with a majority once.
    pub was_connected: bool,
    /// Its place for clients.
    pub place: Place,
    /// For whom it voted in the current term.
    pub vote: Option<ServerId>,
    /// The last election that it stood for.
    pub election: Option<LastElection>,
    /// In milliseconds.
    pub election_timer: u64,
    /// The first entry of the log in the file, and the one behind its last.
    pub log: (Index, Index),
    /// What is committed, and what is applied.
    pub committed: Index,
    /// See `committed`.
    pub applied: Index,
    /// What the election timer will be when an entry is committed, in milliseconds.
    pub next_election_timer: Option<u64>,
    /// All members.
    pub members: BTreeMap<ServerId, Peer>,
    /// Servers that are being added or removed, as a leader knows.
    pub changes: Vec<Change>,
    /// All connections.
    pub links: Vec<LinkStatus>,
    /// Addresses where nobody answers at the moment, and who should be there.
    pub broken: Vec<(String, Option<ServerId>)>,
    /// How often a connection was lost.
    pub disconnections: u64,
    /// What a person should know.
    pub troubles: Vec<String>,
}

impl Inner {
    /// As a leader it has heard of a majority lately.
    pub(super) fn has_quorum(&self, life: &Life) -> bool {
        if life.members().len() <= 1 {
            return true;
        }
        let limit = self.clock.lock().timer() * CUT_OFF;
        let metrics = life.raft.metrics();
        let acked = metrics.borrow_watched().last_quorum_acked;
        acked.is_some_and(|acked| acked.elapsed() < limit)
    }

    /// Finds out where this member stands, and tells the replica if that is news.
    pub(super) fn update_place(&self, life: &Life) {
        let (state, term, leader) = {
            let metrics = life.raft.metrics();
            let metrics = metrics.borrow_watched();
            (metrics.state, metrics.current_term, metrics.current_leader)
        };
        let own = self.identity.server_id;
        let is_leader = state == ServerState::Leader;
        let handing_over = self.handing_over.load(Ordering::Acquire);
        let ready = is_leader && life.shared.last().term == term && !handing_over;
        if is_leader {
            let mut report = self.report.lock();
            if let Some(election) = &mut report.election
                && election.won.is_none()
            {
                election.won = Some(Instant::now());
                self.counters.elections_won.increment();
            }
        }
        self.note_leader(leader);
        let connected = if is_leader {
            self.has_quorum(life) || self.became_leader_lately()
        } else {
            let clock = self.clock.lock();
            let heard = clock.silence(Instant::now()) < clock.timer() * CUT_OFF;
            let cut_off = self.leader_cut_off.load(Ordering::Relaxed);
            heard && clock.ever_heard() && !cut_off
        };
        self.wire.set_cut_off(is_leader && !connected);
        // Its clients are to look for another server in time.
        let connected = connected && !self.leaving.load(Ordering::Relaxed);
        let place = Place {
            leading: ready.then_some(term),
            leader: leader.filter(|leader| *leader != own),
            term,
            connected,
        };
        let mut known = self.place.lock();
        if *known == place {
            return;
        }
        let before = std::mem::replace(&mut *known, place.clone());
        self.log_place(&before, &place);
        // Under the lock: another one's news must not overtake this.
        self.replica.placed(&place);
    }

    fn note_leader(&self, leader: Option<ServerId>) {
        let mut report = self.report.lock();
        if leader.is_some() && report.last_leader != leader {
            report.last_leader = leader;
            self.counters.leader_changes.increment();
        }
    }

    fn became_leader_lately(&self) -> bool {
        self.became_leader_within(CUT_OFF)
    }

    /// It has won its last election so many election timers ago at most.
    pub(super) fn became_leader_within(&self, timers: u32) -> bool {
        let limit = self.clock.lock().timer() * timers;
        let report = self.report.lock();
        let won = report.election.as_ref().and_then(|election| election.won);
        won.is_some_and(|won| won.elapsed() < limit)
    }

    fn log_place(&self, before: &Place, now: &Place) {
        let (db, term) = (self.db(), now.term);
        match (before.leading, now.leading) {
            (None, Some(_)) => tracing::info!(db, "raft: leads in term {term}"),
            (Some(_), None) => tracing::info!(db, "raft: does not lead any more (term {term})"),
            _ => {}
        }
        if now.leader.is_some() && now.leader != before.leader {
            let leader = now.leader.unwrap_or_default();
            tracing::info!(db, "raft: follows server {leader} in term {term}");
        }
        if before.connected != now.connected {
            let connected = now.connected;
            tracing::debug!(db, "raft: raft_is_connected: {connected}");
        }
        if before.connected && self.leaving.load(Ordering::Relaxed) {
            tracing::info!(db, "raft: leaves the cluster");
        } else if before.connected && !now.connected {
            tracing::warn!(db, "raft: is cut off from a majority of the members");
        } else if !before.connected && now.connected {
            self.report.lock().was_connected = true;
            tracing::info!(db, "raft: is in touch with a majority of the members");
        }
    }
}

impl Inner {
    /// What a leader is doing about its members, beside those that the log has already.
    fn changes(&self, members: &Servers, committed: &Servers) -> Vec<Change> {
        let adding = self.adding.lock();
        let adding = adding
            .iter()
            .filter(|(id, _)| !members.contains_key(id))
            .map(|(id, newcomer)| Change {
                server: *id,
                address: newcomer.address.clone(),
                phase: match newcomer.caught_up {
                    true => Phase::CaughtUp,
                    false => Phase::CatchingUp,
                },
            });
        let removing = committed
            .iter()
            .filter(|(id, _)| !members.contains_key(id))
            .map(|(id, address)| Change {
                server: *id,
                address: address.clone(),
                phase: Phase::Removing,
            });
        adding.chain(removing).collect()
    }
}

impl Node {
    /// Where this member stands.
    pub fn standing(&self) -> Standing {
        let inner = &self.inner;
        let place = inner.place.lock().clone();
        let links = inner.wire.peers.links();
        let report = inner.report.lock();
        let mut standing = Standing {
            cluster: self.cluster_id(),
            joining: None,
            leaving: inner.leaving.load(Ordering::Relaxed),
            left: report.left,
            failure: report.failure.clone(),
            is_leader: false,
            is_candidate: false,
            was_connected: report.was_connected,
            place,
            vote: None,
            election: report.election.clone(),
            election_timer: crate::file::replay::DEFAULT_ELECTION_TIMER,
            log: (1, 1),
            committed: 0,
            applied: 0,
            next_election_timer: None,
            members: BTreeMap::new(),
            changes: Vec::new(),
            links,
            broken: inner.wire.peers.broken(),
            disconnections: report.disconnections,
            troubles: report.troubles.texts(),
        };
        let remotes = report.remotes.clone();
        drop(report);
        let Some(life) = inner.life() else {
            standing.joining = Some(remotes);
            return standing;
        };
        let members = life.members();
        let own = inner.identity.server_id;
        if !members.contains_key(&own) && !standing.left {
            standing.joining = Some(remotes);
        }
        let metrics = life.raft.metrics();
        let metrics = metrics.borrow_watched();
        standing.is_leader = metrics.state == ServerState::Leader;
        standing.is_candidate = metrics.state == ServerState::Candidate;
        let matched = |id: &ServerId| {
            let replication = metrics.replication.as_ref()?;
            Some(replication.get(id)?.as_ref()?.index)
        };
        let committed = life.shared.progress().members;
        standing.members = peers_of(&members, matched, &inner.contacts.lock());
        if standing.is_leader {
            for (id, peer) in &mut standing.members {
                peer.committing = !committed.contains_key(id);
            }
            standing.changes = inner.changes(&members, &committed);
        }
        standing.vote = life.store.vote();
        standing.election_timer = life.election_timer();
        standing.next_election_timer = life.store.next_election_timer();
        let first = life.store.snapshot().map_or(0, |snapshot| snapshot.index) + 1;
        standing.log = (first, life.store.ends().1.index + 1);
        standing.committed = life.store.commit_index();
        standing.applied = life.shared.last().index;
        standing
    }

    /// The current term; 0 before there is one.
    pub fn term(&self) -> Term {
        self.inner.life().map_or(0, |life| life.store.term())
    }
}

fn peers_of(
    members: &Servers,
    matched: impl Fn(&ServerId) -> Option<Index>,
    contacts: &Contacts,
) -> BTreeMap<ServerId, Peer> {
    let peer = |(id, address): (&ServerId, &String)| {
        let peer = Peer {
            address: address.clone(),
            matched: matched(id),
            heard: contacts.last(*id).map(|at| at.elapsed()),
            committing: false,
        };
        (*id, peer)
    };
    members.iter().map(peer).collect()
}
