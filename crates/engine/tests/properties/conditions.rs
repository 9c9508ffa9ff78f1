//! Monitors with random conditions.

use std::collections::BTreeMap;

use ovsdb::Schema;
use ovsdb::json::Document;
use ovsdb_engine::Monitor;
use ovsdb_engine::monitor::Format;
use proptest::prelude::*;

pub(crate) fn monitor_requests(schema: &Schema, conditions: &BTreeMap<&str, String>) -> String {
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

pub(crate) fn conditions() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
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

pub(crate) fn parse_monitor(
    schema: &Schema,
    format: Format,
    conditions: &BTreeMap<&str, String>,
) -> Monitor {
    let none = BTreeMap::new();
    let conditions = if format == Format::Update {
        &none
    } else {
        conditions
    };
    let document = Document::parse(monitor_requests(schema, conditions)).expect("JSON");
    Monitor::parse(document.root(), format, schema).expect("monitor")
}
