//! `/metrics`: what was counted and what there is, put together when somebody asks.

mod catalogue;
mod clients;
mod contents;
mod exposition;
mod file;
mod process;
mod raft;

use std::time::{SystemTime, UNIX_EPOCH};

use ovsdb_tls::KeySet;

use self::exposition::{Exposition, float};
use super::{Shown, readiness};
use crate::control_commands::Subject;
use crate::databases::Kept;
use crate::schemas::Side;

/// The text.
///
/// # Errors
/// If a metric makes no sense.
pub fn text(shown: &Shown) -> prometheus::Result<String> {
    let mut exposition = Exposition::default();
    exposition.number(&catalogue::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1);
    if let Some(tls) = &shown.tls {
        add_ends(&mut exposition, &tls.current());
    }
    process::add(&mut exposition);
    for (side, subject) in &shown.databases {
        add_database(&mut exposition, *side, subject);
    }
    exposition.text()
}

fn add_ends(exposition: &mut Exposition, keys: &KeySet) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let authority = keys.first_authority_to_end(now);
    for (metric, certificate) in [
        (&catalogue::CERTIFICATE_EXPIRY, Some(keys.certificate())),
        (&catalogue::AUTHORITY_EXPIRY, authority),
    ] {
        if let Some(certificate) = certificate {
            let end = u64::try_from(certificate.not_after).unwrap_or(0);
            exposition.add(metric, &[], float(end));
        }
    }
}

fn add_database(exposition: &mut Exposition, side: Side, subject: &Subject) {
    let name = side.database();
    let ready = readiness::one_ready(side, subject).well;
    exposition.yes(&catalogue::READY, &[name], ready);
    let kept = subject.databases.get(name);
    if let Some(database) = contents::add(exposition, name, &subject.service) {
        clients::add_transactions(exposition, name, &database);
    }
    clients::add_sessions(exposition, name, &subject.service);
    if let Some(kept) = &kept {
        file::add(exposition, name, kept);
    }
    if let Some(member) = subject.members.get(name) {
        raft::add_status(exposition, name, &member.status());
    }
    if let Some(Kept::Member(member)) = &kept
        && let Some(node) = member.node()
    {
        raft::add_counters(exposition, name, node);
    }
}
