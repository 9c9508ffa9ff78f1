//! Clients, and what they ask for.

use ovsdb_counters::Kind;
use ovsdb_server::database::Database;
use ovsdb_server::service::Service;

use super::catalogue::{
    BACKLOG, ERRORS, MEMBER_TRANSACTIONS, REFUSED_CONNECTIONS, SESSIONS, SESSIONS_CLOSED,
    SESSIONS_OPENED, TRANSACTION_DURATION, TRANSACTIONS,
};
use super::exposition::Exposition;

/// Adds the transactions of a database.
pub fn add_transactions(exposition: &mut Exposition, name: &str, database: &Database) {
    let counters = database.counters();
    for (outcome, number) in counters.here.all() {
        exposition.number(&TRANSACTIONS, &[name, "here", outcome.name()], number);
    }
    // A server that is alone has no leader, and no other members.
    if database.is_shared() {
        for (outcome, number) in counters.by_leader.all() {
            exposition.number(&TRANSACTIONS, &[name, "leader", outcome.name()], number);
        }
        for (outcome, number) in counters.for_members.all() {
            exposition.number(&MEMBER_TRANSACTIONS, &[name, outcome.name()], number);
        }
    }
    exposition.histogram(&TRANSACTION_DURATION, &[name], &counters.latency);
}

/// Adds the clients of a database's ports.
pub fn add_sessions(exposition: &mut Exposition, name: &str, service: &Service) {
    let counters = service.counters();
    let sessions = u64::try_from(service.session_count()).unwrap_or(u64::MAX);
    exposition.number(&SESSIONS, &[name], sessions);
    exposition.number(&SESSIONS_OPENED, &[name], counters.sessions.get());
    for (reason, number) in counters.session_ends.all() {
        exposition.number(&SESSIONS_CLOSED, &[name, reason.name()], number);
    }
    for (reason, number) in counters.turned_away.all() {
        exposition.number(&REFUSED_CONNECTIONS, &[name, reason.name()], number);
    }
    for (error, number) in counters.errors.all() {
        exposition.number(&ERRORS, &[name, error.name()], number);
    }
    exposition.number(&BACKLOG, &[name], counters.backlog.get());
}
