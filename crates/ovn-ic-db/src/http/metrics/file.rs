//! A database's file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ovsdb_log::{Counters, Status};

use super::catalogue::{
    COMPACTION_DURATION, COMPACTION_FAILURES, DISK_FAILURES, FILE_APPENDED, FILE_COMPACT_SIZE,
    FILE_SIZE, FILE_UNWRITTEN, FILE_WRITABLE, FSYNC_DURATION, LAST_COMPACTION,
};
use super::exposition::Exposition;
use crate::databases::Kept;

/// Adds what is known of it.
pub fn add(exposition: &mut Exposition, name: &str, kept: &Kept) {
    match kept {
        Kept::Alone(alone) => {
            let file = &alone.standalone;
            let (status, unwritten) = (file.status(), file.unwritten());
            let writable = status.failed.is_none() && unwritten == 0;
            let unwritten = u64::try_from(unwritten).unwrap_or(u64::MAX);
            exposition.number(&FILE_UNWRITTEN, &[name], unwritten);
            add_sizes(exposition, name, &status);
            add_counters(exposition, name, file.counters(), 0);
            add_state(exposition, name, writable, file.last_compaction());
        }
        Kept::Member(member) => {
            let Some(node) = member.node() else { return };
            // There is none while the file cannot be opened.
            let status = node.file_status();
            let writable = status
                .as_ref()
                .is_some_and(|status| status.failed.is_none());
            if let Some(status) = &status {
                add_sizes(exposition, name, status);
            }
            let counters = node.counters();
            let failures = counters.file_failures.get();
            add_counters(exposition, name, &counters.file, failures);
            add_state(exposition, name, writable, node.last_compaction());
        }
    }
}

fn add_sizes(exposition: &mut Exposition, name: &str, status: &Status) {
    exposition.number(&FILE_SIZE, &[name], status.size);
    exposition.number(&FILE_COMPACT_SIZE, &[name], status.base);
}

fn add_counters(exposition: &mut Exposition, name: &str, counters: &Counters, failures: u64) {
    exposition.number(&FILE_APPENDED, &[name], counters.appended.get());
    exposition.histogram(&FSYNC_DURATION, &[name], &counters.syncs);
    let failures = counters.failures.get() + failures;
    exposition.number(&DISK_FAILURES, &[name], failures);
    exposition.histogram(&COMPACTION_DURATION, &[name], &counters.rewritings);
    let failed = counters.failed_rewritings.get();
    exposition.number(&COMPACTION_FAILURES, &[name], failed);
}

fn add_state(
    exposition: &mut Exposition,
    name: &str,
    writable: bool,
    last_compaction: Option<Duration>,
) {
    exposition.yes(&FILE_WRITABLE, &[name], writable);
    let at = last_compaction.and_then(|ago| SystemTime::now().checked_sub(ago));
    if let Some(at) = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()) {
        exposition.add(&LAST_COMPACTION, &[name], at.as_secs_f64());
    }
}
