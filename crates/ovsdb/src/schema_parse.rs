//! Parsing schemas (RFC 7047 section 3.2, `<database-schema>`).

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::atom::{Atom, AtomicType};
use crate::column_type::{BaseType, ColumnType, Constraint, RefType};
use crate::datum::Datum;
use crate::error::{Error, Tag};
use crate::json::{Document, Json, Kind, Number};
use crate::members::{Kinds, Members, is_id};
use crate::names::NoNames;
use crate::schema::{Column, ColumnId, Schema, TableId, TableSchema};

impl Schema {
    /// Parses a schema from the text of a file.
    pub fn from_text(text: &[u8]) -> Result<Schema, Error> {
        match Document::parse(text) {
            Ok(document) => Schema::parse(document.root()),
            Err(error) => Err(Error::new(Tag::SyntaxError, error.to_string())),
        }
    }

    /// Parses a schema.
    pub fn parse(json: Json<'_>) -> Result<Schema, Error> {
        let members = Members::new(json, &"database schema");
        let name = members.required("name", Kinds::ID);
        let version = members.optional("version", Kinds::STRING);
        let cksum = members.optional("cksum", Kinds::STRING);
        let tables = members.required("tables", Kinds::OBJECT);
        members.finish()?;

        let version = text(version);
        if !version.is_empty() && !is_version(&version) {
            let details = format!("schema version \"{version}\" not in format x.y.z");
            return Err(Error::syntax(json, details));
        }
        let mut schema = Schema {
            name: Arc::from(text(name)),
            version: version.into(),
            cksum: text(cksum).into(),
            tables: Vec::new(),
            by_name: FxHashMap::default(),
        };
        for (name, table) in tables.into_iter().flat_map(Json::sorted_members) {
            check_name(&name, json)?;
            schema.tables.push(parse_table(table, &name)?);
        }
        schema.by_name = schema
            .all_tables()
            .map(|(id, table)| (table.name.clone(), id))
            .collect();
        // Before there was garbage collection schemas had no "isRoot".
        if schema.tables.iter().all(|table| !table.is_root) {
            schema
                .tables
                .iter_mut()
                .for_each(|table| table.is_root = true);
        }
        resolve_references(&mut schema)?;
        Ok(schema)
    }
}

fn text(json: Option<Json<'_>>) -> Cow<'_, str> {
    json.and_then(Json::string).unwrap_or_default()
}

fn is_version(version: &str) -> bool {
    let mut parts = 0;
    let numeric = version.split('.').all(|part| {
        parts += 1;
        part.parse::<u32>().is_ok() && part.bytes().all(|b| b.is_ascii_digit())
    });
    numeric && parts == 3
}

fn check_name(name: &str, json: Json<'_>) -> Result<(), Error> {
    if name.starts_with('_') {
        return Err(Error::syntax(
            json,
            "names beginning with \"_\" are reserved",
        ));
    }
    if !is_id(name) {
        return Err(Error::syntax(json, "name must be a valid id"));
    }
    Ok(())
}

fn parse_table(json: Json<'_>, name: &str) -> Result<TableSchema, Error> {
    let what = format_args!("table schema for table {name}");
    let members = Members::new(json, &what);
    let columns = members.required("columns", Kinds::OBJECT);
    let mutable = members.optional("mutable", Kinds::BOOLEAN);
    let max_rows = members.optional("maxRows", Kinds::INTEGER);
    let is_root = members.optional("isRoot", Kinds::BOOLEAN);
    let indexes = members.optional("indexes", Kinds::ARRAY);
    members.finish()?;

    let max_rows = match max_rows.and_then(Json::integer) {
        None => u32::MAX,
        Some(n) if n <= 0 => return Err(Error::syntax(json, "maxRows must be at least 1")),
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
    };
    if columns.is_none_or(Json::is_empty) {
        return Err(Error::syntax(json, "table must have at least one column"));
    }
    let mut table = TableSchema {
        name: Arc::from(name),
        columns: vec![
            standard_column("_uuid", true),
            standard_column("_version", false),
        ],
        mutable: mutable.and_then(Json::boolean).unwrap_or(true),
        max_rows,
        is_root: is_root.and_then(Json::boolean).unwrap_or(false),
        indexes: Vec::new(),
        by_name: FxHashMap::default(),
    };
    for (name, column) in columns.into_iter().flat_map(Json::sorted_members) {
        check_name(&name, json)?;
        table.columns.push(parse_column(column, &name)?);
    }
    table.by_name = table
        .all_columns()
        .map(|(id, column)| (column.name.clone(), id))
        .collect();
    for index in indexes.into_iter().flat_map(Json::elements) {
        let columns = parse_column_names(index, &table)?;
        if columns.is_empty() {
            return Err(Error::syntax(json, "index must have at least one column"));
        }
        if let Some(column) = columns
            .iter()
            .map(|id| table.column(*id))
            .find(|column| !column.persistent)
        {
            let details = format!(
                "ephemeral columns (such as {}) may not be indexed",
                column.name
            );
            return Err(Error::syntax(json, details));
        }
        table.indexes.push(columns);
    }
    Ok(table)
}

fn standard_column(name: &str, persistent: bool) -> Column {
    Column {
        name: Arc::from(name),
        mutable: false,
        persistent,
        column_type: ColumnType::scalar(AtomicType::Uuid),
    }
}

/// Parses an array of distinct column names.
pub fn parse_column_names(json: Json<'_>, table: &TableSchema) -> Result<Vec<ColumnId>, Error> {
    let wrong = || Error::syntax(json, "array of distinct column names expected");
    if json.kind() != Kind::Array {
        return Err(wrong());
    }
    let mut columns = Vec::with_capacity(json.len());
    let mut seen = vec![false; table.columns.len()];
    for element in json.elements() {
        let name = element.string().ok_or_else(wrong)?;
        let id = table
            .find(&name)
            .ok_or_else(|| Error::syntax(json, format!("{name} is not a valid column name")))?;
        if std::mem::replace(&mut seen[id.index()], true) {
            return Err(wrong());
        }
        columns.push(id);
    }
    Ok(columns)
}

fn parse_column(json: Json<'_>, name: &str) -> Result<Column, Error> {
    let what = format_args!("schema for column {name}");
    let members = Members::new(json, &what);
    let mutable = members.optional("mutable", Kinds::BOOLEAN);
    let ephemeral = members.optional("ephemeral", Kinds::BOOLEAN);
    let column_type = members.required("type", Kinds::STRING.or(Kinds::OBJECT));
    members.finish()?;
    let column_type = column_type.map_or_else(
        || Err(Error::syntax(json, "ovsdb type expected")),
        parse_type,
    )?;
    Ok(Column {
        name: Arc::from(name),
        mutable: mutable.and_then(Json::boolean).unwrap_or(true),
        persistent: !ephemeral.and_then(Json::boolean).unwrap_or(false),
        column_type,
    })
}

/// Parses a `<type>`.
pub fn parse_type(json: Json<'_>) -> Result<ColumnType, Error> {
    if json.kind() == Kind::String {
        return Ok(ColumnType {
            key: parse_base(json)?,
            value: None,
            min: 1,
            max: 1,
        });
    }
    if json.kind() != Kind::Object {
        return Err(Error::syntax(json, "ovsdb type expected"));
    }
    let base = Kinds::STRING.or(Kinds::OBJECT);
    let members = Members::new(json, &"ovsdb type");
    let key = members.required("key", base);
    let value = members.optional("value", base);
    let min = members.optional("min", Kinds::INTEGER);
    let max = members.optional("max", Kinds::INTEGER.or(Kinds::STRING));
    members.finish()?;

    let key = key.map_or_else(
        || Err(Error::syntax(json, "ovsdb type expected")),
        parse_base,
    )?;
    let value = value.map(parse_base).transpose()?;
    let min = parse_count(min)?;
    let max = match max {
        Some(max) if max.is_string("unlimited") => u32::MAX,
        max => parse_count(max)?,
    };
    if min > 1 || max < 1 {
        return Err(Error::syntax(json, "ovsdb type fails constraint checks"));
    }
    Ok(ColumnType {
        key,
        value,
        min,
        max,
    })
}

fn parse_count(json: Option<Json<'_>>) -> Result<u32, Error> {
    let Some(json) = json else { return Ok(1) };
    match json.integer().map(u32::try_from) {
        Some(Ok(count)) if count < u32::MAX => Ok(count),
        _ => Err(Error::syntax(json, "bad min or max value")),
    }
}

fn parse_atomic_type(json: Json<'_>) -> Result<AtomicType, Error> {
    let Some(name) = json.string() else {
        return Err(Error::syntax(json, "atomic-type expected"));
    };
    AtomicType::from_name(&name)
        .ok_or_else(|| Error::syntax(json, format!("\"{name}\" is not an atomic-type")))
}

fn parse_base(json: Json<'_>) -> Result<BaseType, Error> {
    if json.kind() == Kind::String {
        return Ok(BaseType::plain(parse_atomic_type(json)?));
    }
    let members = Members::new(json, &"ovsdb type");
    let atomic = members.required("type", Kinds::STRING);
    members.check()?;
    let atomic = atomic.map_or(Ok(AtomicType::Integer), parse_atomic_type)?;
    let mut base = BaseType::plain(atomic);
    if let Some(allowed) = members.optional("enum", Kinds::ANY) {
        base.allowed = Some(parse_enum(allowed, atomic)?);
    } else {
        base.constraint = parse_constraint(&members, atomic)?;
    }
    members.finish()?;
    Ok(base)
}

fn parse_enum(json: Json<'_>, atomic: AtomicType) -> Result<Arc<[Atom]>, Error> {
    let set = ColumnType {
        key: BaseType::plain(atomic),
        value: None,
        min: 1,
        max: u32::MAX,
    };
    Ok(Arc::from(Datum::parse(json, &set, &mut NoNames)?.atoms()))
}

fn parse_constraint(members: &Members<'_>, atomic: AtomicType) -> Result<Constraint, Error> {
    let json = members.json();
    match atomic {
        AtomicType::Boolean => Ok(Constraint::None),
        AtomicType::Integer => {
            let bound = |name| {
                members
                    .optional(name, Kinds::INTEGER)
                    .and_then(Json::integer)
            };
            let min = bound("minInteger").unwrap_or(i64::MIN);
            let max = bound("maxInteger").unwrap_or(i64::MAX);
            if min > max {
                return Err(Error::syntax(json, "minInteger exceeds maxInteger"));
            }
            Ok(Constraint::Integer { min, max })
        }
        AtomicType::Real => {
            let bound = |name| {
                let number = members.optional(name, Kinds::NUMBER)?.number()?;
                Some(match number {
                    Number::Integer(integer) => integer as f64,
                    Number::Real(real) => real,
                })
            };
            let min = bound("minReal").unwrap_or(-f64::MAX);
            let max = bound("maxReal").unwrap_or(f64::MAX);
            if min > max {
                return Err(Error::syntax(json, "minReal exceeds maxReal"));
            }
            Ok(Constraint::Real { min, max })
        }
        AtomicType::String => {
            let min = parse_length(members, "minLength")?.unwrap_or(0);
            let max = parse_length(members, "maxLength")?.unwrap_or(u32::MAX);
            if min > max {
                return Err(Error::syntax(json, "minLength exceeds maxLength"));
            }
            Ok(Constraint::String { min, max })
        }
        AtomicType::Uuid => parse_reference(members),
    }
}

fn parse_length(members: &Members<'_>, name: &'static str) -> Result<Option<u32>, Error> {
    let length = members
        .optional(name, Kinds::INTEGER)
        .and_then(Json::integer);
    let out_of_range = |_| {
        let details = format!("{name} out of valid range 0 to {}", u32::MAX);
        Error::syntax(members.json(), details)
    };
    length.map(u32::try_from).transpose().map_err(out_of_range)
}

fn parse_reference(members: &Members<'_>) -> Result<Constraint, Error> {
    let Some(table) = members.optional("refTable", Kinds::ID) else {
        return Ok(Constraint::None);
    };
    let kind = match members
        .optional("refType", Kinds::ID)
        .and_then(Json::string)
    {
        None => RefType::Strong,
        Some(kind) if kind == "strong" => RefType::Strong,
        Some(kind) if kind == "weak" => RefType::Weak,
        Some(kind) => {
            let details = format!("refType must be \"strong\" or \"weak\" (not \"{kind}\")");
            return Err(Error::syntax(members.json(), details));
        }
    };
    Ok(Constraint::Reference {
        table: Arc::from(text(Some(table))),
        // Set once all tables are known.
        id: TableId(u32::MAX),
        kind,
    })
}

/// Finds the tables that columns refer to, and applies the rules that follow from it: a weak
/// reference cannot be immutable, as the row may go; and a strong reference to a table outside
/// the root set cannot be ephemeral, as it alone may keep the row.
fn resolve_references(schema: &mut Schema) -> Result<(), Error> {
    let by_name = &schema.by_name;
    let is_root: Vec<bool> = schema.tables.iter().map(|table| table.is_root).collect();
    for table in &mut schema.tables {
        for column in &mut table.columns {
            let column_type = &mut column.column_type;
            let bases = [
                ("key", Some(&mut column_type.key)),
                ("value", column_type.value.as_mut()),
            ];
            for (which, base) in bases {
                let Some(Constraint::Reference { table, id, kind }) =
                    base.map(|base| &mut base.constraint)
                else {
                    continue;
                };
                *id = *by_name.get(table).ok_or_else(|| {
                    Error::new(
                        Tag::SyntaxError,
                        format!(
                            "column {} {which} refers to undefined table {table}",
                            column.name
                        ),
                    )
                })?;
                match kind {
                    RefType::Weak => column.mutable = true,
                    RefType::Strong if !is_root[id.index()] => column.persistent = true,
                    RefType::Strong => {}
                }
            }
        }
    }
    Ok(())
}
