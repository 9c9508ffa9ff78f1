//! Parsing operations, with the reference's order of checks.

use ovsdb::error::Tag;
use ovsdb::json::{Json, Kind};
use ovsdb::members::{Kinds, Members};
use ovsdb::names::SymbolTable;
use ovsdb::schema::Column;
use ovsdb::{
    ColumnId, Condition, Datum, Error, Mutation, Schema, TableId, TableSchema, Uuid, atom,
};

use super::{Operation, Values};

/// Parses operation number `place` (from 1) of `count`.
pub(crate) fn parse<F: FnMut() -> Uuid>(
    json: Json<'_>,
    place: usize,
    count: usize,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let what = format_args!("ovsdb operation {place} of {count}");
    let members = Members::new(json, &what);
    let operation = parse_members(&members, schema, names);
    // A member that is wrong, missing or too much overrides any other error.
    members.finish()?;
    operation
}

fn parse_members<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let op = members.required("op", Kinds::ID).and_then(Json::string);
    members.check()?;
    match op.as_deref().unwrap_or_default() {
        "insert" => parse_insert(members, schema, names),
        "select" => parse_select(members, schema, names),
        "update" => parse_update(members, schema, names),
        "mutate" => parse_mutate(members, schema, names),
        "delete" => parse_delete(members, schema, names),
        "wait" => parse_wait(members, schema, names),
        "commit" => {
            let durable = members.required("durable", Kinds::BOOLEAN);
            Ok(Operation::Commit {
                durable: durable.and_then(Json::boolean).unwrap_or(false),
            })
        }
        "abort" => Ok(Operation::Abort),
        "comment" => {
            let comment = members.required("comment", Kinds::STRING);
            Ok(Operation::Comment(owned(comment)))
        }
        "assert" => {
            let lock = members.required("lock", Kinds::ID);
            Ok(Operation::Assert { lock: owned(lock) })
        }
        unknown => {
            members.fail(format!("No operation \"{unknown}\""));
            Ok(Operation::Abort)
        }
    }
}

fn owned(json: Option<Json<'_>>) -> String {
    json.and_then(Json::string).unwrap_or_default().into_owned()
}

/// A member that must be there: `check` has found no error, so that it is.
fn present<'a>(members: &Members<'a>, json: Option<Json<'a>>) -> Result<Json<'a>, Error> {
    json.ok_or_else(|| Error::syntax(members.json(), "missing member"))
}

fn parse_table(members: &Members<'_>, schema: &Schema) -> Option<TableId> {
    let name = members.required("table", Kinds::ID)?.string()?;
    let table = schema.find(&name);
    if table.is_none() {
        members.fail(format!("No table named {name}."));
    }
    table
}

/// The table once `check` has found no error.
fn present_table(members: &Members<'_>, table: Option<TableId>) -> Result<TableId, Error> {
    members.check()?;
    table.ok_or_else(|| Error::syntax(members.json(), "missing table"))
}

fn parse_insert<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let table = parse_table(members, schema);
    let uuid_json = members.optional("uuid", Kinds::STRING);
    let name_json = members.optional("uuid-name", Kinds::ID);
    let row = members.required("row", Kinds::OBJECT);
    let table = present_table(members, table)?;
    let row = present(members, row)?;
    let table_schema = schema.table(table);

    let chosen = match uuid_json {
        None => None,
        Some(json) => {
            let uuid = atom::parse_uuid(&json.string().unwrap_or_default())
                .ok_or_else(|| Error::syntax(json, "bad uuid"))?;
            let details = format!(
                "This UUID would duplicate a UUID already present within the \"{}\" table or \
                 deleted from this table within the same transaction.",
                table_schema.name
            );
            let if_taken = Error::about(json, Tag::DuplicateUuid, details);
            Some((uuid, Box::new(if_taken)))
        }
    };
    let (chosen, if_taken) = chosen.unzip();
    let values = (|| {
        let uuid = name_row(name_json, chosen, names)?;
        let values = parse_row(row, table_schema, names)?;
        check_defaults(&values, table_schema)?;
        Ok((uuid, values))
    })();
    match values {
        Ok((uuid, values)) => Ok(Operation::Insert {
            table,
            uuid,
            if_taken,
            values: Ok(values),
        }),
        Err(error) => match chosen {
            None => Err(error),
            Some(uuid) => Ok(Operation::Insert {
                table,
                uuid,
                if_taken,
                values: Err(Box::new(error)),
            }),
        },
    }
}

/// The new row's UUID: chosen by the request, or drawn with its name, or drawn now.
fn name_row<F: FnMut() -> Uuid>(
    name_json: Option<Json<'_>>,
    chosen: Option<Uuid>,
    names: &mut SymbolTable<F>,
) -> Result<Uuid, Error> {
    let Some(json) = name_json else {
        return Ok(chosen.unwrap_or_else(|| names.new_uuid()));
    };
    let symbol = names.symbol(&json.string().unwrap_or_default());
    if symbol.created {
        return Err(Error::about(
            json,
            Tag::DuplicateUuidName,
            "This \"uuid-name\" appeared on an earlier \"insert\" operation.",
        ));
    }
    symbol.created = true;
    if let Some(uuid) = chosen {
        symbol.uuid = uuid;
    }
    Ok(symbol.uuid)
}

fn parse_row<F: FnMut() -> Uuid>(
    json: Json<'_>,
    table: &TableSchema,
    names: &mut SymbolTable<F>,
) -> Result<Values, Error> {
    if json.kind() != Kind::Object {
        return Err(Error::syntax(json, "row must be JSON object"));
    }
    let mut values = Values::with_capacity(json.len());
    for (name, value) in json.members() {
        let name = name.string().unwrap_or_default();
        let id = table.find(&name).ok_or_else(|| {
            let details = format!("No column {name} in table {}.", table.name);
            Error::about(json, Tag::UnknownColumn, details)
        })?;
        let column_type = &table.column(id).column_type;
        values.push((id, Datum::parse(value, column_type, names)?));
    }
    Ok(values)
}

/// The default values of columns that an insert leaves out must satisfy the constraints, too.
fn check_defaults(values: &Values, table: &TableSchema) -> Result<(), Error> {
    for (id, column) in table.own_columns() {
        if has_plain_default(column) || values.iter().any(|(given, _)| *given == id) {
            continue;
        }
        let default = column.column_type.default_datum();
        let pairs = default.pairs().iter();
        for atom in default
            .atoms()
            .iter()
            .chain(pairs.clone().map(|(key, _)| key))
        {
            column.column_type.key.check(atom)?;
        }
        if let Some(value_type) = &column.column_type.value {
            for (_, value) in pairs {
                value_type.check(value)?;
            }
        }
    }
    Ok(())
}

fn has_plain_default(column: &Column) -> bool {
    column.column_type.min == 0 || column.column_type.bases().all(|base| base.is_plain())
}

fn parse_columns(json: Option<Json<'_>>, table: &TableSchema) -> Result<Vec<ColumnId>, Error> {
    match json {
        Some(json) => ovsdb::parse_column_names(json, table),
        None => Ok(table.all_columns().map(|(id, _)| id).collect()),
    }
}

fn parse_select<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let table = parse_table(members, schema);
    let condition = members.required("where", Kinds::ARRAY);
    let columns = members.optional("columns", Kinds::ARRAY);
    let sort = members.optional("sort", Kinds::ARRAY);
    let table = present_table(members, table)?;
    let table_schema = schema.table(table);
    Ok(Operation::Select {
        table,
        condition: Condition::parse(present(members, condition)?, table_schema, names)?,
        columns: parse_columns(columns, table_schema)?,
        sort: match sort {
            Some(sort) => parse_columns(Some(sort), table_schema)?,
            None => Vec::new(),
        },
    })
}

fn parse_update<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let table = parse_table(members, schema);
    let condition = members.required("where", Kinds::ARRAY);
    let row = members.required("row", Kinds::OBJECT);
    let table = present_table(members, table)?;
    let table_schema = schema.table(table);
    let values = parse_row(present(members, row)?, table_schema, names)?;
    for (id, _) in &values {
        let column = table_schema.column(*id);
        if !column.mutable {
            let details = format!(
                "Cannot update immutable column {} in table {}.",
                column.name, table_schema.name
            );
            return Err(Error::about(
                members.json(),
                Tag::ConstraintViolation,
                details,
            ));
        }
    }
    Ok(Operation::Update {
        table,
        condition: Condition::parse(present(members, condition)?, table_schema, names)?,
        values,
    })
}

fn parse_mutate<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let table = parse_table(members, schema);
    let condition = members.required("where", Kinds::ARRAY);
    let mutations = members.required("mutations", Kinds::ARRAY);
    let table = present_table(members, table)?;
    let table_schema = schema.table(table);
    let mutations = present(members, mutations)?
        .elements()
        .map(|mutation| Mutation::parse(mutation, table_schema, names))
        .collect::<Result<_, _>>()?;
    Ok(Operation::Mutate {
        table,
        mutations,
        condition: Condition::parse(present(members, condition)?, table_schema, names)?,
    })
}

fn parse_delete<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let condition = members.required("where", Kinds::ARRAY);
    let table = parse_table(members, schema);
    let table = present_table(members, table)?;
    let condition = present(members, condition)?;
    Ok(Operation::Delete {
        table,
        condition: Condition::parse(condition, schema.table(table), names)?,
    })
}

fn parse_wait<F: FnMut() -> Uuid>(
    members: &Members<'_>,
    schema: &Schema,
    names: &mut SymbolTable<F>,
) -> Result<Operation, Error> {
    let timeout = members.optional("timeout", Kinds::INTEGER);
    let condition = members.required("where", Kinds::ARRAY);
    let columns = members.optional("columns", Kinds::ARRAY);
    let until = members.required("until", Kinds::STRING);
    let rows = members.required("rows", Kinds::ARRAY);
    let table = parse_table(members, schema);
    let table = present_table(members, table)?;
    let table_schema = schema.table(table);
    let condition = Condition::parse(present(members, condition)?, table_schema, names)?;
    let columns = parse_columns(columns, table_schema)?;
    let timeout = match timeout {
        None => None,
        Some(json) => {
            let milliseconds = json.integer().and_then(|ms| u64::try_from(ms).ok());
            let negative = || Error::syntax(json, "timeout must be nonnegative");
            Some(milliseconds.ok_or_else(negative)?)
        }
    };
    let until = present(members, until)?;
    let until_equal = until.is_string("==");
    if !until_equal && !until.is_string("!=") {
        return Err(Error::syntax(until, "\"until\" must be \"==\" or \"!=\""));
    }
    let rows = present(members, rows)?
        .elements()
        .map(|row| parse_row(row, table_schema, names))
        .collect::<Result<_, _>>()?;
    Ok(Operation::Wait {
        table,
        condition,
        columns,
        until_equal,
        rows,
        timeout,
    })
}
