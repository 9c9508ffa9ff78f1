//! A small database with something of everything.

use std::sync::{Arc, LazyLock};

use ovsdb::datum_print::Reals;
use ovsdb::json::Document;
use ovsdb::{Datum, NoNames, Schema, Uuid};
use ovsdb_engine::record::{self, Strictness};
use ovsdb_engine::{Changes, Context, Outcome, Role, Transaction, Version};

use crate::soundness;

/// The schema.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

const ROWS: &str = r#"["D",
    {"op":"insert","table":"A","uuid":"00000000-0000-4000-8000-00000000000a","uuid-name":"a",
     "row":{"s":"one","i":1,"r":1.5,"tags":["map",[["k","v"]]],"few":["set",[1,2]]}},
    {"op":"insert","table":"A","uuid":"00000000-0000-4000-8000-00000000000b",
     "row":{"s":"two","i":2,"b":true,"e":"red","weak":["named-uuid","a"]}},
    {"op":"insert","table":"B","uuid":"00000000-0000-4000-8000-00000000000c","uuid-name":"b",
     "row":{"n":1}},
    {"op":"insert","table":"C","row":{"strong":["set",[["named-uuid","b"]]],
     "both":["map",[[["named-uuid","a"],["named-uuid","b"]]]]}},
    {"op":"insert","table":"P","uuid-name":"p",
     "row":{"authorization":["set",["s","tags:k"]],"insert_delete":true,"update":["set",["i","tags"]]}},
    {"op":"insert","table":"RBAC_Role","row":{"name":"role","permissions":
     ["map",[["A",["named-uuid","p"]],["B",["named-uuid","p"]]]]}}]"#;

static VERSION: LazyLock<Version> = LazyLock::new(|| {
    let schema = Schema::from_text(SCHEMA.as_bytes()).expect("the schema");
    let empty = Version::empty(Arc::new(schema));
    let document = Document::parse(ROWS).expect("JSON");
    let mut drawn = Drawn(0);
    let transaction = Transaction::parse(document.root(), empty.schema(), || drawn.next());
    match transaction.execute(&empty, &mut free(&mut || drawn.next())) {
        Outcome::Done {
            version,
            failure: None,
            ..
        } => version,
        other => panic!("{other:?}"),
    }
});

/// The database.
pub(crate) fn version() -> Version {
    VERSION.clone()
}

/// UUIDs that are the same in each run.
pub(crate) struct Drawn(pub(crate) u128);

impl Drawn {
    pub(crate) fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(0xd0 << 120 | self.0)
    }
}

/// A client that may do everything.
pub(crate) fn free(new_uuid: &mut dyn FnMut() -> Uuid) -> Context<'_> {
    Context {
        read_only: false,
        role: None,
        elapsed: 0,
        owns_lock: &|name| name == "mine",
        new_uuid,
    }
}

/// A client with a role.
pub(crate) fn role() -> Role {
    Role::new("role", Some("one")).expect("a name")
}

/// All of the contents, but for what does not last.
pub(crate) fn text(version: &Version) -> Vec<u8> {
    let mut out = Vec::new();
    record::write_contents(&mut out, version, 0, None);
    out
}

/// Checks what has to be true of a version and of what lies between it and the one before.
pub(crate) fn check(before: &Version, after: &Version, changes: &Changes) {
    let between = Changes::between(before, after);
    assert_eq!(between.row_count(), changes.row_count());
    soundness::check(after);
    let mut record = Vec::new();
    let recorded = record::write_changes(&mut record, changes, 0, None);
    let again = if recorded {
        let document = Document::parse(record).expect("a record is JSON");
        let mut drawn = Drawn(1 << 64);
        let root = document.root();
        let applied = record::apply(before, root, Strictness::Exact, &mut || drawn.next());
        applied.expect("a record can be applied").0
    } else {
        before.clone()
    };
    assert_eq!(text(&again), text(after), "the record makes the same");
    for table in &changes.tables {
        let schema = after.schema().table(table.table);
        for row in table.rows.iter().filter_map(|row| row.new.as_ref()) {
            for (id, column) in schema.all_columns() {
                let value = row.get(id);
                // New columns get this in a conversion, even if their type forbids it.
                if *value == column.column_type.default_datum() {
                    continue;
                }
                let mut printed = b"[".to_vec();
                value.write_json(&mut printed, &column.column_type, Reals::Exact);
                printed.push(b']');
                let document = Document::parse(printed).expect("values are JSON");
                let json = document.root().element(0).expect("a value");
                let read = Datum::parse(json, &column.column_type, &mut NoNames);
                assert_eq!(read.as_ref(), Ok(value), "{}", column.name);
            }
        }
    }
}
