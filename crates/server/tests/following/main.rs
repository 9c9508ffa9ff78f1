//! Relays and standbys beside the reference's: the same clients see the same on both.
//!
//! Ours run in this process, the reference as `ovsdb-server` from `PATH` (or `OVSDB_SERVER_BIN`).

mod chain;
mod client;
mod deaf_source;
mod handover;
mod lost_source;
mod ours;
mod reference;
mod schema_change;
mod standby;
mod taken_away;

/// A database with an index and references.
const SCHEMA: &str = r#"{"name":"D","version":"1.0.0","tables":{
    "T":{"isRoot":true,"indexes":[["n"]],"columns":{
        "n":{"type":"integer"},
        "set":{"type":{"key":"string","min":0,"max":"unlimited"}},
        "map":{"type":{"key":"string","value":"real","min":0,"max":"unlimited"}},
        "weak":{"type":{"key":{"type":"uuid","refTable":"U","refType":"weak"},"min":0,"max":"unlimited"}}}},
    "U":{"isRoot":true,"columns":{"name":{"type":"string"}}}}}"#;

/// The same, larger.
fn newer_schema() -> String {
    let column = r#""name":{"type":"string"},"more":{"type":"integer"}"#;
    SCHEMA
        .replace("1.0.0", "2.0.0")
        .replace(r#""name":{"type":"string"}"#, column)
}
