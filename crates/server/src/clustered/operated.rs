//! A member as its operator sees and handles it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ovsdb::Uuid;
use ovsdb_cluster::failure_test::FailureTest;
use ovsdb_cluster::node;
use ovsdb_cluster::operator::{Member, Refusal};
use ovsdb_cluster::status::{
    ConnectionStatus, Election, ElectionReason, LogStatus, MemberStatus, Phase, Progress, Role,
    ServerStatus, Standing,
};

use super::Clustered;

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn ago(instant: Instant) -> u64 {
    milliseconds(instant.elapsed())
}

impl Member for Clustered {
    fn status(&self) -> MemberStatus {
        let Some(node) = self.node.get() else {
            return self.before_start();
        };
        let own = self.server;
        let standing = node.standing();
        let (stands, role) = (stands(&standing), role(&standing));
        let end = standing.log.1;
        let servers = standing.members.iter().map(|(id, peer)| ServerStatus {
            id: *id,
            address: peer.address.clone(),
            phase: match peer.committing {
                true => Phase::Committing,
                false => Phase::Stable,
            },
            vote: None,
            progress: (role == Role::Leader).then(|| {
                let matched = match *id == own {
                    true => end.saturating_sub(1),
                    false => peer.matched.unwrap_or(0),
                };
                Progress {
                    next: matched + 1,
                    matched,
                }
            }),
            last_message: peer.heard.filter(|_| *id != own).map(milliseconds),
        });
        MemberStatus {
            name: self.name.clone(),
            cluster_id: standing.cluster,
            server_id: own,
            address: node.identity().local_address.clone(),
            standing: stands,
            remotes: standing.joining.clone().unwrap_or_default(),
            changes: standing.changes.iter().map(changing).collect(),
            role,
            term: node.term(),
            leader: match role {
                Role::Leader => Some(own),
                _ => standing.place.leader.filter(|_| !is_cut_off(&standing)),
            },
            vote: standing.vote,
            election: standing.election.as_ref().map(|election| Election {
                started: ago(election.started),
                reason: match election.reason {
                    "timeout" => ElectionReason::Timeout,
                    _ => ElectionReason::LeadershipTransfer,
                },
                won: election.won.map(ago),
            }),
            election_timer: standing.election_timer,
            next_election_timer: standing.next_election_timer,
            log: LogStatus {
                first: standing.log.0,
                end,
                committed: standing.committed,
                applied: standing.applied,
            },
            connections: connections(&standing),
            disconnections: standing.disconnections,
            servers: servers.collect(),
            troubles: standing
                .failure
                .iter()
                .chain(&standing.troubles)
                .cloned()
                .collect(),
        }
    }

    fn remove(&self, server: Uuid) -> Result<(), Refusal> {
        let node = self.member()?;
        let name = self.name.clone();
        tokio::spawn(async move {
            if let Err(error) = node.kick(server).await {
                tracing::warn!(db = &*name, "server {server} was not removed: {error}");
            }
        });
        Ok(())
    }

    fn ask_to_remove(&self, server: Uuid) -> bool {
        self.place.borrow().leader.is_some() && self.remove(server).is_ok()
    }

    fn leave(&self) -> Result<(), Refusal> {
        let node = self.member()?;
        let name = self.name.clone();
        tokio::spawn(async move {
            if let Err(error) = node.leave().await {
                tracing::warn!(db = &*name, "the cluster was not left: {error}");
            }
        });
        Ok(())
    }

    fn change_election_timer(&self, milliseconds: u64) -> Result<(), Refusal> {
        let node = self.member()?;
        tokio::spawn(async move { node.change_election_timer(milliseconds).await });
        Ok(())
    }

    fn set_backlog_threshold(&self, messages: usize, bytes: usize) -> Result<(), Refusal> {
        self.member()?.set_backlog(messages, bytes);
        Ok(())
    }

    fn test_failure(&self, test: Option<FailureTest>) -> Result<(), Refusal> {
        self.member()?.fail(test);
        Ok(())
    }
}

impl Clustered {
    fn member(&self) -> Result<Arc<node::Node>, Refusal> {
        let node = self.node.get().cloned();
        node.ok_or_else(|| Refusal("the server is starting".to_owned()))
    }

    fn before_start(&self) -> MemberStatus {
        MemberStatus {
            troubles: vec!["the server is starting".to_owned()],
            ..MemberStatus::joining(&self.name, self.server, String::new())
        }
    }
}

/// It is a member, and has had no sign of a majority for too long: what it knows of a leader is out
/// of date, and its own leadership, too.
fn is_cut_off(standing: &node::Standing) -> bool {
    let member = standing.joining.is_none() && !standing.left;
    member && !standing.place.connected
}

fn stands(standing: &node::Standing) -> Standing {
    if standing.left {
        Standing::Left
    } else if standing.failure.is_some() {
        Standing::Failed
    } else if standing.joining.is_some() {
        Standing::Joining
    } else if standing.leaving {
        Standing::Leaving
    } else if is_cut_off(standing) && (standing.was_connected || standing.election.is_some()) {
        Standing::Disconnected
    } else {
        Standing::Member
    }
}

/// A member that is cut off stands for election again and again; its role does not change by that,
/// as it asks first whether it could win.
fn role(standing: &node::Standing) -> Role {
    match stands(standing) {
        Standing::Disconnected => Role::Candidate,
        _ if standing.is_leader => Role::Leader,
        _ if standing.is_candidate => Role::Candidate,
        _ => Role::Follower,
    }
}

fn changing(change: &node::Change) -> ServerStatus {
    ServerStatus {
        id: change.server,
        address: change.address.clone(),
        phase: change.phase,
        vote: None,
        progress: None,
        last_message: None,
    }
}

fn connections(standing: &node::Standing) -> Vec<ConnectionStatus> {
    let links = standing.links.iter().map(|link| ConnectionStatus {
        server: link.server,
        address: link.address.clone(),
        dialled: link.dialled,
        connected: true,
        waiting: u64::try_from(link.waiting_bytes).unwrap_or(u64::MAX),
    });
    let broken = standing
        .broken
        .iter()
        .map(|(address, server)| ConnectionStatus {
            server: *server,
            address: address.clone(),
            dialled: true,
            connected: false,
            waiting: 0,
        });
    links.chain(broken).collect()
}
