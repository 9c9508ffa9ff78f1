//! Log records: a transaction's changes as OVSDB's files have them (ovsdb(5), "Transaction
//! Record"; `data` of a clustered log's entry).
//!
//! A record is an object with a member for each changed table, in it one for each changed row:
//! `null` for a deleted row, the columns that are not at their defaults for an inserted one, and
//! for a modified one the changed columns: as differences if the record has `"_is_diff": true`
//! (since Open vSwitch 2.17), as new values otherwise. Ephemeral columns are left out.

use std::sync::Arc;

use ovsdb::datum_print::Reals;
use ovsdb::json::{Json, Kind, write};
use ovsdb::{ColumnId, Datum, Error, NoNames, TableId, TableSchema, Tag, Uuid, atom};

use crate::changes::{Changes, RowChange};
use crate::commit::commit;
use crate::draft::Draft;
use crate::row::Row;
use crate::version::Version;

/// Whether a record fits the schema exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Unknown tables and columns are errors.
    Exact,
    /// Unknown tables and columns are skipped: the record is of another schema version.
    Converting,
}

/// Appends the record of a transaction. False, and nothing appended, if there is nothing in it
/// that lasts: then it needs no record. `date` is in milliseconds since the epoch.
pub fn write_changes(
    out: &mut Vec<u8>,
    changes: &Changes,
    date: u64,
    comment: Option<&str>,
) -> bool {
    write_changes_as(out, changes, date, comment, true)
}

/// The same; without `differences` modified columns are new values, for servers before 2.17.
pub fn write_changes_as(
    out: &mut Vec<u8>,
    changes: &Changes,
    date: u64,
    comment: Option<&str>,
    differences: bool,
) -> bool {
    let begin = out.len();
    let form = if differences && fits_as_difference(changes) {
        Form::Differences
    } else {
        Form::Values
    };
    write_head(out, date, comment, form);
    let mut lasting = false;
    for table in &changes.tables {
        let schema = changes.schema.table(table.table);
        let mut rows = RowList::new(out, &schema.name, form);
        for row in &table.rows {
            rows.change(row, schema);
        }
        lasting |= rows.close();
    }
    out.push(b'}');
    if !lasting {
        out.truncate(begin);
    }
    lasting
}

/// How modified columns are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Differences,
    Values,
}

/// False if a difference has more elements than its column allows: the reference (3.1) writes such
/// records and cannot read them.
fn fits_as_difference(changes: &Changes) -> bool {
    changes.tables.iter().all(|table| {
        let schema = changes.schema.table(table.table);
        let bounded = schema.own_columns().filter(|(_, column)| {
            let max = column.column_type.max;
            column.persistent && max != u32::MAX && (max > 1 || column.column_type.is_map())
        });
        let bounded: Vec<_> = bounded.collect();
        bounded.is_empty()
            || table.rows.iter().all(|row| match (&row.old, &row.new) {
                (Some(old), Some(new)) => bounded.iter().all(|(id, column)| {
                    let (old, new) = (old.get(*id), new.get(*id));
                    let column_type = &column.column_type;
                    old == new
                        || Datum::diff(old, new, column_type).len() <= column_type.max as usize
                }),
                _ => true,
            })
    })
}

/// Appends a record that makes the whole contents from nothing.
pub fn write_contents(out: &mut Vec<u8>, version: &Version, date: u64, comment: Option<&str>) {
    write_head(out, date, comment, Form::Differences);
    for (id, table) in version.tables() {
        let schema = version.schema().table(id);
        let mut rows = RowList::new(out, &schema.name, Form::Differences);
        for row in table.rows() {
            rows.insert(row, schema);
        }
        rows.close();
    }
    out.push(b'}');
}

fn write_head(out: &mut Vec<u8>, date: u64, comment: Option<&str>, form: Form) {
    out.push(b'{');
    if let Some(comment) = comment {
        out.extend_from_slice(b"\"_comment\":");
        write::string(out, comment);
        out.push(b',');
    }
    out.extend_from_slice(b"\"_date\":");
    write::integer(out, i64::try_from(date).unwrap_or(i64::MAX));
    if form == Form::Differences {
        out.extend_from_slice(b",\"_is_diff\":true");
    }
}

/// The rows of one table; the table's member appears with the first row.
struct RowList<'a> {
    out: &'a mut Vec<u8>,
    table: &'a str,
    rows: usize,
    form: Form,
}

impl<'a> RowList<'a> {
    fn new(out: &'a mut Vec<u8>, table: &'a str, form: Form) -> Self {
        RowList {
            out,
            table,
            rows: 0,
            form,
        }
    }

    fn begin_row(&mut self, uuid: &Uuid) {
        if self.rows == 0 {
            self.out.push(b',');
            write::string(self.out, self.table);
            self.out.extend_from_slice(b":{");
        } else {
            self.out.push(b',');
        }
        self.rows += 1;
        write::uuid(self.out, uuid);
        self.out.push(b':');
    }

    fn insert(&mut self, row: &Row, schema: &TableSchema) {
        self.begin_row(&row.uuid());
        let mut separator = b'{';
        for (id, column) in schema.own_columns() {
            let value = row.get(id);
            if column.persistent && *value != column.column_type.default_datum() {
                self.out.push(std::mem::replace(&mut separator, b','));
                write::string(self.out, &column.name);
                self.out.push(b':');
                value.write_json(self.out, &column.column_type, Reals::Exact);
            }
        }
        if separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    fn change(&mut self, change: &RowChange, schema: &TableSchema) {
        match (&change.old, &change.new) {
            (None, Some(new)) => self.insert(new, schema),
            (Some(old), Some(new)) => self.modify(old, new, schema),
            (_, None) => {
                self.begin_row(&change.uuid);
                self.out.extend_from_slice(b"null");
            }
        }
    }

    fn modify(&mut self, old: &Row, new: &Row, schema: &TableSchema) {
        let mut begun = false;
        for (id, column) in schema.own_columns() {
            if !column.persistent || old.get(id) == new.get(id) {
                continue;
            }
            if begun {
                self.out.push(b',');
            } else {
                self.begin_row(&new.uuid());
                self.out.push(b'{');
                begun = true;
            }
            write::string(self.out, &column.name);
            self.out.push(b':');
            let (column_type, new) = (&column.column_type, new.get(id));
            match self.form {
                Form::Differences => {
                    let difference = Datum::diff(old.get(id), new, column_type);
                    difference.write_json(self.out, column_type, Reals::Exact);
                }
                Form::Values => new.write_json(self.out, column_type, Reals::Exact),
            }
        }
        if begun {
            self.out.push(b'}');
        }
    }

    fn close(self) -> bool {
        if self.rows > 0 {
            self.out.push(b'}');
        }
        self.rows > 0
    }
}

/// Applies a record to a version, with all the checks of a transaction.
pub fn apply(
    version: &Version,
    record: Json<'_>,
    strictness: Strictness,
    new_uuid: &mut dyn FnMut() -> Uuid,
) -> Result<(Version, Changes), Error> {
    replay(version.clone(), record, strictness, new_uuid)
}

/// The same for a version that nobody else has: changed in place, where [`apply`] has to copy the
/// nodes on its way. Meant for reading a file.
pub fn replay(
    version: Version,
    record: Json<'_>,
    strictness: Strictness,
    new_uuid: &mut dyn FnMut() -> Uuid,
) -> Result<(Version, Changes), Error> {
    if record.kind() != Kind::Object {
        return Err(Error::syntax(record, "object expected"));
    }
    let schema = version.schema().clone();
    let is_diff = record.member("_is_diff").and_then(Json::boolean) == Some(true);
    let mut draft = Draft::new(version);
    for (name, rows) in record.members() {
        let name = name.string().unwrap_or_default();
        let Some(table) = schema.find(&name) else {
            let known = match &*name {
                "_date" => rows.kind() == Kind::Integer,
                "_is_diff" => rows.boolean().is_some(),
                "_comment" => true,
                _ => strictness == Strictness::Converting,
            };
            if known {
                continue;
            }
            let details = format!("No table named {name}.");
            return Err(Error::about(record, Tag::UnknownTable, details));
        };
        if rows.kind() != Kind::Object {
            return Err(Error::syntax(rows, "object expected"));
        }
        for (uuid, row) in rows.members() {
            let uuid = uuid.string().unwrap_or_default();
            let uuid = atom::parse_uuid(&uuid)
                .ok_or_else(|| Error::syntax(rows, format!("\"{uuid}\" is not a valid UUID")))?;
            apply_row(&mut draft, table, uuid, row, is_diff, strictness, new_uuid)?;
        }
    }
    commit(draft, new_uuid)
}

fn apply_row(
    draft: &mut Draft,
    table: TableId,
    uuid: Uuid,
    json: Json<'_>,
    is_diff: bool,
    strictness: Strictness,
    new_uuid: &mut dyn FnMut() -> Uuid,
) -> Result<(), Error> {
    let old = draft.row(table, &uuid).cloned();
    if json.kind() == Kind::Null {
        if old.is_none() {
            let details = format!("transaction deletes row {uuid} that does not exist");
            return Err(Error::new(Tag::SyntaxError, details));
        }
        draft.delete(table, &uuid);
        return Ok(());
    }
    if json.kind() != Kind::Object {
        return Err(Error::syntax(json, "row must be JSON object"));
    }
    let schema = draft.version.schema().clone();
    let table_schema = schema.table(table);
    let is_diff = is_diff && old.is_some();
    let mut row = match &old {
        Some(old) => (**old).clone(),
        None => {
            let mut row = Row::with_defaults(table_schema, uuid);
            row.set_version(new_uuid());
            row
        }
    };
    for (name, value) in json.members() {
        let name = name.string().unwrap_or_default();
        let Some(id) = table_schema.find(&name) else {
            if strictness == Strictness::Converting {
                continue;
            }
            let details = format!("No column {name} in table {}.", table_schema.name);
            return Err(Error::about(json, Tag::UnknownColumn, details));
        };
        let value = parse_column(row.get(id), value, table_schema, id, is_diff)?;
        row.set(id, value);
    }
    row.set_uuid(uuid);
    draft.put(table, Arc::new(row));
    Ok(())
}

/// The new value of a column: what is given, or what the given difference leads to.
pub(crate) fn parse_column(
    old: &Datum,
    json: Json<'_>,
    table: &TableSchema,
    id: ColumnId,
    is_diff: bool,
) -> Result<Datum, Error> {
    let column_type = &table.column(id).column_type;
    if !is_diff {
        return Datum::parse(json, column_type, &mut NoNames);
    }
    let new = old.apply_diff(&Datum::parse_diff(json, column_type)?, column_type);
    if new.len() < column_type.min as usize || new.len() > column_type.max as usize {
        let details = format!(
            "difference leaves {} elements in column {}",
            new.len(),
            table.column(id).name
        );
        return Err(Error::new(Tag::OvsdbError, details));
    }
    Ok(new)
}
