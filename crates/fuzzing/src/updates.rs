//! What another server tells of its database, and what becomes of the copy.

use std::collections::BTreeSet;

use ovsdb::json::{Document, Json, Kind};
use ovsdb_engine::updates::{self, Form};
use ovsdb_engine::{Changes, Outcome, Transaction, Version};

use crate::contents::{Drawn, check, free, text, version};
use crate::{soundness, telling};

/// How many updates one input has at most.
const MOST: usize = 8;

/// The first byte says how updates tell (bit 0: by differences), whether the first line has all
/// contents (bit 1), whether the others have them (bit 2), and whether one table is kept then (bit
/// 3). Each line is an update; an array is a transaction at the other server, told in every form.
pub fn run(data: &[u8]) {
    let Some((flags, lines)) = data.split_first() else {
        return;
    };
    let form = match flags & 1 {
        0 => Form::Values,
        _ => Form::Differences,
    };
    let mut lines = lines.split(|byte| *byte == b'\n');
    let mut now = version();
    if flags & 2 != 0 {
        let Some(Ok(first)) = lines.next().map(Document::parse) else {
            return;
        };
        let empty = Version::empty(now.schema().clone());
        let Ok(contents) = updates::contents(empty.schema().clone(), first.root(), form) else {
            return;
        };
        let changes = Changes::between(&empty, &contents);
        check(&empty, &contents, &changes);
        telling::check(&empty, &contents, &changes);
        now = contents;
    }
    let begin = now.clone();
    let mut drawn = Drawn(1 << 32);
    for line in lines.take(MOST) {
        let Ok(document) = Document::parse(line) else {
            continue;
        };
        let Some((next, changes)) = step(&now, document.root(), *flags, form, &mut drawn) else {
            continue;
        };
        let more = u64::from(!changes.is_empty());
        assert_eq!(next.sequence(), now.sequence() + more);
        check(&now, &next, &changes);
        telling::check(&now, &next, &changes);
        now = next;
    }
    // A client that reads slowly is told of all at once.
    let changes = Changes::between(&begin, &now);
    let began = begin.clone().with_sequence(now.sequence());
    telling::check(&began, &now, &changes);
    soundness::check(&begin);
    assert_eq!(text(&begin), text(&began), "a version is never changed");
}

fn step(
    now: &Version,
    json: Json<'_>,
    flags: u8,
    form: Form,
    drawn: &mut Drawn,
) -> Option<(Version, Changes)> {
    if json.kind() == Kind::Array {
        let transaction = Transaction::parse(json, now.schema(), || drawn.next());
        return match transaction.execute(now, &mut free(&mut || drawn.next())) {
            Outcome::Done {
                version, changes, ..
            } => Some((version, changes)),
            Outcome::Blocked { .. } => None,
        };
    }
    if flags & 4 == 0 {
        return updates::apply(now, json, form).ok();
    }
    let table = (flags & 8 != 0).then(|| now.schema().find("P")).flatten();
    let kept: BTreeSet<_> = table.into_iter().collect();
    let (next, changes) = updates::replace(now, json, form, &kept).ok()?;
    // The same contents once more are no change.
    if let Ok((again, none)) = updates::replace(&next, json, form, &kept) {
        assert!(none.is_empty(), "{none:?}");
        telling::assert_same(&again, &next);
    }
    Some((next, changes))
}
