//! The project's two schemas: their text, their checksums, and that a database
//! of Debian's older ones fits into them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use ovsdb::Schema;
use serde_json::{Map, Value, json};

/// The files, with name and checksum of OVN's newest release of each.
const SCHEMAS: [(&str, &str, &str, &str); 2] = [
    ("ovn-ic-nb", "OVN_IC_Northbound", "1.4.0", "518084103 6175"),
    (
        "ovn-ic-sb",
        "OVN_IC_Southbound",
        "2.7.0",
        "4014616205 10519",
    ),
];

/// Where the newer schema takes less than the older one: table, column, values.
const NARROWED: [(&str, &str, &[&str]); 1] = [("Encap", "type", &["stt"])];

fn ours(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../schemas/{name}.ovsschema"));
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn debian(name: &str) -> Result<String> {
    fs::read_to_string(format!("/usr/share/ovn/{name}.ovsschema"))
        .with_context(|| format!("{name}.ovsschema: install Debian's package ovn-ic-db"))
}

/// Any notation of a base type as an object with its defaults.
fn base(value: &Value) -> Value {
    let mut object = match value {
        Value::Object(object) => object.clone(),
        name => Map::from_iter([("type".to_owned(), name.clone())]),
    };
    if object.contains_key("refTable") {
        object.entry("refType").or_insert_with(|| json!("strong"));
    }
    if let Some(allowed) = object.remove("enum") {
        let elements = match allowed.as_array().map(Vec::as_slice) {
            Some([tag, Value::Array(elements)]) if tag == "set" => elements.clone(),
            _ => vec![allowed],
        };
        let sorted: BTreeSet<String> = elements.iter().map(Value::to_string).collect();
        object.insert("enum".to_owned(), json!(sorted));
    }
    Value::Object(object)
}

/// Any notation of a column as an object with its defaults (RFC 7047 3.2).
fn column(value: &Value) -> Result<Value> {
    let object = value.as_object().context("a column is an object")?;
    for member in object.keys() {
        ensure!(
            ["type", "ephemeral", "mutable"].contains(&member.as_str()),
            "member {member}"
        );
    }
    let mut kind = match &value["type"] {
        Value::Object(kind) => kind.clone(),
        name => Map::from_iter([("key".to_owned(), name.clone())]),
    };
    for part in ["key", "value"] {
        if let Some(found) = kind.get(part).map(base) {
            kind.insert(part.to_owned(), found);
        }
    }
    for bound in ["min", "max"] {
        kind.entry(bound).or_insert_with(|| json!(1));
    }
    Ok(json!({
        "type": kind,
        "ephemeral": object.get("ephemeral").unwrap_or(&json!(false)),
        "mutable": object.get("mutable").unwrap_or(&json!(true)),
    }))
}

type Columns = BTreeMap<(String, String), Value>;

fn columns(schema: &Value) -> Result<Columns> {
    let mut found = Columns::new();
    for (table, definition) in schema["tables"].as_object().context("tables")? {
        for (name, definition) in definition["columns"].as_object().context("columns")? {
            let definition =
                column(definition).with_context(|| format!("column {table}.{name}"))?;
            found.insert((table.clone(), name.clone()), definition);
        }
    }
    Ok(found)
}

/// The members of a table beside its columns, with their defaults.
fn tables(schema: &Value) -> Result<BTreeMap<String, Value>> {
    let tables = schema["tables"].as_object().context("tables")?;
    let of = |table: &Value, member: &str, default: Value| match &table[member] {
        Value::Null => default,
        value => value.clone(),
    };
    Ok(tables
        .iter()
        .map(|(name, table)| {
            let members = json!([
                of(table, "isRoot", json!(false)),
                of(table, "maxRows", json!("unlimited")),
                of(table, "indexes", json!([])),
            ]);
            (name.clone(), members)
        })
        .collect())
}

#[test]
fn what_is_parsed_and_printed_is_what_the_file_says() -> Result<()> {
    for (file, name, version, cksum) in SCHEMAS {
        let text = ours(file)?;
        let raw: Value = serde_json::from_str(&text)?;
        let Ok(schema) = Schema::from_text(text.as_bytes()) else {
            bail!("{file} is no schema");
        };
        let printed: Value = serde_json::from_str(&schema.to_json())?;
        for (member, expected) in [("name", name), ("version", version), ("cksum", cksum)] {
            assert_eq!(raw[member], expected, "{file}");
            assert_eq!(printed[member], expected, "{file}");
        }
        let (wanted, got) = (columns(&raw)?, columns(&printed)?);
        assert!(wanted.len() > 40, "{} columns in {file}", wanted.len());
        for (place, definition) in &wanted {
            assert_eq!(got.get(place), Some(definition), "{file}: {place:?}");
        }
        assert_eq!(got.len(), wanted.len(), "{file}");
        assert_eq!(tables(&printed)?, tables(&raw)?, "{file}");
    }
    Ok(())
}

#[test]
fn the_checksum_is_that_of_the_file_without_its_line() -> Result<()> {
    for (file, _, _, expected) in SCHEMAS {
        let text = ours(file)?;
        let rest: String = text
            .split_inclusive('\n')
            .filter(|line| !line.contains("\"cksum\""))
            .collect();
        let mut program = Command::new("cksum")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cksum: install Debian's package coreutils")?;
        // It reads all before it writes, and the pipe ends when the handle is dropped.
        let mut input = program.stdin.take().context("stdin is piped")?;
        input.write_all(rest.as_bytes())?;
        drop(input);
        let output = program.wait_with_output()?;
        assert_eq!(String::from_utf8(output.stdout)?.trim(), expected, "{file}");
    }
    Ok(())
}

/// What of an older base type the newer one does not take; an error for what no
/// list of values can say.
fn refused(older: &Value, newer: &Value) -> Result<Vec<String>> {
    for member in ["type", "refTable", "refType"] {
        ensure!(older[member] == newer[member], "{member}");
    }
    for (member, sign) in [
        ("minInteger", 1.0),
        ("maxInteger", -1.0),
        ("minReal", 1.0),
        ("maxReal", -1.0),
        ("minLength", 1.0),
        ("maxLength", -1.0),
    ] {
        if let Some(new) = newer[member].as_f64() {
            let old = older[member].as_f64().context(member)?;
            ensure!(new * sign <= old * sign, "{member}");
        }
    }
    let Some(new) = newer["enum"].as_array() else {
        return Ok(Vec::new());
    };
    let old = older["enum"].as_array().context("enum")?;
    Ok(old
        .iter()
        .filter(|value| !new.contains(value))
        .filter_map(|value| Some(value.as_str()?.trim_matches('"').to_owned()))
        .collect())
}

fn bound(kind: &Value, name: &str) -> u64 {
    kind[name].as_u64().unwrap_or(u64::MAX) // "unlimited"
}

#[test]
fn every_column_of_debian_s_schemas_fits_into_the_newer_ones() -> Result<()> {
    let mut narrowed = Vec::new();
    for (file, ..) in SCHEMAS {
        let older = columns(&serde_json::from_str(&debian(file)?)?)?;
        let newer = columns(&serde_json::from_str(&ours(file)?)?)?;
        assert!(older.len() > 20, "{} columns in {file}", older.len());
        for (place, old) in older {
            let new = newer
                .get(&place)
                .with_context(|| format!("{place:?} is gone"))?;
            let (old_type, new_type) = (&old["type"], &new["type"]);
            ensure!(
                bound(new_type, "min") <= bound(old_type, "min"),
                "{place:?}: min"
            );
            ensure!(
                bound(new_type, "max") >= bound(old_type, "max"),
                "{place:?}: max"
            );
            ensure!(
                old_type["value"].is_null() == new_type["value"].is_null(),
                "{place:?} is a map in one of them"
            );
            for part in ["key", "value"] {
                let values = refused(&old_type[part], &new_type[part])
                    .with_context(|| format!("{place:?}: {part}"))?;
                if !values.is_empty() {
                    narrowed.push((place.0.clone(), place.1.clone(), values));
                }
            }
        }
    }
    let named: Vec<(String, String, Vec<String>)> = NARROWED
        .iter()
        .map(|(table, column, values)| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            ((*table).to_owned(), (*column).to_owned(), values)
        })
        .collect();
    assert_eq!(narrowed, named);
    Ok(())
}
