//! A member's place in its cluster.

use std::collections::BTreeSet;

use ovsdb_cluster::node::Node;
use ovsdb_cluster::status::{MemberStatus, Role};

use super::catalogue::{
    RAFT_APPLIED_INDEX, RAFT_APPLY_LAG, RAFT_COMMITTED_INDEX, RAFT_CONNECTED, RAFT_DISCONNECTIONS,
    RAFT_ELECTIONS, RAFT_ELECTIONS_WON, RAFT_FAILED_HANDSHAKES, RAFT_LAST_INDEX,
    RAFT_LEADER_CHANGES, RAFT_LEADER_KNOWN, RAFT_LEADER_LAG, RAFT_MEMBERS, RAFT_PEER_LAG,
    RAFT_PEER_SILENCE, RAFT_REFUSED_PEERS, RAFT_ROLE, RAFT_ROUND_TRIP, RAFT_TERM, RAFT_VOTES,
};
use super::exposition::{Exposition, float};

const ROLES: [(Role, &str); 3] = [
    (Role::Leader, "leader"),
    (Role::Candidate, "candidate"),
    (Role::Follower, "follower"),
];

/// Adds what a member says about itself at the moment.
pub fn add_status(exposition: &mut Exposition, name: &str, member: &MemberStatus) {
    for (role, text) in ROLES {
        exposition.yes(&RAFT_ROLE, &[name, text], member.role == role);
    }
    exposition.yes(&RAFT_LEADER_KNOWN, &[name], member.leader.is_some());
    exposition.number(&RAFT_TERM, &[name], member.term);
    let own = member.server_id;
    let others = || member.servers.iter().filter(|server| server.id != own);
    let members = u64::try_from(member.servers.len()).unwrap_or(u64::MAX);
    exposition.number(&RAFT_MEMBERS, &[name], members);
    let links = member.connections.iter().filter(|link| link.connected);
    let connected: BTreeSet<_> = links.filter_map(|link| link.server).collect();
    let connected = others().filter(|server| connected.contains(&server.id));
    let connected = u64::try_from(connected.count()).unwrap_or(u64::MAX);
    exposition.number(&RAFT_CONNECTED, &[name], connected);
    let (log, last) = (&member.log, member.log.end.saturating_sub(1));
    exposition.number(&RAFT_LAST_INDEX, &[name], last);
    exposition.number(&RAFT_COMMITTED_INDEX, &[name], log.committed);
    exposition.number(&RAFT_APPLIED_INDEX, &[name], log.applied);
    let lag = log.committed.saturating_sub(log.applied);
    exposition.number(&RAFT_APPLY_LAG, &[name], lag);
    exposition.number(&RAFT_DISCONNECTIONS, &[name], member.disconnections);
    for server in others() {
        let labels = [name, &server.id.to_string(), &server.address];
        if let Some(progress) = server.progress {
            let lag = last.saturating_sub(progress.matched);
            exposition.number(&RAFT_PEER_LAG, &labels, lag);
        }
        if let Some(milliseconds) = server.last_message {
            let seconds = float(milliseconds) / 1000.0;
            exposition.add(&RAFT_PEER_SILENCE, &labels, seconds);
        }
    }
}

/// Adds what has happened to it.
pub fn add_counters(exposition: &mut Exposition, name: &str, node: &Node) {
    let counters = node.counters();
    let elections = [
        ("timeout", &counters.elections_by_timeout),
        ("transfer", &counters.elections_by_transfer),
    ];
    for (reason, counter) in elections {
        exposition.number(&RAFT_ELECTIONS, &[name, reason], counter.get());
    }
    let votes = [
        ("granted", &counters.votes_granted),
        ("refused", &counters.votes_refused),
    ];
    for (answer, counter) in votes {
        exposition.number(&RAFT_VOTES, &[name, answer], counter.get());
    }
    for (metric, counter) in [
        (&RAFT_ELECTIONS_WON, &counters.elections_won),
        (&RAFT_LEADER_CHANGES, &counters.leader_changes),
        (&RAFT_REFUSED_PEERS, &counters.refused_peers),
    ] {
        exposition.number(metric, &[name], counter.get());
    }
    let failed = node.failed_handshakes();
    exposition.number(&RAFT_FAILED_HANDSHAKES, &[name], failed);
    exposition.number(&RAFT_LEADER_LAG, &[name], node.behind_leader());
    let members = node.members();
    for (server, histogram) in node.round_trips() {
        // A member that has just gone has no address any more.
        if let Some(address) = members.get(&server) {
            let labels = [name, &server.to_string(), address];
            exposition.histogram(&RAFT_ROUND_TRIP, &labels, &histogram);
        }
    }
}
