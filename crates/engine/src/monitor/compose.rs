//! Composing what a monitor is told: `<table-updates>` objects.

use ovsdb::datum_print::Reals;
use ovsdb::json::write;
use ovsdb::{Column, Condition, Datum, Schema, TableId, TableSchema, Uuid};

use super::{Format, Monitor, Select, TableMonitor};
use crate::changes::Changes;
use crate::row::Row;
use crate::version::Version;

impl Monitor {
    /// The contents that the client begins with; `{}` if there are none.
    pub fn initial(&self, version: &Version) -> Vec<u8> {
        let schema = version.schema();
        let mut updates = TableUpdates::new();
        for (id, monitor) in &self.tables {
            if !monitor.select.has(Select::INITIAL) {
                continue;
            }
            let composer = self.composer(*id, monitor, schema);
            for row in version.table(*id).rows() {
                if monitor.matches(row, composer.schema) {
                    composer.row(&mut updates, row.uuid(), Select::INITIAL, None, Some(row));
                }
            }
        }
        updates.finish().unwrap_or_else(|| b"{}".to_vec())
    }

    /// What changes mean for the client; none if nothing.
    pub fn update(&self, changes: &Changes) -> Option<Vec<u8>> {
        let mut updates = TableUpdates::new();
        for table in &changes.tables {
            let Some(monitor) = self.tables.get(&table.table) else {
                continue;
            };
            let composer = self.composer(table.table, monitor, &changes.schema);
            for change in &table.rows {
                let matching = |row: Option<&'_ std::sync::Arc<Row>>| {
                    row.is_some_and(|row| monitor.matches(row, composer.schema))
                };
                let old = change.old.as_ref().filter(|row| matching(Some(row)));
                let new = change.new.as_ref().filter(|row| matching(Some(row)));
                composer.change(
                    &mut updates,
                    change.uuid,
                    old.map(|row| &**row),
                    new.map(|row| &**row),
                );
            }
        }
        updates.finish()
    }

    /// What a change of the conditions from `self`'s to `new`'s means for the client: rows that
    /// come into view are inserted, those that go out of it deleted.
    pub fn condition_change(&self, new: &Monitor, version: &Version) -> Option<Vec<u8>> {
        let mut updates = TableUpdates::new();
        for (id, monitor) in &new.tables {
            let before = self.tables.get(id).map(|monitor| &monitor.condition);
            if before.is_none_or(|before| *before == monitor.condition) {
                continue;
            }
            let composer = self.composer(*id, monitor, version.schema());
            let matches = |condition: Option<&Condition>, row: &Row| {
                condition.is_some_and(|c| c.matches_any(row.columns(), composer.schema))
            };
            for row in version.table(*id).rows() {
                let was = matches(before, row);
                let is = matches(Some(&monitor.condition), row);
                let (old, new) = (was.then_some(&**row), is.then_some(&**row));
                if was != is {
                    composer.change(&mut updates, row.uuid(), old, new);
                }
            }
        }
        updates.finish()
    }

    fn composer<'a>(
        &self,
        id: TableId,
        monitor: &'a TableMonitor,
        schema: &'a Schema,
    ) -> Composer<'a> {
        Composer {
            format: self.format,
            monitor,
            schema: schema.table(id),
        }
    }
}

impl TableMonitor {
    fn matches(&self, row: &Row, schema: &TableSchema) -> bool {
        self.condition.matches_any(row.columns(), schema)
    }

    /// True if a row differs in a column that matters here.
    fn differs(&self, old: &Row, new: &Row) -> bool {
        let reported = self.columns.iter().map(|column| column.column);
        let watched = self.condition_columns.iter().copied();
        reported
            .chain(watched)
            .any(|column| old.get(column) != new.get(column))
    }
}

/// A `<table-updates>` object in the making.
struct TableUpdates {
    out: Vec<u8>,
    /// The table whose member is open.
    table: Option<Box<str>>,
}

impl TableUpdates {
    fn new() -> Self {
        TableUpdates {
            out: b"{".to_vec(),
            table: None,
        }
    }

    /// Begins a row's member.
    fn row(&mut self, table: &str, uuid: &Uuid) -> &mut Vec<u8> {
        match &self.table {
            Some(open) if **open == *table => self.out.push(b','),
            open => {
                if open.is_some() {
                    self.out.extend_from_slice(b"},");
                }
                write::string(&mut self.out, table);
                self.out.extend_from_slice(b":{");
                self.table = Some(table.into());
            }
        }
        write::uuid(&mut self.out, uuid);
        self.out.push(b':');
        &mut self.out
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.table?;
        self.out.extend_from_slice(b"}}");
        Some(self.out)
    }
}

/// Composes the row updates of one table.
struct Composer<'a> {
    format: Format,
    monitor: &'a TableMonitor,
    schema: &'a TableSchema,
}

impl Composer<'_> {
    /// Reports a row that is in view before, after, or both.
    fn change(&self, updates: &mut TableUpdates, uuid: Uuid, old: Option<&Row>, new: Option<&Row>) {
        let kind = match (old, new) {
            (None, None) => return,
            (None, Some(_)) => Select::INSERT,
            (Some(_), None) => Select::DELETE,
            (Some(old), Some(new)) if !self.monitor.differs(old, new) => return,
            (Some(_), Some(_)) => Select::MODIFY,
        };
        if self.monitor.select.has(kind) {
            self.row(updates, uuid, kind, old, new);
        }
    }

    fn row(
        &self,
        updates: &mut TableUpdates,
        uuid: Uuid,
        kind: Select,
        old: Option<&Row>,
        new: Option<&Row>,
    ) {
        let out = updates.row(&self.schema.name, &uuid);
        match self.format {
            Format::Update => self.row_update(out, kind, old, new),
            Format::Update2 | Format::Update3 => self.row_update2(out, kind, old, new),
        }
    }

    /// A `<row-update>`: old and new values.
    fn row_update(&self, out: &mut Vec<u8>, kind: Select, old: Option<&Row>, new: Option<&Row>) {
        let mut separator = b'{';
        if let Some(new) = new {
            out.extend_from_slice(b"{\"new\":");
            self.columns(out, kind, |_, id| Some(new.get(id).clone()));
            separator = b',';
        }
        if let Some(old) = old {
            out.push(separator);
            out.extend_from_slice(b"\"old\":");
            self.columns(out, kind, |_, id| {
                let unchanged = new.is_some_and(|new| new.get(id) == old.get(id));
                (!unchanged).then(|| old.get(id).clone())
            });
        }
        out.push(b'}');
    }

    /// A `<row-update2>`: differences, and no columns at their defaults.
    fn row_update2(&self, out: &mut Vec<u8>, kind: Select, old: Option<&Row>, new: Option<&Row>) {
        let (name, new) = match (kind, new) {
            (Select::INITIAL, Some(new)) => ("initial", new),
            (_, Some(new)) if old.is_some() => ("modify", new),
            (_, Some(new)) => ("insert", new),
            (_, None) => return out.extend_from_slice(b"{\"delete\":null}"),
        };
        out.push(b'{');
        write::string(out, name);
        out.push(b':');
        self.columns(out, kind, |column, id| match old {
            Some(old) if old.get(id) == new.get(id) => None,
            Some(old) => Some(Datum::diff(old.get(id), new.get(id), &column.column_type)),
            None => {
                let value = new.get(id);
                (*value != column.column_type.default_datum()).then(|| value.clone())
            }
        });
        out.push(b'}');
    }

    /// An object with the columns that are reported for a kind of change and have a value.
    fn columns(
        &self,
        out: &mut Vec<u8>,
        kind: Select,
        value: impl Fn(&Column, ovsdb::ColumnId) -> Option<Datum>,
    ) {
        let mut separator = b'{';
        for monitored in &self.monitor.columns {
            if !monitored.select.has(kind) {
                continue;
            }
            let column = self.schema.column(monitored.column);
            let Some(value) = value(column, monitored.column) else {
                continue;
            };
            out.push(std::mem::replace(&mut separator, b','));
            write::string(out, &column.name);
            out.push(b':');
            value.write_json(out, &column.column_type, Reals::Rounded);
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
    }
}
