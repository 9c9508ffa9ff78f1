//! The commands of a control socket that tell figures, and small ones beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ovsdb_counters::{ByKind, Counter, Histogram, Kind};
use ovsdb_server::cluster_control::Members;
use ovsdb_server::control::{Answer, Commands, ControlCounters};
use ovsdb_server::coverage::{self, Totals};
use ovsdb_server::figures::{self, Figures};
use ovsdb_server::file_form;
use ovsdb_server::performance::{self, Taken};
use ovsdb_server::service::Service;
use ovsdb_server::table_log_control;

use crate::databases::{Databases, Kept};

/// What the figures are about.
#[derive(Clone)]
struct Measured {
    service: Arc<Service>,
    databases: Arc<Databases>,
    members: Arc<Members>,
    control: Arc<ControlCounters>,
}

/// Adds the commands. Must be called inside a tokio runtime.
pub fn register(
    commands: &mut Commands,
    service: &Arc<Service>,
    databases: &Arc<Databases>,
    members: &Arc<Members>,
) {
    let measured = Measured {
        service: Arc::clone(service),
        databases: Arc::clone(databases),
        members: Arc::clone(members),
        control: Arc::clone(commands.counters()),
    };
    let about = measured.clone();
    commands.register("memory/show", Some(""), 0, 0, move |_| {
        memory(about.clone())
    });
    let about = measured.clone();
    coverage::register(commands, move || about.totals());
    performance::register(commands, move || measured.taken());
    table_log_control::register(commands, service);
    file_form::register(commands);
    let about = Arc::clone(service);
    let name = "ovsdb-server/disable-monitor-cond";
    commands.register(name, Some(""), 0, 0, move |_| {
        about.disable_conditions();
        std::future::ready(Ok(String::new()))
    });
    let trimming = AtomicU8::new(UNTOLD);
    let name = "ovsdb-server/memory-trim-on-compaction";
    commands.register(name, Some("on|off"), 1, 1, move |words| {
        std::future::ready(set_trimming(&trimming, &words.concat()))
    });
}

async fn memory(about: Measured) -> Answer {
    // Every row is looked at.
    let figures = tokio::task::spawn_blocking(move || about.figures()).await;
    let figures = figures.map_err(|error| error.to_string())?;
    Ok(figures::line(&figures))
}

/// Nobody has said yet whether memory is to be given back.
const UNTOLD: u8 = 2;

/// The wish is only noted: what happens to memory behind a compaction is the allocator's business.
fn set_trimming(trimming: &AtomicU8, word: &str) -> Answer {
    let (wanted, text) = match word {
        "on" => (1, "enabled"),
        "off" => (0, "disabled"),
        _ => return Err("invalid argument".to_owned()),
    };
    if trimming.swap(wanted, Ordering::Relaxed) != wanted {
        tracing::info!(target: "ovsdb_server", "memory trimming after compaction {text}.");
    }
    Ok(String::new())
}

impl Measured {
    fn figures(&self) -> Figures {
        let mut figures = self.service.figures();
        let mut add = |name, number| *figures.entry(name).or_default() += number;
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        for name in self.service.names() {
            let Some(member) = self.members.get(&name) else {
                continue;
            };
            let status = member.status();
            let connected = || status.connections.iter().filter(|link| link.connected);
            add("raft-connections", connected().count());
            let waiting = connected().map(|link| link.waiting).sum::<u64>();
            add("raft-backlog-kB", number(waiting / 1000));
            let log = &status.log;
            add("raft-log", number(log.end.saturating_sub(log.first)));
        }
        figures
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        let mut add = |name: String, number: u64| *totals.entry(name).or_default() += number;
        add("unixctl_received".to_owned(), self.control.received.get());
        add("unixctl_replied".to_owned(), self.control.replied.get());
        let counters = self.service.counters();
        add("session_begun".to_owned(), counters.sessions.get());
        by_kind(&mut add, "session_ended", &counters.session_ends);
        by_kind(&mut add, "turned_away", &counters.turned_away);
        by_kind(&mut add, "error", &counters.errors);
        let file = |add: &mut dyn FnMut(String, u64), counters: &ovsdb_log::Counters| {
            let mut count = |name: &str, counter: &Counter| add(name.to_owned(), counter.get());
            count("file_bytes_appended", &counters.appended);
            count("file_failure", &counters.failures);
            count("file_rewriting_failed", &counters.failed_rewritings);
            add("file_sync".to_owned(), counters.syncs.observed().count);
            add(
                "file_rewritten".to_owned(),
                counters.rewritings.observed().count,
            );
        };
        for name in self.service.names() {
            if let Some(database) = self.service.database(&name) {
                let counters = database.counters();
                by_kind(&mut add, "transaction", &counters.here);
                by_kind(&mut add, "transaction_forwarded", &counters.by_leader);
                by_kind(&mut add, "transaction_for_member", &counters.for_members);
            }
            match self.databases.get(&name) {
                Some(Kept::Alone(alone)) => file(&mut add, alone.standalone.counters()),
                Some(Kept::Member(member)) => {
                    let Some(node) = member.node() else { continue };
                    let counters = node.counters();
                    file(&mut add, &counters.file);
                    for (name, counter) in [
                        ("raft_election_timeout", &counters.elections_by_timeout),
                        ("raft_election_transfer", &counters.elections_by_transfer),
                        ("raft_election_won", &counters.elections_won),
                        ("raft_leader_change", &counters.leader_changes),
                        ("raft_vote_granted", &counters.votes_granted),
                        ("raft_vote_refused", &counters.votes_refused),
                        ("raft_peer_refused", &counters.refused_peers),
                    ] {
                        add(name.to_owned(), counter.get());
                    }
                }
                _ => {}
            }
        }
        totals
    }

    fn taken(&self) -> Taken {
        let mut taken = Taken::new();
        let mut add = |name: String, histogram: &Histogram| {
            let observed = histogram.observed();
            if observed.count > 0 {
                taken.insert(name, (observed.count, observed.sum));
            }
        };
        for name in self.service.names() {
            if let Some(database) = self.service.database(&name) {
                let counters = database.counters();
                add(format!("{name}: transaction"), &counters.latency);
            }
            let mut add_file = |counters: &ovsdb_log::Counters| {
                add(format!("{name}: sync"), &counters.syncs);
                add(format!("{name}: rewriting"), &counters.rewritings);
            };
            match self.databases.get(&name) {
                Some(Kept::Alone(alone)) => add_file(alone.standalone.counters()),
                Some(Kept::Member(member)) => {
                    if let Some(node) = member.node() {
                        add_file(&node.counters().file);
                    }
                }
                None => {}
            }
        }
        taken
    }
}

fn by_kind<K: Kind>(add: &mut impl FnMut(String, u64), name: &str, counters: &ByKind<K>) {
    for (kind, number) in counters.all() {
        add(format!("{name}_{}", kind.name().replace(' ', "_")), number);
    }
}
