//! `db:DATABASE,TABLE,COLUMN`: a column of the database itself that says what remotes there are, or
//! where a file of TLS is (ovsdb-server(1), `--remote` and "Public Key Infrastructure Options").

use ovsdb::{AtomicType, Column as ColumnSchema, ColumnId, TableId};
use ovsdb_engine::{Row, Version};

use super::Wanted;
use crate::origin::SessionOptions;

/// A column by its name. The text is kept, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    text: String,
    database: String,
    table: String,
    column: String,
}

/// What is known of a database.
pub enum Source {
    /// There is none of that name.
    Unknown,
    /// It is there, but its schema is not known yet.
    Coming,
    /// Its contents.
    Here(Version),
}

/// What a column has, or nothing yet.
pub type Found<T> = Result<Option<T>, String>;

/// A column in its version.
struct Place {
    table: TableId,
    column: ColumnId,
}

impl Column {
    /// Whether a name is one of these.
    pub fn is_meant(name: &str) -> bool {
        name.starts_with("db:")
    }

    /// # Errors
    /// In the reference's words.
    pub fn parse(text: &str) -> Result<Column, String> {
        let mut parts = text
            .strip_prefix("db:")
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next()) {
            (Some(database), Some(table), Some(column)) => Ok(Column {
                text: text.to_owned(),
                database: database.to_owned(),
                table: table.to_owned(),
                column: column.to_owned(),
            }),
            _ => Err(format!("\"{text}\": invalid syntax")),
        }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    fn place(&self, version: &Version) -> Result<Place, String> {
        let (text, schema) = (&self.text, version.schema());
        let table = schema
            .find(&self.table)
            .ok_or_else(|| format!("\"{text}\": no table named {}", self.table))?;
        let column = schema.table(table).find(&self.column).ok_or_else(|| {
            let (table, column) = (&self.table, &self.column);
            format!("\"{text}\": table \"{table}\" has no column \"{column}\"")
        })?;
        Ok(Place { table, column })
    }

    fn look(&self, source: &Source) -> Found<Place> {
        match source {
            Source::Unknown => Err(format!(
                "\"{}\": no database named {}",
                self.text, self.database
            )),
            Source::Coming => Ok(None),
            Source::Here(version) => self.place(version).map(Some),
        }
    }

    /// Whether there is such a column.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn check(&self, source: &Source) -> Result<(), String> {
        self.look(source).map(|_| ())
    }

    /// The first string in it that is not empty.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn string(&self, source: &Source) -> Found<String> {
        let (Some(place), Source::Here(version)) = (self.look(source)?, source) else {
            return Ok(None);
        };
        let schema = version.schema().table(place.table).column(place.column);
        if !holds_strings(schema) {
            return Err(format!(
                "\"{}\": table \"{}\" column \"{}\" is not string or set of strings",
                self.text, self.table, self.column
            ));
        }
        let rows = version.table(place.table).rows();
        let mut strings = rows.flat_map(|row| {
            let atoms = row.get(place.column).atoms();
            atoms.iter().filter_map(|atom| atom.as_str())
        });
        Ok(strings.find(|text| !text.is_empty()).map(str::to_owned))
    }

    /// The remotes that it names: strings, or rows of a table like `Manager` and `Connection`.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn remotes(&self, source: &Source) -> Result<Wanted, String> {
        let mut wanted = Wanted::new();
        let (Some(place), Source::Here(version)) = (self.look(source)?, source) else {
            return Ok(wanted);
        };
        let schema = version.schema().table(place.table).column(place.column);
        if holds_strings(schema) {
            for row in version.table(place.table).rows() {
                let atoms = row.get(place.column).atoms();
                for target in atoms.iter().filter_map(|atom| atom.as_str()) {
                    add_target(&mut wanted, target);
                }
            }
        }
        for (table, row) in self.rows(version, &place) {
            add_row(&mut wanted, version, table, row);
        }
        Ok(wanted)
    }

    /// The rows that describe remotes.
    pub(super) fn remote_rows<'a>(&self, version: &'a Version) -> Vec<(TableId, &'a Row)> {
        match self.place(version) {
            Ok(place) => self.rows(version, &place),
            Err(_) => Vec::new(),
        }
    }

    fn rows<'a>(&self, version: &'a Version, place: &Place) -> Vec<(TableId, &'a Row)> {
        let schema = version.schema().table(place.table).column(place.column);
        let Some((table, _)) = schema.column_type.key.reference() else {
            return Vec::new();
        };
        if schema.column_type.is_map() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for row in version.table(place.table).rows() {
            let uuids = row.get(place.column).atoms().iter();
            for uuid in uuids.filter_map(|atom| atom.as_uuid()) {
                if let Some(row) = version.row(table, &uuid) {
                    rows.push((table, &**row));
                }
            }
        }
        rows
    }
}

fn holds_strings(column: &ColumnSchema) -> bool {
    column.column_type.key.atomic == AtomicType::String && !column.column_type.is_map()
}

/// A file descriptor of the command line's is no business of a client's.
fn is_refused(target: &str) -> bool {
    let refused = target.starts_with("pfd:");
    if refused {
        tracing::warn!(
            "pfd: remotes can only be specified on the command line; ignoring \"{target}\" from database"
        );
    }
    refused
}

fn add_target(wanted: &mut Wanted, target: &str) {
    if !is_refused(target) {
        let options = || SessionOptions::of(target);
        wanted.entry(target.to_owned()).or_insert_with(options);
    }
}

/// Columns of a row by their names, where they have the types that are expected.
pub(super) struct Cells<'a> {
    pub(super) version: &'a Version,
    pub(super) table: TableId,
    pub(super) row: &'a Row,
}

impl<'a> Cells<'a> {
    fn column(&self, name: &str, atomic: AtomicType) -> Option<(ColumnId, &'a ColumnSchema)> {
        let table = self.version.schema().table(self.table);
        let id = table.find(name)?;
        let column = table.column(id);
        (column.column_type.key.atomic == atomic).then_some((id, column))
    }

    fn atom(&self, name: &str, atomic: AtomicType) -> Option<&'a ovsdb::Atom> {
        let (id, column) = self.column(name, atomic)?;
        if column.column_type.is_map() {
            return None;
        }
        self.row.get(id).atoms().first()
    }

    pub(super) fn string(&self, name: &str) -> Option<&'a str> {
        self.atom(name, AtomicType::String)?.as_str()
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.atom(name, AtomicType::Integer)? {
            ovsdb::Atom::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// There is a column of booleans of this name, with this value or another one.
    pub(super) fn is_not(&self, name: &str, value: bool) -> bool {
        let column = self.column(name, AtomicType::Boolean);
        column.is_some_and(|(_, column)| !column.column_type.is_map())
            && self.boolean(name) != Some(value)
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        match self.atom(name, AtomicType::Boolean)? {
            ovsdb::Atom::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// A map from strings to strings.
    pub(super) fn map(&self, name: &str) -> Option<&'a ovsdb::Datum> {
        let (id, column) = self.column(name, AtomicType::String)?;
        let value = column.column_type.value.as_ref()?;
        (value.atomic == AtomicType::String).then(|| self.row.get(id))
    }
}

fn add_row(wanted: &mut Wanted, version: &Version, table: TableId, row: &Row) {
    let cells = Cells {
        version,
        table,
        row,
    };
    let Some(target) = cells.string("target") else {
        let table = &version.schema().table(table).name;
        tracing::info!("Table `{table}' has missing or invalid `target' column");
        return;
    };
    if is_refused(target) {
        return;
    }
    let mut options = SessionOptions::of(target);
    if let Some(milliseconds) = cells.integer("max_backoff") {
        options.set_max_backoff(milliseconds);
    }
    if let Some(milliseconds) = cells.integer("inactivity_probe") {
        options.set_inactivity_probe(milliseconds);
    }
    options.read_only = cells.boolean("read_only").unwrap_or(false);
    let role = cells.string("role").filter(|role| !role.is_empty());
    options.role = role.map(str::to_owned);
    let dscp = cells
        .map("other_config")
        .and_then(|map| map.map_value("dscp"));
    if let Some(dscp) = dscp.and_then(|text| text.parse().ok())
        && dscp <= 63
    {
        options.dscp = dscp;
    }
    wanted.insert(target.to_owned(), options);
}

#[cfg(test)]
mod tests;
