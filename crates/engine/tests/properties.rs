//! Properties of random transactions: invariants hold, logs and monitors tell the whole story.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ovsdb::json::{Document, Json};
use ovsdb::{Atom, ColumnId, Condition, Datum, NoNames, Schema, TableId, TableSchema, Uuid};
use ovsdb_engine::monitor::Format;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_engine::{Changes, Context, Monitor, Outcome, Transaction, Version};
use proptest::prelude::*;

const SCHEMA: &str = r#"{"name":"P","version":"1.0.0","tables":{
"Root":{"isRoot":true,"maxRows":12,"indexes":[["name"],["a","b"]],"columns":{
  "name":{"type":"string"},
  "a":{"type":"integer"},"b":{"type":"integer"},
  "kids":{"type":{"key":{"type":"uuid","refTable":"Kid"},"min":0,"max":"unlimited"}},
  "friends":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"weak"},"min":0,"max":"unlimited"}},
  "must":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"strong"},"min":0,"max":1}},
  "map":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"weak"},"value":{"type":"uuid","refTable":"Kid"},"min":0,"max":"unlimited"}},
  "tags":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
  "scratch":{"type":{"key":"integer","min":0,"max":3},"ephemeral":true}}},
"Kid":{"isRoot":false,"columns":{
  "n":{"type":"integer"},
  "next":{"type":{"key":{"type":"uuid","refTable":"Kid"},"min":0,"max":1}},
  "owner":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"weak"},"min":0,"max":2}}}}}}"#;

/// Where a random reference points to.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The nth row of the table, if it has that many.
    Row(usize),
    /// The nth row that this transaction inserts into the table.
    New(usize),
    /// The row itself is not known; a row that never was.
    Nowhere,
}

#[derive(Debug, Clone)]
enum Step {
    Root {
        name: u8,
        a: u8,
        b: u8,
    },
    Kid {
        n: u8,
        next: Option<Target>,
        owner: Vec<Target>,
    },
    Set {
        row: usize,
        column: &'static str,
        targets: Vec<Target>,
        values: Vec<Target>,
    },
    Number {
        row: usize,
        column: &'static str,
        to: u8,
    },
    Next {
        row: usize,
        next: Option<Target>,
    },
    Swap(usize, usize),
    Delete {
        table: &'static str,
        row: usize,
    },
    Tags {
        row: usize,
        insert: bool,
        key: u8,
        value: u8,
    },
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        8 => (0usize..12).prop_map(Target::Row),
        4 => (0usize..3).prop_map(Target::New),
        1 => Just(Target::Nowhere),
    ]
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    proptest::collection::vec(target(), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..20, 0u8..4, 0u8..9).prop_map(|(name, a, b)| Step::Root { name, a, b }),
        4 => (0u8..9, proptest::option::of(target()), proptest::collection::vec(target(), 0..3))
            .prop_map(|(n, next, owner)| Step::Kid { n, next, owner }),
        8 => (0usize..12, proptest::sample::select(vec!["kids", "friends", "must", "map"]), targets(), targets())
            .prop_map(|(row, column, targets, values)| Step::Set { row, column, targets, values }),
        2 => (0usize..12, proptest::sample::select(vec!["a", "b", "scratch"]), 0u8..9)
            .prop_map(|(row, column, to)| Step::Number { row, column, to }),
        2 => (0usize..12, proptest::option::of(target())).prop_map(|(row, next)| Step::Next { row, next }),
        2 => (0usize..12, 0usize..12).prop_map(|(x, y)| Step::Swap(x, y)),
        2 => (proptest::sample::select(vec!["Root", "Kid"]), 0usize..12)
            .prop_map(|(table, row)| Step::Delete { table, row }),
        2 => (0usize..12, any::<bool>(), 0u8..4, 0u8..3)
            .prop_map(|(row, insert, key, value)| Step::Tags { row, insert, key, value }),
    ]
}

fn transactions(most: usize) -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 1..7), 1..most)
}

/// A database with the means to change it.
struct World {
    schema: Arc<Schema>,
    version: Version,
    drawn: u128,
}

/// The result of one transaction.
struct Done {
    changes: Changes,
    failed: bool,
}

impl World {
    fn new() -> World {
        let schema = Arc::new(Schema::from_text(SCHEMA.as_bytes()).expect("schema"));
        World {
            version: Version::empty(schema.clone()),
            schema,
            drawn: 0,
        }
    }

    fn table(&self, name: &str) -> TableId {
        self.schema.find(name).expect("table")
    }

    fn row(&self, table: &str, n: usize) -> Option<Uuid> {
        let table = self.version.table(self.table(table));
        table.rows().nth(n).map(|row| row.uuid())
    }

    fn reference(&self, table: &str, target: Target) -> Option<String> {
        match target {
            Target::Row(n) => self
                .row(table, n)
                .map(|uuid| format!("[\"uuid\",\"{uuid}\"]")),
            Target::New(n) => Some(format!("[\"named-uuid\",\"{table}{n}\"]")),
            Target::Nowhere => Some(format!("[\"uuid\",\"{}\"]", Uuid::max())),
        }
    }

    fn set(&self, table: &str, targets: &[Target]) -> String {
        let all: BTreeSet<_> = targets
            .iter()
            .filter_map(|t| self.reference(table, *t))
            .collect();
        let all: Vec<_> = all.into_iter().collect();
        format!("[\"set\",[{}]]", all.join(","))
    }

    fn operations(&self, steps: &[Step]) -> String {
        let mut out = vec!["\"P\"".to_owned()];
        let (mut roots, mut kids) = (0, 0);
        for step in steps {
            self.operation(step, &mut roots, &mut kids, &mut out);
        }
        format!("[{}]", out.join(","))
    }

    fn operation(&self, step: &Step, roots: &mut usize, kids: &mut usize, out: &mut Vec<String>) {
        let update = |table: &str, row: usize, values: String| {
            self.row(table, row).map(|uuid| {
                format!(
                    r#"{{"op":"update","table":"{table}","where":[["_uuid","==",["uuid","{uuid}"]]],"row":{{{values}}}}}"#
                )
            })
        };
        match step {
            Step::Root { name, a, b } => {
                out.push(format!(
                    r#"{{"op":"insert","table":"Root","uuid-name":"Root{roots}","row":{{"name":"n{name}","a":{a},"b":{b}}}}}"#
                ));
                *roots += 1;
            }
            Step::Kid { n, next, owner } => {
                let next = self.set("Kid", next.as_slice());
                let owner = self.set("Root", owner);
                out.push(format!(
                    r#"{{"op":"insert","table":"Kid","uuid-name":"Kid{kids}","row":{{"n":{n},"next":{next},"owner":{owner}}}}}"#
                ));
                *kids += 1;
            }
            Step::Set {
                row,
                column,
                targets,
                values,
            } => {
                let value = match *column {
                    "kids" => self.set("Kid", targets),
                    "friends" => self.set("Root", targets),
                    "must" => self.set("Root", &targets[..targets.len().min(1)]),
                    _ => {
                        let pairs: BTreeMap<_, _> = targets
                            .iter()
                            .zip(values)
                            .filter_map(|(k, v)| {
                                Some((self.reference("Root", *k)?, self.reference("Kid", *v)?))
                            })
                            .collect();
                        let pairs: Vec<_> =
                            pairs.iter().map(|(k, v)| format!("[{k},{v}]")).collect();
                        format!("[\"map\",[{}]]", pairs.join(","))
                    }
                };
                out.extend(update("Root", *row, format!("\"{column}\":{value}")));
            }
            Step::Number { row, column, to } => {
                out.extend(update("Root", *row, format!("\"{column}\":{to}")));
            }
            Step::Next { row, next } => {
                let next = self.set("Kid", next.as_slice());
                out.extend(update("Kid", *row, format!("\"next\":{next}")));
            }
            Step::Swap(x, y) => {
                let table = self.version.table(self.table("Root"));
                let name = |n: usize| {
                    let column = self.schema.table(self.table("Root")).find("name")?;
                    let row = table.rows().nth(n)?;
                    row.get(column).atoms().first()?.as_str().map(str::to_owned)
                };
                if let (Some(of_x), Some(of_y)) = (name(*x), name(*y)) {
                    out.extend(update("Root", *x, format!("\"name\":\"{of_y}\"")));
                    out.extend(update("Root", *y, format!("\"name\":\"{of_x}\"")));
                }
            }
            Step::Delete { table, row } => {
                if let Some(uuid) = self.row(table, *row) {
                    out.push(format!(
                        r#"{{"op":"delete","table":"{table}","where":[["_uuid","==",["uuid","{uuid}"]]]}}"#
                    ));
                }
            }
            Step::Tags {
                row,
                insert,
                key,
                value,
            } => {
                let (mutator, value) = if *insert {
                    ("insert", format!("[\"map\",[[\"k{key}\",\"v{value}\"]]]"))
                } else {
                    ("delete", format!("[\"set\",[\"k{key}\"]]"))
                };
                if let Some(uuid) = self.row("Root", *row) {
                    out.push(format!(
                        r#"{{"op":"mutate","table":"Root","where":[["_uuid","==",["uuid","{uuid}"]]],"mutations":[["tags","{mutator}",{value}]]}}"#
                    ));
                }
            }
        }
    }

    /// Executes operations; the version only changes if they succeed.
    fn execute(&mut self, text: &str) -> (Done, String) {
        let document = Document::parse(text.to_owned()).expect("JSON");
        let drawn = &mut self.drawn;
        let transaction =
            Transaction::parse(document.root(), self.version.schema(), || draw(drawn));
        let mut context = Context {
            read_only: false,
            role: None,
            elapsed: 0,
            owns_lock: &|_| false,
            new_uuid: &mut || draw(drawn),
        };
        match transaction.execute(&self.version, &mut context) {
            Outcome::Blocked { .. } => panic!("nothing waits here"),
            Outcome::Done {
                version,
                changes,
                reply,
                ..
            } => {
                self.version = version;
                let reply = String::from_utf8(reply.finish()).expect("UTF-8");
                let failed = reply.contains("\"error\"");
                (Done { changes, failed }, reply)
            }
        }
    }
}

fn draw(drawn: &mut u128) -> Uuid {
    *drawn += 1;
    // Scattered, so that the order of drawing is not the order of rows.
    let scattered = drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Uuid::from_u128(scattered)
}

/// All values but `_version`, ephemeral ones only if asked for.
fn contents(version: &Version, ephemeral: bool) -> BTreeMap<(TableId, Uuid), Vec<Datum>> {
    let mut all = BTreeMap::new();
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        for row in table.rows() {
            let values = schema
                .own_columns()
                .filter(|(_, column)| ephemeral || column.persistent)
                .map(|(column, _)| row.get(column).clone())
                .collect();
            all.insert((id, row.uuid()), values);
        }
    }
    all
}

fn each_reference(
    version: &Version,
    mut visit: impl FnMut((TableId, Uuid), (TableId, Uuid), bool),
) {
    for (id, table) in version.tables() {
        for row in table.rows() {
            for (column_id, column) in version.schema().table(id).own_columns() {
                let column_type = &column.column_type;
                let value = row.get(column_id);
                let keys = value
                    .atoms()
                    .iter()
                    .chain(value.pairs().iter().map(|p| &p.0));
                let values = value.pairs().iter().map(|pair| &pair.1);
                let mut look = |base: &ovsdb::BaseType, atom: &Atom| {
                    let Some(uuid) = atom.as_uuid() else { return };
                    if let Some(table) = base.strong_reference() {
                        visit((id, row.uuid()), (table, uuid), true);
                    }
                    if let Some(table) = base.weak_reference() {
                        visit((id, row.uuid()), (table, uuid), false);
                    }
                };
                keys.for_each(|atom| look(&column_type.key, atom));
                if let Some(base) = &column_type.value {
                    values.for_each(|atom| look(base, atom));
                }
            }
        }
    }
}

fn check_invariants(version: &Version) {
    let mut held = BTreeSet::new();
    each_reference(version, |source, target, strong| {
        assert!(
            version.row(target.0, &target.1).is_some(),
            "{source:?} refers to {target:?}, which is not there"
        );
        if strong && source != target {
            held.insert(target);
        }
    });
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        assert!(table.len() <= schema.max_rows as usize, "maxRows");
        for row in table.rows() {
            assert!(
                schema.is_root || held.contains(&(id, row.uuid())),
                "garbage {}",
                row.uuid()
            );
        }
        for index in &schema.indexes {
            let distinct: BTreeSet<String> = table
                .rows()
                .map(|row| {
                    let values: Vec<_> = index.iter().map(|column| row.get(*column)).collect();
                    format!("{values:?}")
                })
                .collect();
            assert_eq!(distinct.len(), table.len(), "unique index");
        }
    }
}

fn apply(version: &Version, record: Vec<u8>, drawn: &mut u128) -> Version {
    let document = Document::parse(record).expect("JSON");
    match record::apply(version, document.root(), Strictness::Exact, &mut || {
        draw(drawn)
    }) {
        Ok((version, _)) => version,
        Err(error) => panic!("{error}"),
    }
}

/// What a client knows of a table's rows: columns as canonical text of their values.
type View = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

fn text(json: Json<'_>) -> String {
    json.string().expect("string").into_owned()
}

/// What a client makes of `<table-updates>`, knowing what it knew.
fn follow(view: &mut View, updates: &[u8], schema: &Schema) {
    let document = Document::parse(updates.to_vec()).expect("JSON");
    for (table, rows) in document.root().members() {
        let table_schema = schema.table(schema.find(&text(table)).expect("table"));
        let known = view.entry(text(table)).or_default();
        for (uuid, row) in rows.members() {
            follow_row(known, text(uuid), row, table_schema);
        }
    }
    view.retain(|_, rows| !rows.is_empty());
}

fn follow_row(
    known: &mut BTreeMap<String, BTreeMap<String, String>>,
    uuid: String,
    row: Json<'_>,
    schema: &TableSchema,
) {
    let column_type = |name: &str| {
        &schema
            .column(schema.find(name).expect("column"))
            .column_type
    };
    let value =
        |name: &str, json: Json<'_>| Datum::parse_diff(json, column_type(name)).expect("value");
    let print = |name: &str, value: &Datum| {
        let mut out = Vec::new();
        value.write_json(
            &mut out,
            column_type(name),
            ovsdb::datum_print::Reals::Rounded,
        );
        String::from_utf8(out).expect("UTF-8")
    };
    if let Some(new) = row.member("new") {
        let old = row.member("old");
        assert_eq!(old.is_some(), known.contains_key(&uuid), "old of {uuid}");
        for (name, before) in old.into_iter().flat_map(|old| old.members()) {
            let before = print(&text(name), &value(&text(name), before));
            assert_eq!(known[&uuid][&text(name)], before, "old value");
        }
        let columns = new
            .members()
            .map(|(name, json)| (text(name), print(&text(name), &value(&text(name), json))))
            .collect();
        known.insert(uuid, columns);
    } else if let Some(first) = row.member("initial").or(row.member("insert")) {
        assert!(!known.contains_key(&uuid), "inserted twice");
        let mut columns: BTreeMap<_, _> = schema
            .all_columns()
            .filter(|(id, _)| *id != ColumnId::UUID)
            .map(|(_, column)| {
                let default = column.column_type.default_datum();
                (column.name.to_string(), print(&column.name, &default))
            })
            .collect();
        for (name, json) in first.members() {
            columns.insert(text(name), print(&text(name), &value(&text(name), json)));
        }
        known.insert(uuid, columns);
    } else if let Some(modify) = row.member("modify") {
        let columns = known.get_mut(&uuid).expect("modified row is known");
        for (name, json) in modify.members() {
            let name = text(name);
            let document = Document::parse(format!("[{}]", columns[&name])).expect("JSON");
            let before = value(&name, document.root().element(0).expect("value"));
            let after = before.apply_diff(&value(&name, json), column_type(&name));
            columns.insert(name.clone(), print(&name, &after));
        }
    } else {
        assert!(known.remove(&uuid).is_some(), "deleted row is known");
    }
}

fn monitor_requests(schema: &Schema, conditions: &BTreeMap<&str, String>) -> String {
    let tables: Vec<_> = schema
        .tables
        .iter()
        .map(|table| {
            let condition = conditions
                .get(&*table.name)
                .map_or(String::new(), |c| format!("\"where\":{c}"));
            format!("\"{}\":[{{{condition}}}]", table.name)
        })
        .collect();
    format!("{{{}}}", tables.join(","))
}

fn conditions() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let root = prop_oneof![
        Just("[true]".to_owned()),
        Just("[false]".to_owned()),
        (0u8..4, 0u8..9).prop_map(|(a, b)| format!(r#"[["a","==",{a}],["b",">",{b}]]"#)),
        (0u8..4).prop_map(|k| format!(r#"[["tags","includes",["map",[["k{k}","v1"]]]]]"#)),
        (0u8..9).prop_map(|n| format!(r#"[["scratch","excludes",["set",[{n}]]]]"#)),
        Just(r#"[["friends","==",["set",[]]],["must","!=",["set",[]]]]"#.to_owned()),
    ];
    let kid = prop_oneof![
        Just("[]".to_owned()),
        (0u8..9).prop_map(|n| format!(r#"[["n","<=",{n}]]"#)),
        Just(r#"[["next","!=",["set",[]]]]"#.to_owned()),
    ];
    (root, kid).prop_map(|(root, kid)| BTreeMap::from([("Root", root), ("Kid", kid)]))
}

fn parse_monitor(schema: &Schema, format: Format, conditions: &BTreeMap<&str, String>) -> Monitor {
    let none = BTreeMap::new();
    let conditions = if format == Format::Update {
        &none
    } else {
        conditions
    };
    let document = Document::parse(monitor_requests(schema, conditions)).expect("JSON");
    Monitor::parse(document.root(), format, schema).expect("monitor")
}

proptest! {
    #![proptest_config(ProptestConfig {
        max_global_rejects: 4000,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn invariants_hold_and_failures_change_nothing(steps in transactions(16)) {
        let mut world = World::new();
        for steps in &steps {
            let before = world.version.clone();
            let operations = world.operations(steps);
            let (done, reply) = world.execute(&operations);
            check_invariants(&world.version);
            if done.failed {
                prop_assert!(done.changes.is_empty());
                prop_assert_eq!(world.version.sequence(), before.sequence());
            }
            if done.changes.is_empty() {
                prop_assert_eq!(contents(&before, true), contents(&world.version, true), "{}", reply);
            } else {
                prop_assert_eq!(world.version.sequence(), before.sequence() + 1);
            }
        }
        // If most transactions failed, this would show it.
        prop_assume!(2 * world.version.sequence() >= steps.len() as u64);
    }

    /// Also what is derived (indexes, counts of references) is the same: each later transaction
    /// gets the same reply on the databases that were rebuilt.
    #[test]
    fn records_rebuild_the_database(steps in transactions(16)) {
        let mut world = World::new();
        let mut replayed = Version::empty(world.schema.clone());
        let mut drawn = 1 << 64;
        for mut steps in steps {
            // No record has an ephemeral column's value, and error messages tell whether a row was
            // modified, even where only such a column was.
            steps.retain(|step| !matches!(step, Step::Number { column: "scratch", .. }));
            let operations = world.operations(&steps);
            let mut whole = Vec::new();
            record::write_contents(&mut whole, &world.version, 7, None);
            let loaded = apply(&Version::empty(world.schema.clone()), whole, &mut drawn);
            let replies: Vec<_> = [&replayed, &loaded]
                .into_iter()
                .map(|version| {
                    let mut twin = World { schema: world.schema.clone(), version: version.clone(), drawn: world.drawn };
                    let (_, reply) = twin.execute(&operations);
                    (reply, contents(&twin.version, false))
                })
                .collect();
            let (done, reply) = world.execute(&operations);
            let now = contents(&world.version, false);
            for (twin_reply, twin_contents) in &replies {
                prop_assert_eq!(&reply, twin_reply);
                prop_assert_eq!(&now, twin_contents);
            }
            let mut out = Vec::new();
            if record::write_changes(&mut out, &done.changes, 7, Some("why")) {
                replayed = apply(&replayed, out, &mut drawn);
            }
            prop_assert_eq!(contents(&replayed, false), now);
        }
    }

    #[test]
    fn merged_changes_are_the_difference(steps in transactions(12)) {
        let mut world = World::new();
        let half = steps.len() / 2;
        let mut all = Vec::new();
        let mut before = BTreeMap::new();
        let mut first = world.version.clone();
        for (i, steps) in steps.iter().enumerate() {
            if i == half {
                before = contents(&world.version, true);
                first = world.version.clone();
            }
            let operations = world.operations(steps);
            let (done, _) = world.execute(&operations);
            if i >= half {
                all.push(done.changes);
            }
        }
        let merged = Changes::merge(world.schema.clone(), &all);
        let between = Changes::between(&first, &world.version);
        prop_assert_eq!(format!("{:?}", merged.tables), format!("{:?}", between.tables));
        let after = contents(&world.version, true);
        let own = |row: &Option<Arc<ovsdb_engine::Row>>| {
            row.as_ref().map(|row| row.columns()[ColumnId::STANDARD..].to_vec())
        };
        let mut rebuilt = before.clone();
        for table in &merged.tables {
            for row in &table.rows {
                let key = (table.table, row.uuid);
                prop_assert_eq!(own(&row.old), before.get(&key).cloned());
                match own(&row.new) {
                    Some(new) => rebuilt.insert(key, new),
                    None => rebuilt.remove(&key),
                };
            }
        }
        prop_assert_eq!(rebuilt, after);
    }

    /// Initial contents and all updates together are the initial contents of the newest version,
    /// in every format, whatever the conditions are changed to meanwhile.
    #[test]
    fn monitors_tell_everything(
        steps in transactions(12),
        first in conditions(),
        changes in proptest::collection::vec(proptest::option::of(conditions()), 12),
    ) {
        for format in [Format::Update, Format::Update2, Format::Update3] {
            let mut world = World::new();
            let schema = world.schema.clone();
            let mut monitor = parse_monitor(&schema, format, &first);
            let mut view = View::new();
            follow(&mut view, &monitor.initial(&world.version), &schema);
            for (steps, change) in steps.iter().zip(&changes) {
                let operations = world.operations(steps);
                let (done, _) = world.execute(&operations);
                if let Some(update) = monitor.update(&done.changes) {
                    follow(&mut view, &update, &schema);
                }
                if let (Some(change), true) = (change, format != Format::Update) {
                    let requests = monitor_requests(&schema, change);
                    let document = Document::parse(requests).expect("JSON");
                    let new = monitor.with_conditions(document.root(), &schema).expect("conditions");
                    if let Some(update) = monitor.condition_change(&new, &world.version) {
                        follow(&mut view, &update, &schema);
                    }
                    monitor = new;
                }
                let mut expected = View::new();
                follow(&mut expected, &monitor.initial(&world.version), &schema);
                prop_assert_eq!(&view, &expected);
            }
        }
    }

    /// A clause and its opposite never agree, and `where` is all of its clauses.
    #[test]
    fn conditions_are_consistent(steps in transactions(8), a in 0i64..4, k in 0u8..4) {
        let mut world = World::new();
        for steps in &steps {
            let operations = world.operations(steps);
            world.execute(&operations);
        }
        let table = world.schema.table(world.table("Root"));
        let condition = |text: String| {
            let document = Document::parse(text).expect("JSON");
            Condition::parse(document.root(), table, &mut NoNames).expect("condition")
        };
        let tag = format!(r#"["map",[["k{k}","v1"]]]"#);
        for (one, other) in [
            (format!(r#"[["a","==",{a}]]"#), format!(r#"[["a","!=",{a}]]"#)),
            (format!(r#"[["a","<",{a}]]"#), format!(r#"[["a",">=",{a}]]"#)),
            (format!(r#"[["a",">",{a}]]"#), format!(r#"[["a","<=",{a}]]"#)),
            (format!(r#"[["tags","includes",{tag}]]"#), format!(r#"[["tags","excludes",{tag}]]"#)),
        ] {
            let (one, other) = (condition(one), condition(other));
            for row in world.version.table(world.table("Root")).rows() {
                let columns = row.columns();
                prop_assert_ne!(one.matches_all(columns, table), other.matches_all(columns, table));
            }
        }
    }
}
