//! Following another server: what a monitor of its whole database tells, applied to a copy
//! (RFC 7047 section 4.1.6, `<table-updates>`; ovsdb-server(7), `<table-updates2>`).
//!
//! Unlike a transaction it leaves the rows' `_version`s as the other server has them. The checks of
//! a commit are made nevertheless: a copy that passes them can be written and served.

use std::collections::BTreeSet;
use std::sync::Arc;

use ovsdb::json::{Json, Kind};
use ovsdb::{Datum, Error, NoNames, Schema, TableId, Tag, Uuid, atom};

use crate::changes::Changes;
use crate::commit::commit_as_given;
use crate::draft::Draft;
use crate::record::parse_column;
use crate::row::Row;
use crate::version::Version;

/// How an update tells what has become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By its old and new values: `monitor`.
    Values,
    /// By what lies between them: `monitor_cond` and `monitor_cond_since`.
    Differences,
}

/// What becomes of a row.
enum RowUpdate<'a> {
    /// These values, and defaults for all others.
    Insert(Json<'a>),
    /// These values instead of those before.
    Set(Json<'a>),
    /// These differences.
    Differ(Json<'a>),
    Delete,
}

/// The contents that a monitor begins with, under the schema that it was asked with.
pub fn contents(schema: Arc<Schema>, updates: Json<'_>, form: Form) -> Result<Version, Error> {
    let mut draft = Draft::new(Version::empty(schema));
    apply_all(&mut draft, updates, form)?;
    Ok(commit_as_given(draft)?.0)
}

/// A version with what has happened since.
pub fn apply(
    version: &Version,
    updates: Json<'_>,
    form: Form,
) -> Result<(Version, Changes), Error> {
    let mut draft = Draft::new(version.clone());
    apply_all(&mut draft, updates, form)?;
    commit_as_given(draft)
}

/// A version with the contents that a monitor begins with in the place of its own, but for the tables
/// that are kept. Rows that are the same on both sides do not change.
pub fn replace(
    version: &Version,
    updates: Json<'_>,
    form: Form,
    kept: &BTreeSet<TableId>,
) -> Result<(Version, Changes), Error> {
    let mut draft = Draft::new(version.clone());
    for (table, rows) in version.tables() {
        if !kept.contains(&table) {
            for row in rows.rows() {
                draft.delete(table, &row.uuid());
            }
        }
    }
    apply_all(&mut draft, updates, form)?;
    commit_as_given(draft)
}

fn apply_all(draft: &mut Draft, updates: Json<'_>, form: Form) -> Result<(), Error> {
    if updates.kind() != Kind::Object {
        return Err(Error::syntax(updates, "<table-updates> is not an object"));
    }
    let schema = draft.version.schema().clone();
    for (name, rows) in updates.members() {
        let name = name.string().unwrap_or_default();
        let table = schema.find(&name).ok_or_else(|| {
            let details = format!("unknown table {name}");
            Error::new(Tag::UnknownTable, details)
        })?;
        if rows.kind() != Kind::Object {
            return Err(Error::syntax(rows, "<table-update> is not an object"));
        }
        for (uuid, update) in rows.members() {
            let uuid = uuid.string().unwrap_or_default();
            let uuid = atom::parse_uuid(&uuid).ok_or_else(|| {
                Error::syntax(rows, format!("<table-update> has bad UUID \"{uuid}\""))
            })?;
            apply_row(draft, table, uuid, parse_update(update, form)?)?;
        }
    }
    Ok(())
}

fn parse_update(update: Json<'_>, form: Form) -> Result<RowUpdate<'_>, Error> {
    if update.kind() != Kind::Object {
        return Err(Error::syntax(update, "<row-update> is not an object"));
    }
    let parsed = match form {
        Form::Values => match (update.member("old"), update.member("new")) {
            (_, Some(new)) if new.kind() != Kind::Object => None,
            (None, Some(new)) => Some(RowUpdate::Insert(new)),
            (Some(_), Some(new)) => Some(RowUpdate::Set(new)),
            (Some(_), None) => Some(RowUpdate::Delete),
            (None, None) => None,
        },
        Form::Differences => match (update.len(), update.members().next()) {
            (1, Some((name, columns))) => {
                match (&*name.string().unwrap_or_default(), columns.kind()) {
                    ("initial" | "insert", Kind::Object) => Some(RowUpdate::Insert(columns)),
                    ("modify", Kind::Object) => Some(RowUpdate::Differ(columns)),
                    ("delete", Kind::Null) => Some(RowUpdate::Delete),
                    _ => None,
                }
            }
            _ => None,
        },
    };
    parsed.ok_or_else(|| Error::syntax(update, "this is no <row-update>"))
}

fn apply_row(
    draft: &mut Draft,
    table: TableId,
    uuid: Uuid,
    update: RowUpdate<'_>,
) -> Result<(), Error> {
    let schema = draft.version.schema().clone();
    let table_schema = schema.table(table);
    let old = draft.row(table, &uuid).cloned();
    let (mut row, values, differences) = match (update, &old) {
        (RowUpdate::Insert(values), None) => {
            (Row::with_defaults(table_schema, uuid), values, false)
        }
        (RowUpdate::Set(values), Some(old)) => ((**old).clone(), values, false),
        (RowUpdate::Differ(values), Some(old)) => ((**old).clone(), values, true),
        (RowUpdate::Delete, Some(_)) => {
            draft.delete(table, &uuid);
            return Ok(());
        }
        (update, _) => {
            let (verb, is) = match update {
                RowUpdate::Insert(_) => ("inserts", "already exists"),
                RowUpdate::Delete => ("deletes", "does not exist"),
                RowUpdate::Set(_) | RowUpdate::Differ(_) => ("modifies", "does not exist"),
            };
            let details = format!(
                "update {verb} row {uuid} in table {} that {is}",
                table_schema.name
            );
            return Err(Error::new(Tag::OvsdbError, details));
        }
    };
    for (name, value) in values.members() {
        let name = name.string().unwrap_or_default();
        let id = table_schema.find(&name).ok_or_else(|| {
            let details = format!("No column {name} in table {}.", table_schema.name);
            Error::about(values, Tag::UnknownColumn, details)
        })?;
        let value = match differences {
            true => parse_column(row.get(id), value, table_schema, id, true)?,
            false => Datum::parse(value, &table_schema.column(id).column_type, &mut NoNames)?,
        };
        row.set(id, value);
    }
    row.set_uuid(uuid);
    draft.put(table, Arc::new(row));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Format, Monitor};
    use crate::transaction::{Context, Outcome, Transaction};
    use ovsdb::json::Document;

    const SCHEMA: &[u8] = br#"{"name":"D","tables":{
        "A":{"columns":{"n":{"type":"integer"},"s":{"type":{"key":"string","min":0,"max":"unlimited"}},
            "b":{"type":{"key":{"type":"uuid","refTable":"B","refType":"weak"},"min":0,"max":"unlimited"}}}},
        "B":{"columns":{"m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}}}}}}"#;

    const STEPS: [&str; 4] = [
        r#"["D",{"op":"insert","table":"B","uuid-name":"b","row":{"m":["map",[["x",1]]]}},
            {"op":"insert","table":"A","row":{"n":1,"s":["set",["a","b"]],"b":["named-uuid","b"]}}]"#,
        r#"["D",{"op":"mutate","table":"A","where":[],"mutations":[["s","insert","c"],["n","+=",4]]},
            {"op":"mutate","table":"B","where":[],"mutations":[["m","insert",["map",[["y",2]]]]]}]"#,
        r#"["D",{"op":"insert","table":"A","row":{"n":9}}]"#,
        r#"["D",{"op":"delete","table":"B","where":[]}]"#,
    ];

    fn execute(version: &Version, text: &str) -> (Version, Changes) {
        let document = Document::parse(text).expect("JSON");
        let transaction = Transaction::parse(document.root(), version.schema(), Uuid::new_v4);
        let mut context = Context {
            read_only: false,
            role: None,
            elapsed: 0,
            owns_lock: &|_| true,
            new_uuid: &mut Uuid::new_v4,
        };
        match transaction.execute(version, &mut context) {
            Outcome::Done {
                version, changes, ..
            } => (version, changes),
            Outcome::Blocked { .. } => panic!("blocked"),
        }
    }

    fn monitor(schema: &Schema, format: Format) -> Monitor {
        let all = Document::parse(r#"{"A":[{}],"B":[{}]}"#).expect("JSON");
        Monitor::parse(all.root(), format, schema).expect("monitor")
    }

    fn document(text: Vec<u8>) -> Document<Vec<u8>> {
        Document::parse(text).expect("JSON")
    }

    fn is_same(a: &Version, b: &Version) -> bool {
        Changes::between(a, b).is_empty()
    }

    #[test]
    fn a_copy_follows_with_every_value_and_version() {
        let schema = Arc::new(Schema::from_text(SCHEMA).expect("schema"));
        for (format, form) in [
            (Format::Update, Form::Values),
            (Format::Update3, Form::Differences),
        ] {
            let monitor = monitor(&schema, format);
            let (mut original, _) = execute(&Version::empty(schema.clone()), STEPS[0]);
            let first = document(monitor.initial(&original));
            let mut copy = contents(schema.clone(), first.root(), form).expect("contents");
            assert!(is_same(&original, &copy));
            for step in &STEPS[1..] {
                let (next, changes) = execute(&original, step);
                let update = document(monitor.update(&changes).expect("update"));
                let (followed, same) = apply(&copy, update.root(), form).expect("applied");
                assert!(is_same(&next, &followed), "{step}");
                assert_eq!(same.row_count(), changes.row_count());
                assert_eq!(followed.sequence(), copy.sequence() + 1);
                (original, copy) = (next, followed);
            }
        }
    }

    #[test]
    fn what_is_the_same_does_not_change_and_what_is_kept_stays() {
        let schema = Arc::new(Schema::from_text(SCHEMA).expect("schema"));
        let (version, _) = execute(&Version::empty(schema.clone()), STEPS[0]);
        let (newer, _) = execute(&version, STEPS[2]);
        let first = document(monitor(&schema, Format::Update).initial(&newer));
        let nothing = BTreeSet::new();
        let (replaced, changes) =
            replace(&version, first.root(), Form::Values, &nothing).expect("replaced");
        assert_eq!(changes.row_count(), 1);
        assert!(is_same(&newer, &replaced));
        let kept = BTreeSet::from([schema.find("B").expect("table")]);
        let empty = document(b"{}".to_vec());
        let (replaced, _) = replace(&newer, empty.root(), Form::Values, &kept).expect("replaced");
        assert_eq!(replaced.row_count(), 1);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let schema = Arc::new(Schema::from_text(SCHEMA).expect("schema"));
        let version = Version::empty(schema);
        let row = "00000000-0000-0000-0000-000000000001";
        for (form, update) in [
            (Form::Values, "[]".to_owned()),
            (Form::Values, r#"{"C":{}}"#.to_owned()),
            (Form::Values, r#"{"A":[]}"#.to_owned()),
            (Form::Values, r#"{"A":{"x":{"new":{}}}}"#.to_owned()),
            (Form::Values, format!(r#"{{"A":{{"{row}":{{}}}}}}"#)),
            (
                Form::Values,
                format!(r#"{{"A":{{"{row}":{{"old":{{}}}}}}}}"#),
            ),
            (
                Form::Values,
                format!(r#"{{"A":{{"{row}":{{"new":{{"q":1}}}}}}}}"#),
            ),
            (
                Form::Differences,
                format!(r#"{{"A":{{"{row}":{{"new":{{}}}}}}}}"#),
            ),
            (
                Form::Differences,
                format!(r#"{{"A":{{"{row}":{{"modify":{{}}}}}}}}"#),
            ),
            (
                Form::Differences,
                format!(r#"{{"A":{{"{row}":{{"delete":{{}}}}}}}}"#),
            ),
            (
                Form::Differences,
                format!(r#"{{"A":{{"{row}":{{"insert":{{"n":"x"}}}}}}}}"#),
            ),
        ] {
            let json = document(update.clone().into_bytes());
            assert!(apply(&version, json.root(), form).is_err(), "{update}");
        }
    }
}
