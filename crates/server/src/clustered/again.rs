//! The results of a transaction that is in the log while its leader's answer is lost: a follower
//! executes it once more, on the version that it was executed on, and knows them if it changes the same.
//!
//! What is random in it must be the same then: its rows' UUIDs come from the transaction's id.

use ovsdb::Uuid;
use ovsdb::json::Document;
use ovsdb_engine::record::write_changes;
use ovsdb_engine::{Changes, Outcome, Transaction, Version};

use crate::database::Job;

/// The versions before and behind an entry of the log.
#[derive(Debug, Clone)]
pub struct Around {
    /// Before it.
    pub before: Version,
    /// Behind it.
    pub behind: Version,
}

/// The UUIDs of the rows that a transaction inserts which a follower passes on.
pub fn row_ids(transaction: Uuid) -> impl FnMut() -> Uuid {
    let mut count: u64 = 0;
    move || {
        count += 1;
        Uuid::new_v5(&transaction, &count.to_be_bytes())
    }
}

/// The results of a transaction with this id; none if it does something else now.
pub(super) fn results(job: &Job, id: Uuid, around: &Around) -> Option<Vec<u8>> {
    let document = Document::parse(job.text.clone()).ok()?;
    let schema = around.before.schema();
    let transaction = Transaction::parse(document.root(), schema, row_ids(id));
    let Outcome::Done { changes, reply, .. } = job.execute_as(&transaction, &around.before, false)
    else {
        return None;
    };
    let was = Changes::between(&around.before, &around.behind);
    (text(&changes) == text(&was)).then(|| reply.finish())
}

/// What changes, but for the rows' versions.
fn text(changes: &Changes) -> Vec<u8> {
    let mut text = Vec::new();
    write_changes(&mut text, changes, 0, None);
    text
}
