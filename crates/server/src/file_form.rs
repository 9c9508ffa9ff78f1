//! How changes are written to files, of all databases of the process: as differences, or so that
//! servers before 2.17 read them (`--disable-file-column-diff`).

use std::sync::atomic::{AtomicBool, Ordering};

use ovsdb_engine::{Changes, record};

use crate::control::Commands;

static DIFFERENCES: AtomicBool = AtomicBool::new(true);

/// From now on modified columns are differences, or new values.
pub fn set_differences(differences: bool) {
    DIFFERENCES.store(differences, Ordering::Relaxed);
}

/// Adds `ovsdb/file/column-diff-enable`, which is known where there is something to enable, as in
/// the reference.
pub fn register(commands: &mut Commands) {
    if DIFFERENCES.load(Ordering::Relaxed) {
        return;
    }
    let name = "ovsdb/file/column-diff-enable";
    commands.register(name, Some(""), 0, 0, |_| {
        set_differences(true);
        std::future::ready(Ok(String::new()))
    });
}

/// See [`record::write_changes`].
pub(crate) fn write_changes(
    out: &mut Vec<u8>,
    changes: &Changes,
    date: u64,
    comment: Option<&str>,
) -> bool {
    let differences = DIFFERENCES.load(Ordering::Relaxed);
    record::write_changes_as(out, changes, date, comment, differences)
}
