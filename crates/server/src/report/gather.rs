//! Making a report.

use std::time::Duration;

use super::{ContentsReport, DatabaseReport, LoadReport, MAX_SESSIONS, Reporter, SessionReport};
use crate::locks::SessionId;
use crate::service::{Served, Service};

impl Service {
    /// Says who can tell what surrounds the databases: only then there are reports. Only the first
    /// one counts.
    pub fn set_reporter(&self, reporter: Reporter) {
        // Whoever comes second changes nothing.
        let _ = self.reporter.set(reporter);
    }

    /// The report on a database for a session, which is not in it itself. None if there is no such
    /// database, and no member of a cluster that is to have it; or if there are no reports.
    pub(crate) fn report(
        &self,
        name: &str,
        served: Option<&Served>,
        asker: SessionId,
    ) -> Option<DatabaseReport> {
        let surroundings = self.reporter.get()?(name);
        if served.is_none() && surroundings.member.is_none() {
            return None;
        }
        let (sessions, left_out) = self.roll.first(MAX_SESSIONS, asker);
        let watched = served.map(watched).unwrap_or_default();
        let sessions = sessions.into_iter().map(|(id, card)| {
            let watch = watched.get(&id);
            SessionReport {
                peer: card.peer.clone(),
                connected: milliseconds(card.since.elapsed()),
                monitors: watch.map_or(0, |watch| count(watch.monitors)),
                tables: watch.map(|watch| watch.tables.clone()).unwrap_or_default(),
                backlog: count(card.backlog()),
            }
        });
        Some(DatabaseReport {
            name: name.to_owned(),
            process: surroundings.process,
            contents: served.map(contents),
            load: served.map(|served| LoadReport {
                transactions: served.transactions.recent(),
                changes: served.database.recent_changes(),
            }),
            problem: surroundings.problem,
            file: surroundings.file,
            member: surroundings.member,
            sessions: sessions.collect(),
            sessions_left_out: count(left_out),
        })
    }
}

fn contents(served: &Served) -> ContentsReport {
    let now = served.database.committed();
    let schema = now.version.schema();
    let rows = now.version.tables();
    let rows = rows.map(|(id, table)| (schema.table(id).name.to_string(), count(table.len())));
    ContentsReport {
        schema_version: schema.version.clone(),
        schema_checksum: schema.cksum.clone(),
        rows: rows.collect(),
        commits: now.version.sequence(),
    }
}

/// What a session watches.
struct Watch {
    monitors: usize,
    tables: Vec<String>,
}

fn watched(served: &Served) -> rustc_hash::FxHashMap<SessionId, Watch> {
    let now = served.database.committed();
    let schema = now.version.schema();
    let all = served.groups.watched().into_iter();
    let all = all.map(|(session, (monitors, tables))| {
        // A conversion may have come in between.
        let known = tables
            .into_iter()
            .filter(|id| id.index() < schema.tables.len());
        let tables = known.map(|id| schema.table(id).name.to_string()).collect();
        (session, Watch { monitors, tables })
    });
    all.collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
