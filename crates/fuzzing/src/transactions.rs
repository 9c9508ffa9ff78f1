//! Transactions, parsed and executed one behind the other.

use ovsdb::json::Document;
use ovsdb_engine::{Context, Outcome, Transaction, Version};

use crate::contents::{Drawn, check, free, role, text, version};

/// How many transactions one input has at most.
const MOST: usize = 8;

/// The first byte says who asks: bit 0 for a client that may only read, bit 1 for one with a role,
/// bit 2 for one that has waited. Each line is the `params` of a transaction.
pub fn run(data: &[u8]) {
    let Some((flags, lines)) = data.split_first() else {
        return;
    };
    let role = (flags & 2 != 0).then(role);
    let mut drawn = Drawn(1 << 32);
    let mut now = version();
    for line in lines.split(|byte| *byte == b'\n').take(MOST) {
        let Ok(document) = Document::parse(line) else {
            continue;
        };
        let transaction = Transaction::parse(document.root(), now.schema(), || drawn.next());
        let mut draw = || drawn.next();
        let mut context = Context {
            read_only: flags & 1 != 0,
            role: role.as_ref(),
            elapsed: u64::from(flags & 4) * 1000,
            ..free(&mut draw)
        };
        let outcome = transaction.execute(&now, &mut context);
        if let Some(next) = judge(&now, &transaction, outcome, document.root().len()) {
            assert!(flags & 1 == 0 || text(&next) == text(&now), "it only reads");
            now = next;
        }
    }
}

/// Checks what came of a transaction; gives the contents after it.
fn judge(
    before: &Version,
    transaction: &Transaction,
    outcome: Outcome,
    elements: usize,
) -> Option<Version> {
    let Outcome::Done {
        version,
        changes,
        reply,
        failure,
        ..
    } = outcome
    else {
        assert!(transaction.may_block());
        return None;
    };
    let reply = Document::parse(reply.finish()).expect("a reply is JSON");
    let operations = elements.saturating_sub(1);
    let results: Vec<_> = reply.root().elements().collect();
    let is_error = |result: &&ovsdb::json::Json<'_>| result.member("error").is_some();
    let errors = results.iter().filter(is_error).count();
    assert_eq!(errors, usize::from(failure.is_some()));
    if failure.is_some() {
        assert!(changes.is_empty());
        assert_eq!(version.sequence(), before.sequence());
        assert_eq!(text(&version), text(before), "a failure changes nothing");
        // What is wrong at the end has a result of its own.
        assert!(results.len() == operations || results.len() == operations + 1);
    } else {
        assert_eq!(results.len(), operations);
        let more = u64::from(!changes.is_empty());
        assert_eq!(version.sequence(), before.sequence() + more);
        assert!(!transaction.only_reads() || changes.is_empty());
        check(before, &version, &changes);
    }
    Some(version)
}
