//! One database, by all that its servers have said.

mod facts;
mod load;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::Uuid;
use ovsdb_cluster::status::{MemberStatus, Role, ServerStatus, Standing, short_id};
use ovsdb_server::report::{DatabaseReport, ProblemReport, SessionReport};

use super::answer::{Answer, Outcome, ServerRow};
pub use facts::by_usefulness;
use facts::{count_alone, is_on_host, knows_leader, leader_of, member_of, newest_committed};
pub use load::{Load, Rates};

/// A database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub database: String,
    /// It can be used: a server of it leads, or knows who does; and there is one cluster at most.
    pub served: bool,
    /// The cluster's id; none if it is standalone.
    pub cluster: Option<Uuid>,
    /// Who leads: where it was asked, or else its short name.
    pub leader: Option<String>,
    /// The schema's version.
    pub schema_version: Option<String>,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// How much it is used, as far as its servers say.
    pub load: Option<Load>,
    /// The last problem of each server.
    pub problems: Vec<(String, ProblemReport)>,
    /// Servers: those that were asked, in that order, and then other members.
    pub servers: Vec<ServerLine>,
    /// Clients, with the server that they are connected with.
    pub clients: Vec<(String, SessionReport)>,
    /// Clients that are not among them.
    pub other_clients: u64,
    /// What a person should know.
    pub troubles: Vec<String>,
}

/// A server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerLine {
    /// Where it was asked; for others, their address for members.
    pub remote: String,
    /// Its id in the cluster.
    pub id: Option<Uuid>,
    /// Its role: `leader`, `candidate`, `follower`, `standalone`, `relay`.
    pub role: String,
    /// How it is.
    pub state: String,
    /// It does what it should.
    pub well: bool,
    /// Its term.
    pub term: Option<u64>,
    /// The first entry of its log and the last one.
    pub log: Option<(u64, u64)>,
    /// How many committed entries its clients do not see yet.
    pub behind: Option<u64>,
    /// How long ago the leader heard of it, in milliseconds.
    pub heard: Option<u64>,
    /// How many clients it has.
    pub clients: Option<u64>,
    /// Its file's size.
    pub file: Option<u64>,
    /// How long ago its file was compacted, in milliseconds; none: not since its start.
    pub compacted: Option<u64>,
    /// Its process's memory, in bytes.
    pub memory: Option<u64>,
    /// Its program.
    pub program: String,
}

impl Summary {
    /// Puts answers together.
    pub fn of(database: &str, answers: &[Answer]) -> Summary {
        let mut summary = Summary {
            database: database.to_owned(),
            ..Summary::default()
        };
        let newest = answers.iter().filter_map(newest_committed).max();
        let mut clusters = BTreeSet::new();
        for answer in answers {
            let line = match &answer.outcome {
                Outcome::Report(report) => {
                    clusters.extend(report.member.as_ref().and_then(|m| m.cluster_id));
                    summary.add_report(&answer.remote, report, newest)
                }
                Outcome::Server(row) => {
                    clusters.extend(row.cluster_id);
                    summary.add_row(row, newest)
                }
                Outcome::Error(why) => ServerLine {
                    state: why.clone(),
                    ..ServerLine::default()
                },
            };
            summary.servers.push(ServerLine {
                remote: answer.remote.clone(),
                ..line
            });
        }
        summary.add_members(answers);
        summary.cluster = clusters.first().copied();
        summary.judge(answers, &clusters);
        summary
    }

    fn add_report(
        &mut self,
        remote: &str,
        report: &DatabaseReport,
        newest: Option<u64>,
    ) -> ServerLine {
        for session in &report.sessions {
            self.clients.push((remote.to_owned(), session.clone()));
        }
        self.other_clients += report.sessions_left_out;
        self.load = self.load.unwrap_or_default().and(report).or(self.load);
        let problem = report.problem.clone();
        self.problems
            .extend(problem.map(|problem| (remote.to_owned(), problem)));
        if let Some(contents) = &report.contents {
            self.see_contents(Some(&contents.schema_version), &contents.rows);
        }
        let sessions = u64::try_from(report.sessions.len()).unwrap_or(u64::MAX);
        let mut line = ServerLine {
            role: "standalone".to_owned(),
            state: "serves".to_owned(),
            well: true,
            clients: Some(sessions.saturating_add(report.sessions_left_out)),
            file: report.file.as_ref().map(|file| file.size),
            compacted: report.file.as_ref().and_then(|file| file.compacted),
            memory: report.process.memory,
            program: report.process.program.clone(),
            ..ServerLine::default()
        };
        if let Some(member) = &report.member {
            self.troubles.extend(
                member
                    .troubles
                    .iter()
                    .map(|trouble| format!("{remote}: {trouble}")),
            );
            line.id = Some(member.server_id);
            line.role = member.role.to_string();
            line.state = member.standing.to_string();
            line.well = member.standing == Standing::Member && member.leader.is_some();
            line.term = Some(member.term);
            line.log = Some((member.log.first, member.log.end.saturating_sub(1)));
            line.behind = newest.map(|newest| newest.saturating_sub(member.log.applied));
        }
        if let Some(file) = &report.file {
            if let Some(failure) = &file.failure {
                line.well = false;
                line.state = "cannot write its file".to_owned();
                self.troubles.push(format!("{remote}: {failure}"));
            }
            if file.unwritten > 0 {
                let count = file.unwritten;
                self.troubles.push(format!(
                    "{remote}: {count} acknowledged transactions are not in the file yet"
                ));
            }
        }
        line
    }

    fn add_row(&mut self, row: &ServerRow, newest: Option<u64>) -> ServerLine {
        self.see_contents(row.schema_version.as_ref(), &row.rows);
        let clustered = row.model == "clustered";
        let role = match (clustered, row.leader) {
            (false, _) => &row.model,
            (true, true) => "leader",
            (true, false) => "follower",
        };
        ServerLine {
            id: row.server_id,
            role: role.to_owned(),
            state: match (row.connected, clustered) {
                (true, true) => "connected".to_owned(),
                (true, false) => "serves".to_owned(),
                (false, _) => "not connected".to_owned(),
            },
            well: row.connected,
            behind: newest
                .zip(row.index)
                .map(|(newest, own)| newest.saturating_sub(own)),
            program: "OVSDB".to_owned(),
            ..ServerLine::default()
        }
    }

    /// All have the same contents, more or less: the fullest look counts.
    fn see_contents(&mut self, version: Option<&String>, rows: &BTreeMap<String, u64>) {
        self.schema_version = self.schema_version.take().or_else(|| version.cloned());
        let total = |rows: &BTreeMap<String, u64>| rows.values().sum::<u64>();
        if self.rows.is_empty() || total(rows) > total(&self.rows) {
            self.rows.clone_from(rows);
        }
    }

    /// Members that were not asked, or did not answer, as those who did see them.
    fn add_members(&mut self, answers: &[Answer]) {
        // The leader knows most, then whoever has the newest term.
        let mut members: Vec<&MemberStatus> = answers.iter().filter_map(member_of).collect();
        members.sort_by_key(|member| (member.role != Role::Leader, std::cmp::Reverse(member.term)));
        for seen_by in members {
            for server in &seen_by.servers {
                self.add_member(answers, seen_by, server);
            }
        }
    }

    fn add_member(&mut self, answers: &[Answer], seen_by: &MemberStatus, server: &ServerStatus) {
        let heard = match seen_by.role {
            Role::Leader => server.last_message,
            _ => None,
        };
        let known = self
            .servers
            .iter()
            .position(|line| line.id == Some(server.id));
        // Whoever lives on a host that did not answer is that one.
        let known = known.or_else(|| {
            let mut asked = self.servers.iter().zip(answers);
            asked
                .position(|(line, answer)| line.id.is_none() && is_on_host(answer, &server.address))
        });
        let place = known.unwrap_or_else(|| {
            self.servers.push(ServerLine {
                remote: server.address.clone(),
                state: "not asked".to_owned(),
                // Nothing is known against it.
                well: true,
                ..ServerLine::default()
            });
            self.servers.len() - 1
        });
        let Some(line) = self.servers.get_mut(place) else {
            return;
        };
        line.id = Some(server.id);
        line.heard = line.heard.or(heard);
        if line.role.is_empty() && seen_by.leader == Some(server.id) && line.state == "not asked" {
            line.role = "leader".to_owned();
        }
    }

    fn judge(&mut self, answers: &[Answer], clusters: &BTreeSet<Uuid>) {
        let leaders: Vec<Uuid> = answers.iter().filter_map(leader_of).collect();
        let at = |line: &&ServerLine| line.id.is_some_and(|id| leaders.contains(&id));
        self.leader = match self.servers.iter().find(at) {
            Some(line) => Some(line.remote.clone()),
            None => leaders.first().map(|id| short_id(*id)),
        };
        let standalone = count_alone(answers);
        let known = answers.iter().any(knows_leader);
        if clusters.len() > 1 {
            let names: Vec<String> = clusters.iter().map(|id| short_id(*id)).collect();
            self.troubles.push(format!(
                "these servers are of {} different clusters: {}",
                clusters.len(),
                names.join(", ")
            ));
        } else if standalone > 0 && answers.len() > 1 && (standalone > 1 || !clusters.is_empty()) {
            self.troubles.push(
                "these servers do not have the database in common: at least one is standalone"
                    .to_owned(),
            );
        } else {
            self.served = known;
        }
        if !known {
            let why = match self.servers.iter().any(|line| !line.role.is_empty()) {
                true => "nobody leads",
                false => "nobody answers",
            };
            self.troubles.push(why.to_owned());
        }
    }
}
