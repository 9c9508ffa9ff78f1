//! The database `_Server`, in which clients see what a server offers (ovsdb-server(7), "Database
//! Service"; ovsdb(5) of `_Server`).

use std::sync::Arc;

use ovsdb::json::{Document, write};
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::record::{self, Strictness};
use ovsdb_engine::{Changes, Version};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::database::Database;

/// The database's name.
pub(crate) const NAME: &str = "_Server";

/// Its schema: the reference's public interface, column by column.
const SCHEMA: &str = r#"{"name":"_Server","version":"1.2.0","cksum":"3009684573 744","tables":{
"Database":{"isRoot":true,"columns":{
"name":{"type":"string"},
"model":{"type":{"key":{"type":"string","enum":["set",["standalone","clustered","relay"]]}}},
"connected":{"type":"boolean"},
"leader":{"type":"boolean"},
"schema":{"type":{"key":"string","min":0,"max":1}},
"cid":{"type":{"key":"uuid","min":0,"max":1}},
"sid":{"type":{"key":"uuid","min":0,"max":1}},
"index":{"type":{"key":"integer","min":0,"max":1}}}}}}"#;

/// How a database is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// By this server alone.
    Standalone,
    /// By a cluster.
    Clustered,
    /// By another server, which this one passes everything on to.
    Relay,
}

impl Model {
    /// The value of the column `model`.
    pub fn name(self) -> &'static str {
        match self {
            Model::Standalone => "standalone",
            Model::Clustered => "clustered",
            Model::Relay => "relay",
        }
    }
}

/// The row of a database.
#[derive(Debug, Clone)]
pub struct Status {
    /// How it is kept.
    pub model: Model,
    /// It can be read and written, as far as this server knows.
    pub connected: bool,
    /// This server decides on the order of its transactions.
    pub leader: bool,
    /// Its schema, once that is known.
    pub schema: Option<Arc<Schema>>,
    /// The cluster's id.
    pub cluster: Option<Uuid>,
    /// This server's id in the cluster.
    pub server: Option<Uuid>,
    /// The last applied log entry's index.
    pub index: Option<i64>,
}

impl Status {
    /// The row of a standalone database.
    pub fn standalone(schema: Arc<Schema>) -> Status {
        Status {
            model: Model::Standalone,
            connected: true,
            leader: true,
            schema: Some(schema),
            cluster: None,
            server: None,
            index: None,
        }
    }

    fn write_row(&self, out: &mut Vec<u8>, name: &str) {
        out.extend_from_slice(b"{\"name\":");
        write::string(out, name);
        out.extend_from_slice(b",\"model\":");
        write::string(out, self.model.name());
        out.extend_from_slice(b",\"connected\":");
        write::boolean(out, self.connected);
        out.extend_from_slice(b",\"leader\":");
        write::boolean(out, self.leader);
        write_optional(out, "schema", self.schema.as_ref(), |out, schema| {
            write::string(out, &schema.to_json());
        });
        let uuid = |out: &mut Vec<u8>, uuid: &Uuid| {
            out.extend_from_slice(b"[\"uuid\",");
            write::uuid(out, uuid);
            out.push(b']');
        };
        write_optional(out, "cid", self.cluster.as_ref(), uuid);
        write_optional(out, "sid", self.server.as_ref(), uuid);
        write_optional(out, "index", self.index.as_ref(), |out, index| {
            write::integer(out, *index);
        });
        out.push(b'}');
    }
}

fn write_optional<T>(
    out: &mut Vec<u8>,
    column: &str,
    value: Option<&T>,
    write_value: impl Fn(&mut Vec<u8>, &T),
) {
    out.extend_from_slice(format!(",\"{column}\":").as_bytes());
    match value {
        Some(value) => write_value(out, value),
        None => out.extend_from_slice(b"[\"set\",[]]"),
    }
}

/// The contents of `_Server` before any database is added.
pub(crate) fn empty() -> Result<Version, Error> {
    Ok(Version::empty(Arc::new(Schema::from_text(
        SCHEMA.as_bytes(),
    )?)))
}

/// Keeps the rows of `_Server`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Mutex<FxHashMap<String, (Uuid, Status)>>,
}

impl Rows {
    /// The databases that have a row, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rows.lock().keys().cloned().collect();
        names.sort();
        names
    }

    /// Whether a database has a row.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.rows.lock().contains_key(name)
    }

    /// Makes a database's row what it should be; `None` removes it.
    pub(crate) fn set(
        &self,
        server: &Database,
        name: &str,
        status: Option<&Status>,
    ) -> Result<(), Error> {
        let mut rows = self.rows.lock();
        set(&mut rows, server, name, status)
    }

    /// The databases that are kept so.
    pub(crate) fn names_of(&self, model: Model) -> Vec<String> {
        let rows = self.rows.lock();
        let names = rows.iter().filter(|(_, (_, status))| status.model == model);
        names.map(|(name, _)| name.clone()).collect()
    }

    /// A database, if it has a row, has got another schema.
    pub(crate) fn set_schema(
        &self,
        server: &Database,
        name: &str,
        schema: Arc<Schema>,
    ) -> Result<(), Error> {
        let mut rows = self.rows.lock();
        let Some((_, status)) = rows.get(name) else {
            return Ok(());
        };
        let status = Status {
            schema: Some(schema),
            ..status.clone()
        };
        set(&mut rows, server, name, Some(&status))
    }
}

fn set(
    rows: &mut FxHashMap<String, (Uuid, Status)>,
    server: &Database,
    name: &str,
    status: Option<&Status>,
) -> Result<(), Error> {
    let mut text = b"{\"Database\":{".to_vec();
    match status {
        Some(status) => {
            let known = rows.get(name).map(|(uuid, _)| *uuid);
            let uuid = known.unwrap_or_else(Uuid::new_v4);
            write::uuid(&mut text, &uuid);
            text.push(b':');
            status.write_row(&mut text, name);
            rows.insert(name.to_owned(), (uuid, status.clone()));
        }
        None => {
            let Some((uuid, _)) = rows.remove(name) else {
                return Ok(());
            };
            write::uuid(&mut text, &uuid);
            text.extend_from_slice(b":null");
        }
    }
    text.extend_from_slice(b"}}");
    server.apply(|version| apply(version, text))
}

fn apply(version: &Version, record: Vec<u8>) -> Result<(Version, Changes), Error> {
    let document =
        Document::parse(record).map_err(|error| Error::new(Tag::SyntaxError, error.to_string()))?;
    let strictness = Strictness::Exact;
    record::apply(version, document.root(), strictness, &mut Uuid::new_v4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordering::Unbacked;

    #[test]
    fn rows_follow_what_is_set() {
        let version = empty().expect("schema");
        let schema = version.schema().clone();
        let server = Database::new(version, Box::new(Unbacked), Box::new(|| {}));
        let rows = Rows::default();
        let mut status = Status::standalone(schema.clone());
        let row = || {
            let now = server.committed();
            let (_, table) = now.version.tables().next().expect("table");
            let row = table.rows().next().cloned();
            row.map(|row| {
                let columns = schema.tables[0].all_columns();
                columns
                    .skip(2)
                    .map(|(id, column)| row.get(id).to_text(&column.column_type))
                    .filter(|text| text.len() < 40)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        rows.set(&server, "D", Some(&status)).expect("insert");
        let standalone = "[] true [] true standalone D []";
        assert_eq!(row().as_deref(), Some(standalone));
        status.model = Model::Clustered;
        status.index = Some(7);
        status.leader = false;
        rows.set(&server, "D", Some(&status)).expect("modify");
        assert_eq!(row().as_deref(), Some("[] true 7 false clustered D []"));
        assert_eq!((rows.names(), rows.has("D")), (vec!["D".to_owned()], true));
        rows.set(&server, "D", None).expect("delete");
        assert_eq!(row(), None);
    }
}
