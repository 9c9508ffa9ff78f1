//! Converting a database to another schema (ovsdb(7), "Changing Schema").

use std::sync::Arc;

use ovsdb::datum_print::Reals;
use ovsdb::json::Document;
use ovsdb::schema::Column;
use ovsdb::{Datum, Error, NoNames, Schema, Tag, Uuid};

use crate::commit::commit;
use crate::draft::Draft;
use crate::row::Row;
use crate::version::Version;

/// The same rows under another schema: what the new schema does not know is dropped, what is new
/// gets its default, and what it forbids is an error.
pub fn convert(
    version: &Version,
    schema: Arc<Schema>,
    new_uuid: &mut dyn FnMut() -> Uuid,
) -> Result<Version, Error> {
    let mut draft = Draft::new(Version::empty(schema.clone()));
    for (old_id, old_table) in version.schema().all_tables() {
        let Some(new_id) = schema.find(&old_table.name) else {
            continue;
        };
        let new_table = schema.table(new_id);
        let columns: Vec<_> = old_table
            .own_columns()
            .filter_map(|(id, column)| Some((id, column, new_table.find(&column.name)?)))
            .collect();
        for row in version.table(old_id).rows() {
            let mut new = Row::with_defaults(new_table, row.uuid());
            new.set_version(new_uuid());
            for (old_column, column, new_column) in &columns {
                let value = row.get(*old_column);
                let value = convert_value(value, column, new_table.column(*new_column))?;
                new.set(*new_column, value);
            }
            draft.put(new_id, Arc::new(new));
        }
    }
    let (converted, _) = commit(draft, new_uuid)?;
    Ok(converted.with_sequence(version.sequence()))
}

fn convert_value(value: &Datum, old: &Column, new: &Column) -> Result<Datum, Error> {
    if old.column_type == new.column_type {
        return Ok(value.clone());
    }
    // The notation decides what fits: an integer becomes a real, a scalar a set.
    let mut json = b"[".to_vec();
    value.write_json(&mut json, &old.column_type, Reals::Exact);
    json.push(b']');
    let document =
        Document::parse(json).map_err(|error| Error::new(Tag::SyntaxError, error.to_string()))?;
    match document.root().element(0) {
        Some(value) => Datum::parse(value, &new.column_type, &mut NoNames),
        None => Ok(new.column_type.default_datum()),
    }
}
