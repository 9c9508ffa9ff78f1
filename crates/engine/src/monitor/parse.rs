//! Parsing monitor requests and changes of their conditions.

use std::collections::BTreeMap;

use ovsdb::json::{Json, Kind};
use ovsdb::members::{Kinds, Members};
use ovsdb::{Clause, ColumnId, Condition, Error, NoNames, Schema, TableSchema, Tag};

use super::{Format, Monitor, MonitoredColumn, Select, TableMonitor};

impl Monitor {
    /// Parses a `<monitor-requests>` object.
    pub fn parse(json: Json<'_>, format: Format, schema: &Schema) -> Result<Monitor, Error> {
        if json.kind() != Kind::Object {
            return Err(Error::syntax(json, "monitor-requests must be object"));
        }
        let mut tables = BTreeMap::new();
        for (name, requests) in json.members() {
            let name = name.string().unwrap_or_default();
            let table = schema.find(&name).ok_or_else(|| no_table(&name))?;
            let mut monitor = TableMonitor {
                columns: Vec::new(),
                select: Select::NONE,
                condition: Condition::default(),
                condition_columns: Vec::new(),
            };
            if requests.kind() == Kind::Array {
                for (place, request) in requests.elements().enumerate() {
                    let is_first = place == 0;
                    parse_request(&mut monitor, request, is_first, format, schema.table(table))?;
                }
            } else {
                parse_request(&mut monitor, requests, true, format, schema.table(table))?;
            }
            monitor.columns.sort_by_key(|column| column.column);
            monitor.note_condition_columns();
            tables.insert(table, monitor);
        }
        Ok(Monitor { format, tables })
    }

    /// The monitor with the conditions of a `<monitor-cond-update-requests>` object.
    pub fn with_conditions(&self, json: Json<'_>, schema: &Schema) -> Result<Monitor, Error> {
        if json.kind() != Kind::Object {
            return Err(Error::new(
                Tag::SyntaxError,
                "monitor-cond-change-requests must be object",
            ));
        }
        let mut changed = self.clone();
        for (name, requests) in json.members() {
            let name = name.string().unwrap_or_default();
            let table = schema.find(&name).ok_or_else(|| no_table(&name))?;
            let monitor = changed.tables.get_mut(&table).ok_or_else(|| {
                let details = format!("no table named {name} in monitor session");
                Error::new(Tag::SyntaxError, details)
            })?;
            if requests.kind() != Kind::Array {
                let details = format!("table {name} no monitor-cond-change JSON array");
                return Err(Error::new(Tag::SyntaxError, details));
            }
            for request in requests.elements() {
                let table = schema.table(table);
                if let Some(condition) = parse_condition_change(request, self.format, table)? {
                    monitor.condition = condition;
                    monitor.note_condition_columns();
                }
            }
        }
        Ok(changed)
    }
}

impl TableMonitor {
    fn note_condition_columns(&mut self) {
        for clause in &self.condition.clauses {
            let Clause::Compare { column, .. } = clause else {
                continue;
            };
            let reported = self.columns.iter().any(|c| c.column == *column);
            if !reported && !self.condition_columns.contains(column) {
                self.condition_columns.push(*column);
            }
        }
    }
}

fn no_table(name: &str) -> Error {
    Error::new(Tag::SyntaxError, format!("no table named {name}"))
}

fn parse_request(
    monitor: &mut TableMonitor,
    json: Json<'_>,
    is_first: bool,
    format: Format,
    table: &TableSchema,
) -> Result<(), Error> {
    let what = format_args!("table {}", table.name);
    let members = Members::new(json, &what);
    let condition = match format {
        Format::Update => None,
        _ => members.optional("where", Kinds::ARRAY),
    };
    let columns = members.optional("columns", Kinds::ARRAY);
    let select = members.optional("select", Kinds::OBJECT);
    members.finish()?;

    let select = match select {
        Some(select) => parse_select(select, table)?,
        None => Select::ALL,
    };
    monitor.select = monitor.select.with(select);
    match columns {
        Some(columns) => {
            for name in columns.elements() {
                let column = parse_column(columns, name, table)?;
                add_column(monitor, column, select, Some(columns), table)?;
            }
        }
        None => {
            for (column, _) in table.all_columns() {
                if column != ColumnId::UUID {
                    add_column(monitor, column, select, None, table)?;
                }
            }
        }
    }
    let condition = match condition {
        Some(condition) => Condition::parse(condition, table, &mut NoNames)?,
        None => Condition::default(),
    };
    // Of several requests for a table, the first one's decides, as in the reference.
    if is_first {
        monitor.condition = condition;
    }
    Ok(())
}

fn parse_column(columns: Json<'_>, name: Json<'_>, table: &TableSchema) -> Result<ColumnId, Error> {
    let name = name
        .string()
        .ok_or_else(|| Error::syntax(columns, "array of column names expected"))?;
    table
        .find(&name)
        .ok_or_else(|| Error::syntax(columns, format!("{name} is not a valid column name")))
}

fn add_column(
    monitor: &mut TableMonitor,
    column: ColumnId,
    select: Select,
    columns: Option<Json<'_>>,
    table: &TableSchema,
) -> Result<(), Error> {
    if monitor.columns.iter().any(|c| c.column == column) {
        let details = format!(
            "column {} mentioned more than once",
            table.column(column).name
        );
        return Err(match columns {
            Some(columns) => Error::syntax(columns, details),
            None => Error::new(Tag::SyntaxError, details),
        });
    }
    monitor.columns.push(MonitoredColumn { column, select });
    Ok(())
}

fn parse_select(json: Json<'_>, table: &TableSchema) -> Result<Select, Error> {
    let what = format_args!("table {} select", table.name);
    let members = Members::new(json, &what);
    let mut select = Select::NONE;
    for (name, kind) in [
        ("initial", Select::INITIAL),
        ("insert", Select::INSERT),
        ("delete", Select::DELETE),
        ("modify", Select::MODIFY),
    ] {
        let wanted = members.optional(name, Kinds::BOOLEAN);
        if wanted.and_then(Json::boolean).unwrap_or(true) {
            select = select.with(kind);
        }
    }
    members.finish()?;
    Ok(select)
}

/// The new condition; for a monitor without conditions none, whatever it would be.
fn parse_condition_change(
    json: Json<'_>,
    format: Format,
    table: &TableSchema,
) -> Result<Option<Condition>, Error> {
    let what = format_args!("table {}", table.name);
    let members = Members::new(json, &what);
    let columns = members.optional("columns", Kinds::ARRAY);
    let condition = members.optional("where", Kinds::ARRAY);
    members.finish()?;
    if columns.is_some() {
        return Err(Error::syntax(json, "changing columns is unsupported"));
    }
    match condition {
        _ if format == Format::Update => Ok(None),
        Some(condition) => Condition::parse(condition, table, &mut NoNames).map(Some),
        None => Ok(Some(Condition::default())),
    }
}
