//! What another server says of its databases, in its `_Server` (ovsdb-server(7), "Database Service").

use std::collections::BTreeSet;
use std::sync::Arc;

use ovsdb::json::{Json, write};
use ovsdb::{Datum, Error, Schema, Tag, Uuid};
use ovsdb_engine::updates::{self, Form};
use ovsdb_engine::{Row, Version};

/// The name of the database that has them.
pub(super) const DATABASE: &str = "_Server";
/// Its table.
const TABLE: &str = "Database";
/// What is asked for; older servers have no `index`.
const COLUMNS: [&str; 7] = [
    "name",
    "model",
    "connected",
    "leader",
    "schema",
    "cid",
    "index",
];

/// A copy of the rows.
#[derive(Debug)]
pub(super) struct ServerRows {
    version: Version,
}

/// The row of the database that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerRow {
    pub(super) model: String,
    pub(super) connected: bool,
    pub(super) leader: bool,
    pub(super) has_schema: bool,
    pub(super) index: Option<i64>,
}

impl ServerRows {
    /// None yet, of a `_Server` with this schema.
    pub(super) fn new(schema: Json<'_>) -> Result<ServerRows, Error> {
        let schema = Schema::parse(schema)?;
        if schema.find(TABLE).is_none() {
            let details = format!("{DATABASE} lacks table {TABLE}");
            return Err(Error::new(Tag::UnknownTable, details));
        }
        let version = Version::empty(Arc::new(schema));
        Ok(ServerRows { version })
    }

    /// What to monitor: `<monitor-requests>`.
    pub(super) fn write_requests(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        write::string(out, TABLE);
        out.extend_from_slice(b":[{\"columns\":[");
        let table = self.table();
        let known = |name: &&str| table.is_some_and(|table| table.find(name).is_some());
        for (place, column) in COLUMNS.into_iter().filter(known).enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write::string(out, column);
        }
        out.extend_from_slice(b"]}]}");
    }

    fn table(&self) -> Option<&ovsdb::TableSchema> {
        let schema = self.version.schema();
        schema.find(TABLE).map(|table| schema.table(table))
    }

    /// The first rows.
    pub(super) fn begin(&mut self, contents: Json<'_>) -> Result<(), Error> {
        let kept = BTreeSet::new();
        let (version, _) = updates::replace(&self.version, contents, Form::Differences, &kept)?;
        self.version = version;
        Ok(())
    }

    /// What has changed.
    pub(super) fn follow(&mut self, update: Json<'_>) -> Result<(), Error> {
        let (version, _) = updates::apply(&self.version, update, Form::Differences)?;
        self.version = version;
        Ok(())
    }

    /// The row of a database: of this cluster, if one is given, or else of this name.
    pub(super) fn find(&self, name: &str, cluster: Option<Uuid>) -> Option<ServerRow> {
        let schema = self.version.schema();
        let id = schema.find(TABLE)?;
        let table = schema.table(id);
        let value = |row: &'_ Row, column: &str| -> Datum {
            let column = table.find(column);
            column.map_or_else(Datum::default, |column| row.get(column).clone())
        };
        let text = |datum: &Datum| datum.atoms().first()?.as_str().map(str::to_owned);
        let row = self.version.table(id).rows().find(|row| match cluster {
            Some(cluster) => {
                let cid = value(row, "cid");
                cid.atoms().first().and_then(|atom| atom.as_uuid()) == Some(cluster)
            }
            None => text(&value(row, "name")).as_deref() == Some(name),
        })?;
        let flag = |column| matches!(value(row, column).atoms(), [ovsdb::Atom::Boolean(true)]);
        Some(ServerRow {
            model: text(&value(row, "model")).unwrap_or_default(),
            connected: flag("connected"),
            leader: flag("leader"),
            has_schema: !value(row, "schema").is_empty(),
            index: match value(row, "index").atoms() {
                [ovsdb::Atom::Integer(index)] => Some(*index),
                _ => None,
            },
        })
    }
}

impl ServerRow {
    /// Why the server is of no use now, if so; the words follow its name. `min_index` is how far another
    /// member of the cluster was before.
    pub(super) fn objection(&self, leader_only: bool, min_index: i64) -> Option<&'static str> {
        let usable = self.has_schema;
        match &*self.model {
            "clustered" if !usable => {
                Some("clustered database server has not yet joined cluster; trying another server")
            }
            "clustered" if !self.connected => Some(
                "clustered database server is disconnected from cluster; trying another server",
            ),
            "clustered" if leader_only && !self.leader => {
                Some("clustered database server is not cluster leader; trying another server")
            }
            "clustered" if self.index.unwrap_or(0) < min_index => {
                Some("clustered database server has stale data; trying another server")
            }
            "relay" if !usable => Some(
                "relay database server has not yet connected to the relay source; trying another server",
            ),
            "relay" if !self.connected => Some(
                "relay database server is disconnected from the relay source; trying another server",
            ),
            "relay" if leader_only => {
                Some("relay database server cannot be a leader; trying another server")
            }
            _ if !usable => Some("missing database schema"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::json::Document;

    const SCHEMA: &str = r#"{"name":"_Server","version":"1.1.0","tables":{"Database":{"columns":{
        "name":{"type":"string"},"model":{"type":"string"},"connected":{"type":"boolean"},
        "leader":{"type":"boolean"},"schema":{"type":{"key":"string","min":0,"max":1}},
        "cid":{"type":{"key":"uuid","min":0,"max":1}}}}}}"#;

    #[test]
    fn rows_are_followed_and_judged() {
        let schema = Document::parse(SCHEMA).expect("JSON");
        let mut rows = ServerRows::new(schema.root()).expect("schema");
        let mut requests = Vec::new();
        rows.write_requests(&mut requests);
        let wanted =
            r#"{"Database":[{"columns":["name","model","connected","leader","schema","cid"]}]}"#;
        assert_eq!(String::from_utf8_lossy(&requests), wanted);
        let id = "00000000-0000-0000-0000-000000000001";
        let first = format!(
            r#"{{"Database":{{"{id}":{{"initial":{{"name":"D","model":"clustered","cid":["uuid","{id}"]}}}}}}}}"#
        );
        rows.begin(Document::parse(first).expect("JSON").root())
            .expect("rows");
        let row = rows.find("D", None).expect("row");
        assert!(
            row.objection(false, 0)
                .is_some_and(|why| why.contains("not yet joined"))
        );
        let update =
            format!(r#"{{"Database":{{"{id}":{{"modify":{{"schema":"x","connected":true}}}}}}}}"#);
        rows.follow(Document::parse(update).expect("JSON").root())
            .expect("rows");
        let row = rows.find("other", Some(Uuid::from_u128(1))).expect("row");
        assert_eq!(row.objection(false, 0), None);
        assert!(
            row.objection(true, 0)
                .is_some_and(|why| why.contains("not cluster leader"))
        );
        assert!(
            row.objection(false, 1)
                .is_some_and(|why| why.contains("stale"))
        );
        assert_eq!(rows.find("other", None), None);
    }
}
