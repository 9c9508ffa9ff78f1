//! The rule itself.
//!
//! A node that may found first needs the consent of every node of our kind that it can reach: these
//! name it as their `founder` and found nothing themselves meanwhile. Of several that want to
//! found, the one with the weaker [`Claim`] gives in; a consent once given stays until its receiver
//! gives in itself or is gone for a while. So two nodes that reach each other never both found.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use ovsdb_cluster::wire::ClusterId;

use super::Past;
use super::claim::{Claim, weight};
use super::decision::{Decision, Event, News};
use super::peer::Peer;
use super::reason::Reason;
use super::report::{Holding, Report, Standing};
use crate::settings::ClusterSettings;

/// More nodes than this are not kept track of: callers make up addresses.
const MOST_PEERS: usize = 64;

/// One node's part in founding one database's cluster.
#[derive(Debug, Clone)]
pub struct Founding {
    own: IpAddr,
    first: bool,
    leader: Option<IpAddr>,
    expected: IpAddr,
    past: Past,
    peers: BTreeMap<IpAddr, Peer>,
    called: bool,
    founder: Option<IpAddr>,
    decision: Decision,
}

/// Another node that has a cluster.
struct Member {
    node: IpAddr,
    present: bool,
    cluster: Option<ClusterId>,
    holding: Holding,
    led: bool,
}

impl Founding {
    /// A node that has heard of nobody. `remotes` are others that its file says to ask.
    pub fn new(
        settings: &ClusterSettings,
        past: Past,
        remotes: &[IpAddr],
        now: Instant,
    ) -> Founding {
        let own = settings.local;
        let asked = settings.others().into_iter().chain(remotes.iter().copied());
        let peers = asked
            .filter(|node| *node != own)
            .map(|node| (node, Peer::new(true, now)));
        // NODE_IPS is never empty: it has the own address.
        let first = settings.nodes.first().copied().unwrap_or(own);
        let mut founding = Founding {
            own,
            first: first == own,
            leader: settings.leader,
            expected: settings.leader.unwrap_or(first),
            past,
            peers: peers.collect(),
            called: false,
            founder: None,
            decision: Decision::Found,
        };
        founding.founder = founding.choose_founder(now);
        founding.decision = founding.decide(now);
        founding
    }

    /// What the node is to do.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What the others are to be told.
    pub fn report(&self) -> Report {
        let standing = match self.past {
            // Only who is joining is let in.
            _ if matches!(self.decision, Decision::Join { .. }) => Standing::Joining,
            Past::Damaged => Standing::Damaged,
            Past::Left => Standing::Left,
            Past::Joining => Standing::Joining,
            _ if self.members().next().is_some() => Standing::Joining,
            _ => Standing::Nothing,
        };
        Report {
            standing,
            founder: self.founder,
            claim: self.claim().filter(|_| self.founder == Some(self.own)),
            leader: self.leader,
            ours: true,
        }
    }

    /// When time alone will change something: an [`Event::Tick`] is due then.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        let times = self.peers.values().flat_map(|peer| {
            let times = [peer.away_at(), peer.held_until()];
            times.into_iter().flatten()
        });
        times.filter(|at| *at > now).min()
    }

    /// Takes note of an event.
    pub fn on(&mut self, event: Event, now: Instant) -> News {
        let before = self.report();
        self.note(event, now);
        if self.decision == Decision::Found {
            return News::default();
        }
        self.founder = self.choose_founder(now);
        let decision = self.decide(now);
        let decided = std::mem::replace(&mut self.decision, decision);
        // It says what has been decided, too.
        let report = self.report();
        News {
            decision: (decided != self.decision).then(|| self.decision.clone()),
            report: (report != before).then_some(report),
        }
    }

    fn note(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected(node) => self.peer(node, |peer| peer.connected(now)),
            Event::Unreachable { node, refused } => {
                self.peer(node, |peer| peer.unreachable(refused, now));
            }
            Event::Heard {
                node,
                report,
                called,
            } => {
                // The reference says whom it wants by calling there.
                let names_us = match report.ours {
                    true => report.leader == Some(self.own),
                    false => called && !report.is_member(),
                };
                self.called |= names_us;
                if names_us || report.is_member() {
                    self.add(node, now);
                }
                self.peer(node, |peer| peer.heard(report));
            }
            Event::Evidence {
                node,
                cluster,
                present,
            } => {
                if present {
                    self.add(node, now);
                }
                self.peer(node, |peer| peer.shown(cluster, present));
            }
            Event::Gone(node) => {
                self.peer(node, |peer| peer.gone(now));
                self.peers.retain(|_, peer| peer.listed || peer.present);
            }
            Event::Tick => {}
        }
    }

    fn peer(&mut self, node: IpAddr, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&node) {
            change(peer);
        }
    }

    /// Takes a caller that is none of `NODE_IPS` into account while it is connected.
    fn add(&mut self, node: IpAddr, now: Instant) {
        if node != self.own && self.peers.len() < MOST_PEERS {
            self.peers
                .entry(node)
                .or_insert_with(|| Peer::new(false, now));
        }
    }

    /// Who has a cluster, or had one when last heard of.
    fn members(&self) -> impl Iterator<Item = Member> {
        self.peers
            .iter()
            .filter_map(|(node, peer)| match peer.report?.standing {
                Standing::Member {
                    cluster,
                    holding,
                    led,
                } => Some(Member {
                    node: *node,
                    present: peer.present,
                    cluster,
                    holding,
                    led,
                }),
                _ => None,
            })
    }

    /// Why this node may found, if it may.
    fn claim(&self) -> Option<Claim> {
        if !matches!(self.past, Past::Nothing | Past::Joining) {
            return None;
        }
        match self.leader {
            Some(leader) => (leader == self.own).then_some(Claim::LeaderIp),
            None if self.called => Some(Claim::Called),
            None => self.first.then_some(Claim::First),
        }
    }

    /// Whom this node lets found: itself, if it may, or another that wants to.
    fn choose_founder(&self, now: Instant) -> Option<IpAddr> {
        if self.members().next().is_some() || matches!(self.past, Past::Damaged | Past::Left) {
            return None;
        }
        if let Some(founder) = self.founder
            && self.consent_stays(founder, now)
        {
            return Some(founder);
        }
        let others = self.peers.iter().filter_map(|(node, peer)| {
            let report = peer.says()?;
            let claim = report.claim.filter(|_| report.founder == Some(*node))?;
            Some((claim, *node))
        });
        let own = self.claim().map(|claim| (claim, self.own));
        let best = others
            .chain(own)
            .max_by_key(|(claim, node)| weight(*claim, *node));
        best.map(|(_, node)| node)
    }

    /// What was granted to another node stays; the own claim gives in to a stronger one.
    fn consent_stays(&self, founder: IpAddr, now: Instant) -> bool {
        let Some(peer) = self.peers.get(&founder) else {
            return false;
        };
        match peer.says() {
            Some(report) => report.founder == Some(founder),
            None => peer.held_until().is_some_and(|until| now < until),
        }
    }

    fn decide(&self, now: Instant) -> Decision {
        if self.members().next().is_some() {
            return self.join();
        }
        if let Past::Damaged | Past::Left = self.past {
            return Decision::Wait(Reason::OwnRemains(self.past));
        }
        match self.founder {
            Some(founder) if founder == self.own => self.found(now),
            Some(founder) => Decision::Wait(Reason::Founder(founder)),
            None => {
                let peer = self.peers.get(&self.expected);
                Decision::Wait(Reason::Expects {
                    node: self.expected,
                    by_leader_ip: self.leader.is_some(),
                    reach: peer.and_then(Peer::reach).map(Into::into),
                })
            }
        }
    }

    /// Which cluster to join.
    fn join(&self) -> Decision {
        let mut clusters: BTreeMap<ClusterId, Holding> = BTreeMap::new();
        for member in self.members() {
            if let Some(cluster) = member.cluster {
                let holding = clusters.entry(cluster).or_insert(member.holding);
                if member.holding == Holding::Data {
                    *holding = Holding::Data;
                }
            }
        }
        let leaders = self
            .members()
            .find(|member| Some(member.node) == self.leader)
            .and_then(|member| member.cluster);
        let mut with_data = clusters
            .iter()
            .filter(|(_, holding)| **holding == Holding::Data)
            .map(|(cluster, _)| *cluster);
        let cluster = match (with_data.next(), with_data.next()) {
            _ if leaders.is_some() => leaders,
            (Some(_), Some(_)) => {
                let members = |cluster| {
                    let its = self
                        .members()
                        .filter(|member| member.cluster == Some(cluster));
                    (cluster, its.map(|member| member.node).collect())
                };
                let several = clusters.into_keys().map(members).collect();
                return Decision::Wait(Reason::Several(several));
            }
            (Some(one), None) => Some(one),
            // All but the least will give way.
            _ => clusters.keys().next().copied(),
        };
        let members = self
            .members()
            .filter(|member| cluster.is_none() || member.cluster == cluster);
        let (present, away): (Vec<_>, Vec<_>) = members.partition(|member| member.present);
        Decision::Join {
            cluster,
            led: present.iter().any(|member| member.led),
            ask: present.into_iter().map(|member| member.node).collect(),
            away: away.into_iter().map(|member| member.node).collect(),
        }
    }

    /// Whether everything is so that this node can found.
    fn found(&self, now: Instant) -> Decision {
        let nodes = |is: &dyn Fn(&Peer) -> bool| -> Vec<IpAddr> {
            let peers = self.peers.iter().filter(|(_, peer)| is(peer));
            peers.map(|(node, _)| *node).collect()
        };
        let said = |peer: &Peer| peer.report.map(|report| report.standing);
        let remains = nodes(&|peer| matches!(said(peer), Some(Standing::Damaged | Standing::Left)));
        if !remains.is_empty() {
            return Decision::Wait(Reason::Remains(remains));
        }
        let asked = nodes(&|peer| !peer.present && !peer.is_away(now));
        if !asked.is_empty() {
            return Decision::Wait(Reason::Asks(asked));
        }
        let away = nodes(&|peer| peer.is_away(now));
        let witnesses = nodes(&|peer| said(peer) == Some(Standing::Joining));
        if !away.is_empty() && (self.past == Past::Joining || !witnesses.is_empty()) {
            return Decision::Wait(Reason::MayHave {
                away,
                witness: witnesses.first().copied(),
            });
        }
        let dissent: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.listed)
            .filter_map(|(node, peer)| Some((*node, peer.says()?)))
            .filter(|(_, report)| report.ours && report.founder != Some(self.own))
            .map(|(node, report)| (node, report.founder))
            .collect();
        if !dissent.is_empty() {
            return Decision::Wait(Reason::Consent(dissent));
        }
        Decision::Found
    }
}
