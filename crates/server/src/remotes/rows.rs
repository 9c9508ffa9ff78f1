//! The columns `is_connected` and `status` of the rows that describe remotes, kept true.

use ovsdb::json::write;
use ovsdb::{Atom, Datum};
use ovsdb_engine::Version;

use super::column::{Cells, Column};
use super::status::RemoteStatus;

/// Gives the status of a remote by its name.
pub type Target<'a> = &'a dyn Fn(&str) -> RemoteStatus;

/// The params of a transaction that makes the rows of `columns` say how their remotes are doing;
/// `None` if they do. The columns are all of this database.
pub fn differences(version: &Version, columns: &[&Column], status: Target<'_>) -> Option<String> {
    let mut params = b"[".to_vec();
    write::string(&mut params, &version.schema().name);
    let before = params.len();
    for column in columns {
        for (table, row) in column.remote_rows(version) {
            let cells = Cells {
                version,
                table,
                row,
            };
            let Some(target) = cells.string("target") else {
                continue;
            };
            let status = status(target);
            let mut changed = Vec::new();
            if cells.is_not("is_connected", status.connected) {
                changed.extend_from_slice(b"\"is_connected\":");
                write::boolean(&mut changed, status.connected);
            }
            let pairs = status.pairs();
            if let Some(datum) = cells.map("status")
                && *datum != as_datum(&pairs)
            {
                if !changed.is_empty() {
                    changed.push(b',');
                }
                changed.extend_from_slice(b"\"status\":");
                write_map(&mut changed, &pairs);
            }
            if changed.is_empty() {
                continue;
            }
            params.extend_from_slice(b",{\"op\":\"update\",\"table\":");
            write::string(&mut params, &version.schema().table(table).name);
            params.extend_from_slice(b",\"where\":[[\"_uuid\",\"==\",[\"uuid\",");
            write::uuid(&mut params, &row.uuid());
            params.extend_from_slice(b"]]],\"row\":{");
            params.append(&mut changed);
            params.extend_from_slice(b"}}");
        }
    }
    if params.len() == before {
        return None;
    }
    params.push(b']');
    String::from_utf8(params).ok()
}

fn as_datum(pairs: &[(&str, String)]) -> Datum {
    let pairs = pairs.iter();
    Datum::map(pairs.map(|(key, value)| (Atom::string(key), Atom::string(value))))
}

fn write_map(out: &mut Vec<u8>, pairs: &[(&str, String)]) {
    out.extend_from_slice(b"[\"map\",[");
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'[');
        write::string(out, key);
        out.push(b',');
        write::string(out, value);
        out.push(b']');
    }
    out.extend_from_slice(b"]]");
}
