use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{Schema, Uuid};
use ovsdb_engine::{Context, Outcome, Transaction};

use super::*;
use crate::remotes::{RemoteStatus, differences};

const SCHEMA: &str = r#"{"name":"D","version":"1.0.0","tables":{
"Global":{"isRoot":true,"columns":{
"names":{"type":{"key":"string","min":0,"max":"unlimited"}},
"number":{"type":"integer"},
"connections":{"type":{"key":{"type":"uuid","refTable":"Connection"},"min":0,"max":"unlimited"}}}},
"Connection":{"columns":{
"target":{"type":"string"},
"max_backoff":{"type":{"key":"integer","min":0,"max":1}},
"inactivity_probe":{"type":{"key":"integer","min":0,"max":1}},
"read_only":{"type":"boolean"},
"role":{"type":"string"},
"other_config":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
"is_connected":{"type":"boolean","ephemeral":true},
"status":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"},"ephemeral":true}}}}}"#;

fn execute(version: &Version, params: &str) -> Version {
    let document = Document::parse(params.as_bytes().to_vec()).expect("JSON");
    let transaction = Transaction::parse(document.root(), version.schema(), Uuid::new_v4);
    let mut context = Context {
        read_only: false,
        role: None,
        elapsed: 0,
        owns_lock: &|_| false,
        new_uuid: &mut Uuid::new_v4,
    };
    match transaction.execute(version, &mut context) {
        Outcome::Done { version, .. } => version,
        other => panic!("{other:?}"),
    }
}

fn contents(operations: &str) -> Version {
    let schema = Schema::from_text(SCHEMA.as_bytes()).expect("schema");
    let version = execute(
        &Version::empty(Arc::new(schema)),
        &format!("[\"D\",{operations}]"),
    );
    assert!(version.row_count() > 0);
    version
}

fn column(text: &str) -> Column {
    Column::parse(text).expect(text)
}

#[test]
fn wrong_names_are_told_in_the_references_words() {
    assert_eq!(
        Column::parse("db:D,Global"),
        Err("\"db:D,Global\": invalid syntax".to_owned())
    );
    let version = contents(r#"{"op":"insert","table":"Global","row":{}}"#);
    for (text, source, error) in [
        (
            "db:E,Global,names",
            Source::Unknown,
            "\"db:E,Global,names\": no database named E",
        ),
        (
            "db:D,T,names",
            Source::Here(version.clone()),
            "\"db:D,T,names\": no table named T",
        ),
        (
            "db:D,Global,c",
            Source::Here(version.clone()),
            "\"db:D,Global,c\": table \"Global\" has no column \"c\"",
        ),
    ] {
        assert_eq!(column(text).check(&source), Err(error.to_owned()));
        assert_eq!(column(text).remotes(&source), Err(error.to_owned()));
    }
    let text = "db:D,Global,number";
    assert_eq!(
        column(text).string(&Source::Here(version)),
        Err(format!(
            "\"{text}\": table \"Global\" column \"number\" is not string or set of strings"
        ))
    );
    assert_eq!(
        column("db:D,T,names").remotes(&Source::Coming),
        Ok(Wanted::new())
    );
}

#[test]
fn strings_and_rows_are_remotes() {
    let version = contents(
        r#"{"op":"insert","table":"Global","row":{"names":["set",["","ptcp:1","pfd:3","punix:a"]],
            "connections":["set",[["named-uuid","a"],["named-uuid","b"]]]}},
           {"op":"insert","table":"Connection","uuid-name":"a","row":{"target":"ptcp:2",
            "inactivity_probe":60000,"max_backoff":500,"read_only":true,"role":"ovn-controller",
            "other_config":["map",[["dscp","12"]]]}},
           {"op":"insert","table":"Connection","uuid-name":"b","row":{"target":"punix:b",
            "inactivity_probe":0}}"#,
    );
    let source = Source::Here(version);
    let names = column("db:D,Global,names");
    let wanted = names.remotes(&source).expect("remotes");
    let keys: Vec<_> = wanted.keys().map(String::as_str).collect();
    assert_eq!(keys, ["", "ptcp:1", "punix:a"]);
    assert_eq!(wanted["ptcp:1"], SessionOptions::of("ptcp:1"));
    assert_eq!(names.string(&source), Ok(Some("pfd:3".to_owned())));

    let wanted = column("db:D,Global,connections").remotes(&source);
    let mut first = SessionOptions::of("ptcp:2");
    first.set_inactivity_probe(60_000);
    first.set_max_backoff(1000);
    first.read_only = true;
    first.role = Some("ovn-controller".to_owned());
    first.dscp = 12;
    let second = SessionOptions::of("punix:b");
    let expected = [("ptcp:2".to_owned(), first), ("punix:b".to_owned(), second)];
    assert_eq!(wanted, Ok(Wanted::from(expected)));
}

#[test]
fn rows_are_made_to_say_what_is_true_and_then_left_alone() {
    let version = contents(
        r#"{"op":"insert","table":"Global","row":{"connections":["set",[["named-uuid","a"]]]}},
           {"op":"insert","table":"Connection","uuid-name":"a","row":{"target":"ptcp:2"}}"#,
    );
    let columns = [&column("db:D,Global,connections")];
    let status = |name: &str| {
        assert_eq!(name, "ptcp:2");
        RemoteStatus {
            connected: true,
            port: Some(2),
            ..RemoteStatus::default()
        }
    };
    let params = differences(&version, &columns, &status).expect("differences");
    let version = execute(&version, &params);
    assert_eq!(differences(&version, &columns, &status), None);
    let (table, row) = columns[0].remote_rows(&version)[0];
    let cells = Cells {
        version: &version,
        table,
        row,
    };
    assert_eq!(cells.boolean("is_connected"), Some(true));
    let pairs = cells.map("status").expect("a map");
    assert_eq!(pairs.map_value("bound_port"), Some("2"));
}
