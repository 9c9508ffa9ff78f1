//! A member's status as `ovs-appctl cluster/status` prints it.

use std::fmt::{Display, Formatter, Result};

use uuid::Uuid;

use super::{
    ConnectionStatus, ElectionReason, MemberStatus, Phase, Role, ServerStatus, Standing, short_id,
    short_name,
};
use crate::entry::ServerId;

impl Display for MemberStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.identity(f)?;
        self.standing(f)?;
        self.term(f)?;
        writeln!(f)?;
        self.election(f)?;
        self.log(f)?;
        self.connections(f)?;
        writeln!(f, "Servers:")?;
        for server in &self.servers {
            self.server(f, server)?;
        }
        Ok(())
    }
}

impl MemberStatus {
    fn identity(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{}", self.short_name(self.server_id))?;
        writeln!(f, "Name: {}", self.name)?;
        match self.cluster_id {
            Some(id) => writeln!(f, "Cluster ID: {} ({id})", short_id(id))?,
            None => writeln!(f, "Cluster ID: not yet known")?,
        }
        let id = self.server_id;
        writeln!(f, "Server ID: {} ({id})", short_id(id))?;
        writeln!(f, "Address: {}", self.address)
    }

    fn standing(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "Status: {}", self.standing)?;
        if self.standing == Standing::Joining {
            write!(f, "Remotes for joining:")?;
            for remote in &self.remotes {
                write!(f, " {remote}")?;
            }
            writeln!(f)?;
        }
        for server in &self.changes {
            let verb = match server.phase {
                Phase::Removing => "Removing",
                _ => "Adding",
            };
            let name = self.short_name(server.id);
            let (id, address, phase) = (short_id(server.id), &server.address, server.phase);
            writeln!(f, "{verb} server {name} ({id} at {address}) ({phase})")?;
        }
        Ok(())
    }

    fn term(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "Role: {}", self.role)?;
        writeln!(f, "Term: {}", self.term)?;
        writeln!(f, "Leader: {}", self.person(self.leader))?;
        writeln!(f, "Vote: {}", self.person(self.vote))
    }

    fn person(&self, server: Option<ServerId>) -> String {
        match server {
            None => "unknown".to_owned(),
            Some(server) if server == self.server_id => "self".to_owned(),
            Some(server) => self.short_name(server),
        }
    }

    fn election(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(election) = &self.election {
            let (started, reason) = (election.started, election.reason);
            writeln!(
                f,
                "Last Election started {started} ms ago, reason: {reason}"
            )?;
            if let Some(won) = election.won {
                writeln!(f, "Last Election won: {won} ms ago")?;
            }
        }
        write!(f, "Election timer: {}", self.election_timer)?;
        if let Some(next) = self.next_election_timer {
            write!(f, " (changing to {next})")?;
        }
        writeln!(f)
    }

    fn log(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "Log: [{}, {}]", self.log.first, self.log.end)?;
        writeln!(f, "Entries not yet committed: {}", self.uncommitted())?;
        writeln!(f, "Entries not yet applied: {}", self.unapplied())
    }

    fn connections(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Connections:")?;
        for connection in &self.connections {
            let ConnectionStatus {
                server, address, ..
            } = connection;
            let name = short_name(address, server.unwrap_or(Uuid::nil()));
            let arrow = if connection.dialled { "->" } else { "<-" };
            match connection.connected {
                true => write!(f, " {arrow}{name}")?,
                false => write!(f, " ({arrow}{name})")?,
            }
        }
        writeln!(f)?;
        writeln!(f, "Disconnections: {}", self.disconnections)
    }

    fn server(&self, f: &mut Formatter<'_>, server: &ServerStatus) -> Result {
        let name = self.short_name(server.id);
        let (id, address) = (short_id(server.id), &server.address);
        write!(f, "    {name} ({id} at {address})")?;
        if server.id == self.server_id {
            write!(f, " (self)")?;
        }
        if server.phase != Phase::Stable {
            write!(f, " ({})", server.phase)?;
        }
        match self.role {
            Role::Candidate => {
                if let Some(vote) = server.vote {
                    write!(f, " (voted for {})", self.short_name(vote))?;
                }
            }
            Role::Leader => {
                if let Some(progress) = server.progress {
                    let (next, matched) = (progress.next, progress.matched);
                    write!(f, " next_index={next} match_index={matched}")?;
                }
            }
            Role::Follower => {}
        }
        if let Some(age) = server.last_message {
            write!(f, " last msg {age} ms ago")?;
        }
        writeln!(f)
    }
}

impl Display for Standing {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Standing::Joining => "joining cluster",
            Standing::Member => "cluster member",
            Standing::Leaving => "leaving cluster",
            Standing::Left => "left cluster",
            Standing::Failed => "failed",
            Standing::Disconnected => "disconnected from the cluster (election timeout)",
        })
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Role::Leader => "leader",
            Role::Candidate => "candidate",
            Role::Follower => "follower",
        })
    }
}

impl Display for ElectionReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            ElectionReason::Timeout => "timeout",
            ElectionReason::LeadershipTransfer => "leadership_transfer",
        })
    }
}

impl Display for Phase {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Phase::Stable => "stable",
            Phase::CatchingUp => "adding: catchup",
            Phase::CaughtUp => "adding: caught up",
            Phase::Committing => "adding: committing",
            Phase::Removing => "removing",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Election, LogStatus, Progress};
    use super::*;

    fn server(n: u128, address: &str) -> ServerStatus {
        ServerStatus {
            id: Uuid::from_u128(n << 112),
            address: address.to_owned(),
            phase: Phase::Stable,
            vote: None,
            progress: None,
            last_message: None,
        }
    }

    fn member() -> MemberStatus {
        let own = server(0xa1, "unix:/run/s1.raft");
        let mut other = server(0xb2, "tcp:10.0.0.2:6647");
        other.vote = Some(own.id);
        other.last_message = Some(7);
        other.progress = Some(Progress {
            next: 9,
            matched: 8,
        });
        MemberStatus {
            name: "d".to_owned(),
            cluster_id: None,
            server_id: own.id,
            address: own.address.clone(),
            standing: Standing::Failed,
            remotes: vec!["not shown".to_owned()],
            changes: Vec::new(),
            role: Role::Candidate,
            term: 3,
            leader: None,
            vote: Some(other.id),
            election: Some(Election {
                started: 5,
                reason: ElectionReason::LeadershipTransfer,
                won: None,
            }),
            election_timer: 1000,
            next_election_timer: None,
            log: LogStatus {
                first: 2,
                end: 9,
                committed: 7,
                applied: 6,
            },
            connections: vec![ConnectionStatus {
                server: None,
                address: "unix:s3.raft".to_owned(),
                dialled: true,
                connected: false,
                waiting: 0,
            }],
            disconnections: 1,
            servers: vec![own, other],
            troubles: vec!["not shown".to_owned()],
        }
    }

    #[test]
    fn a_member_that_is_not_well() {
        let expected = "s1\nName: d\nCluster ID: not yet known\n\
            Server ID: 00a1 (00a10000-0000-0000-0000-000000000000)\n\
            Address: unix:/run/s1.raft\nStatus: failed\nRole: candidate\nTerm: 3\n\
            Leader: unknown\nVote: 00b2\n\n\
            Last Election started 5 ms ago, reason: leadership_transfer\n\
            Election timer: 1000\nLog: [2, 9]\nEntries not yet committed: 1\n\
            Entries not yet applied: 2\nConnections: (->s3)\nDisconnections: 1\nServers:\n    \
            s1 (00a1 at unix:/run/s1.raft) (self)\n    \
            00b2 (00b2 at tcp:10.0.0.2:6647) (voted for s1) last msg 7 ms ago\n";
        assert_eq!(member().to_string(), expected);
    }

    #[test]
    fn an_empty_log_has_nothing_that_waits() {
        let mut member = member();
        member.log = LogStatus {
            first: 1,
            end: 1,
            committed: 0,
            applied: 5,
        };
        assert_eq!((member.uncommitted(), member.unapplied()), (0, 0));
    }
}
