//! Properties of random transactions: invariants hold, logs and monitors tell the whole story.

mod conditions;
mod invariants;
mod steps;
mod view;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{ColumnId, Condition, NoNames};
use ovsdb_engine::monitor::Format;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_engine::{Changes, Version};
use proptest::prelude::*;

use crate::conditions::{conditions, monitor_requests, parse_monitor};
use crate::invariants::{check_invariants, contents};
use crate::steps::{Step, transactions};
use crate::view::{View, follow};
use crate::world::{World, draw};

fn apply(version: &Version, record: Vec<u8>, drawn: &mut u128) -> Version {
    let document = Document::parse(record).expect("JSON");
    match record::apply(version, document.root(), Strictness::Exact, &mut || {
        draw(drawn)
    }) {
        Ok((version, _)) => version,
        Err(error) => panic!("{error}"),
    }
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
