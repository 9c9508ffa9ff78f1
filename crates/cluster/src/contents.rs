//! A database's contents as snapshots have them, and entries applied to them.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ovsdb::json::{Document, Json, Kind};
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::convert::convert;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_engine::{Changes, Version};

use crate::file::SnapshotMeta;
use crate::file::create::{without_ephemeral, write_data};

/// The contents at one place of the log. Their text is made when it is asked for, once.
#[derive(Debug)]
pub struct Contents {
    /// Where that is.
    pub meta: SnapshotMeta,
    /// The contents.
    pub version: Version,
    text: OnceLock<Bytes>,
}

impl Contents {
    /// Contents that this server has.
    pub fn new(meta: SnapshotMeta, version: Version) -> Contents {
        Contents {
            meta,
            version,
            text: OnceLock::new(),
        }
    }

    /// Contents as a file or a leader has them.
    pub fn read(meta: SnapshotMeta, data: Bytes) -> Result<Contents, Error> {
        let empty = None;
        let version = match apply(empty, &data, meta.eid)? {
            Applied::Replaced(version) => version,
            Applied::Changed(..) => return Err(wrong("a snapshot without a schema")),
        };
        Ok(Contents {
            meta,
            version,
            text: OnceLock::from(data),
        })
    }

    /// Their text, `[schema, record]`. Takes long for much.
    pub fn text(&self) -> Bytes {
        let write = || {
            let mut out = Vec::new();
            write_data(&mut out, &self.version, now(), None);
            Bytes::from(out)
        };
        self.text.get_or_init(write).clone()
    }
}

/// Milliseconds since the epoch.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// What an entry's data did.
#[derive(Debug)]
pub enum Applied {
    /// A transaction.
    Changed(Version, Changes),
    /// All is new: another schema, or whole contents.
    Replaced(Version),
}

/// Applies an entry's data, `[schema or null, record or null]`, to a version, or makes whole
/// contents of it where there is none. The result has the id `eid`.
pub fn apply(version: Option<&Version>, data: &Bytes, eid: Uuid) -> Result<Applied, Error> {
    let document = Document::parse(data.clone())
        .map_err(|error| Error::new(Tag::SyntaxError, error.to_string()))?;
    let root = document.root();
    let (2, Some(schema), Some(record)) = (root.len(), root.element(0), root.element(1)) else {
        return Err(wrong("an array of a schema and a record was expected"));
    };
    let present = |json: Json<'_>| json.kind() != Kind::Null;
    if !present(schema) {
        let version = version.ok_or_else(|| wrong("a record without a schema"))?;
        if !present(record) {
            let changes = Changes::none(version.schema().clone());
            return Ok(Applied::Changed(version.clone().with_id(eid), changes));
        }
        let (version, changes) =
            record::apply(version, record, Strictness::Exact, &mut Uuid::new_v4)?;
        return Ok(Applied::Changed(version.with_id(eid), changes));
    }
    let schema = Arc::new(without_ephemeral(&Schema::parse(schema)?));
    let sequence = version.map_or(0, Version::sequence);
    let whole = if present(record) {
        let empty = Version::empty(schema);
        record::replay(empty, record, Strictness::Converting, &mut Uuid::new_v4)?.0
    } else {
        match version {
            // A conversion that every member does by itself.
            Some(version) => convert(version, schema, &mut Uuid::new_v4)?,
            None => Version::empty(schema),
        }
    };
    Ok(Applied::Replaced(
        whole.with_sequence(sequence + 1).with_id(eid),
    ))
}

fn wrong(why: &str) -> Error {
    Error::new(Tag::SyntaxError, why)
}
