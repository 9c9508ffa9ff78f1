//! What monitors tell of contents and changes makes the same contents again at who follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use ovsdb::json::{Document, write};
use ovsdb::{Atom, Schema};
use ovsdb_engine::monitor::Format;
use ovsdb_engine::updates::{self, Form};
use ovsdb_engine::{Changes, Monitor, Version};

const FORMS: [(Format, Form); 3] = [
    (Format::Update, Form::Values),
    (Format::Update2, Form::Differences),
    (Format::Update3, Form::Differences),
];

/// Tells of a version, and of what lies between it and another one, in all forms.
pub(crate) fn check(before: &Version, after: &Version, changes: &Changes) {
    if !(is_told_exactly(before) && is_told_exactly(after)) {
        return;
    }
    let schema = after.schema();
    for (format, form) in FORMS {
        let monitor = all(schema, format);
        let first = Document::parse(monitor.initial(after)).expect("contents are JSON");
        let copy = updates::contents(schema.clone(), first.root(), form);
        assert_same(&copy.expect("contents"), after);
        let kept = BTreeSet::new();
        let replaced = updates::replace(before, first.root(), form, &kept);
        let (replaced, differences) = replaced.expect("contents in the place of others");
        assert_same(&replaced, after);
        assert_eq!(differences.row_count(), changes.row_count());
        let Some(update) = monitor.update(changes) else {
            assert!(changes.is_empty(), "changes are told");
            continue;
        };
        let update = Document::parse(update).expect("an update is JSON");
        let (followed, again) = updates::apply(before, update.root(), form).expect("an update");
        assert_same(&followed, after);
        assert_eq!(again.row_count(), changes.row_count());
        assert_eq!(followed.sequence(), before.sequence() + 1);
    }
}

/// The same rows, in the same versions.
pub(crate) fn assert_same(a: &Version, b: &Version) {
    let differences = Changes::between(a, b);
    assert!(differences.is_empty(), "{differences:?}");
}

/// A monitor of everything.
fn all(schema: &Arc<Schema>, format: Format) -> Monitor {
    let mut requests = b"{".to_vec();
    for (place, table) in schema.tables.iter().enumerate() {
        if place > 0 {
            requests.push(b',');
        }
        write::string(&mut requests, &table.name);
        requests.extend_from_slice(b":{}");
    }
    requests.push(b'}');
    let requests = Document::parse(requests).expect("requests are JSON");
    Monitor::parse(requests.root(), format, schema).expect("a monitor of all tables")
}

/// False with reals of more than the 15 digits that clients are told of.
fn is_told_exactly(version: &Version) -> bool {
    let is_exact = |atom: &Atom| match atom {
        Atom::Real(real) => format!("{real:.14e}").parse() == Ok(*real),
        _ => true,
    };
    version.tables().all(|(_, table)| {
        table.rows().all(|row| {
            row.columns().iter().all(|value| {
                let pairs = value.pairs().iter();
                value.atoms().iter().all(is_exact)
                    && pairs
                        .into_iter()
                        .all(|(key, value)| is_exact(key) && is_exact(value))
            })
        })
    })
}
