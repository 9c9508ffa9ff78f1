//! The whole contents of a database, as they are at one moment.

use std::sync::Arc;

use anyhow::{Context, bail};
use ovsdb::json::{Document, Json, write};
use ovsdb::{Schema, Uuid, atom};
use ovsdb_engine::Version;
use ovsdb_engine::record::{self, Strictness};

use super::connection::{Client, quoted};
use super::leader::{Leader, schema_of, server_row};

/// The longest answer with all rows, in bytes.
const LONGEST: usize = 1 << 30;
/// How often a schema may change meanwhile.
const ATTEMPTS: usize = 3;

/// Contents with what tells whether they have changed since.
#[derive(Debug)]
pub struct Fetched {
    /// The contents.
    pub version: Version,
    /// For each table of the schema, in its order, the rows with their `_version`s on that server.
    pub marks: Vec<Vec<(Uuid, Uuid)>>,
}

/// Asks for everything in one transaction. `heard` is told how many bytes of the answer are there.
///
/// # Errors
/// If there is no answer, or the rows do not fit the schema.
pub async fn fetch(
    leader: &mut Leader,
    heard: impl Fn(usize) + Send + 'static,
) -> anyhow::Result<Fetched> {
    leader.client.accept(LONGEST);
    leader.client.watch(heard);
    for _ in 0..ATTEMPTS {
        let schema = Arc::clone(&leader.schema);
        let text = select_all(&mut leader.client, &schema).await;
        // The rows are of the schema that was there before and after.
        let row = server_row(&mut leader.client, &schema.name).await?;
        let now = schema_of(&row)?;
        if now != *schema {
            leader.schema = Arc::new(now);
            continue;
        }
        return read(text?, &schema)
            .with_context(|| format!("{}: the contents cannot be read", leader.remote));
    }
    bail!("{}: the schema changes all the time", leader.remote)
}

async fn select_all(client: &mut Client, schema: &Schema) -> anyhow::Result<Vec<u8>> {
    let mut params = format!("[{}", quoted(&schema.name));
    for table in &schema.tables {
        let name = quoted(&table.name);
        params.push_str(&format!(r#",{{"op":"select","table":{name},"where":[]}}"#));
    }
    params.push(']');
    Ok(client.call("transact", &params).await?)
}

/// Makes a record of the rows, whose replay checks them as those of a file.
fn read(text: Vec<u8>, schema: &Arc<Schema>) -> anyhow::Result<Fetched> {
    let reply = Document::parse(text)?;
    let mut record = b"{\"_is_diff\":true".to_vec();
    let mut marks = Vec::with_capacity(schema.tables.len());
    for (place, table) in schema.tables.iter().enumerate() {
        let result = reply.root().element(place);
        let rows = result.and_then(|result| result.member("rows"));
        let Some(rows) = rows else {
            let said = result.map_or("nothing".into(), |r| String::from_utf8_lossy(r.source()));
            bail!("{}: {said}", table.name);
        };
        record.push(b',');
        write::string(&mut record, &table.name);
        record.extend_from_slice(b":{");
        let mut versions = Vec::with_capacity(rows.len());
        for (number, row) in rows.elements().enumerate() {
            let (uuid, version) = (id(row, "_uuid")?, id(row, "_version")?);
            versions.push((uuid, version));
            if number > 0 {
                record.push(b',');
            }
            write_row(&mut record, row, &uuid);
        }
        record.push(b'}');
        marks.push(versions);
    }
    record.push(b'}');
    let record = Document::parse(record)?;
    let empty = Version::empty(Arc::clone(schema));
    let strictness = Strictness::Exact;
    let (version, _) = record::replay(empty, record.root(), strictness, &mut Uuid::new_v4)?;
    Ok(Fetched { version, marks })
}

fn write_row(out: &mut Vec<u8>, row: Json<'_>, uuid: &Uuid) {
    write::uuid(out, uuid);
    out.extend_from_slice(b":{");
    let mut first = true;
    for (name, value) in row.members() {
        if name.is_string("_uuid") || name.is_string("_version") {
            continue;
        }
        if !std::mem::replace(&mut first, false) {
            out.push(b',');
        }
        out.extend_from_slice(name.source());
        out.push(b':');
        out.extend_from_slice(value.source());
    }
    out.push(b'}');
}

fn id(row: Json<'_>, column: &str) -> anyhow::Result<Uuid> {
    let id = row.member(column).and_then(|value| value.element(1));
    let id = id
        .and_then(Json::string)
        .and_then(|text| atom::parse_uuid(&text));
    id.with_context(|| format!("a row without a {column}"))
}
