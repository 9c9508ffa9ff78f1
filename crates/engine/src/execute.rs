//! Executing a transaction on a version.

use std::collections::HashSet;
use std::sync::Arc;

use ovsdb::datum_print::Reals;
use ovsdb::json::write;
use ovsdb::{ColumnId, Condition, Datum, Error, Mutation, TableId, TableSchema, Tag, Uuid};

use crate::changes::Changes;
use crate::commit::commit;
use crate::draft::Draft;
use crate::operation::{Operation, Values};
use crate::query;
use crate::reply::Reply;
use crate::roles::Wish;
use crate::row::Row;
use crate::transaction::{Context, Outcome, Transaction};
use crate::version::Version;

/// Why an operation stops a transaction.
enum Stop {
    Failed(Error),
    Blocked,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// A transaction at work.
struct Execution<'a, 'b> {
    draft: Draft,
    context: &'a mut Context<'b>,
    reply: Reply,
    durable: bool,
    comment: Option<String>,
    /// The shortest timeout of the `wait`s so far.
    timeout: Option<u64>,
}

impl Transaction {
    /// Executes the transaction on a version of the schema that it was parsed against.
    pub fn execute(&self, version: &Version, context: &mut Context<'_>) -> Outcome {
        debug_assert!(Arc::ptr_eq(version.schema(), &self.schema));
        let mut execution = Execution {
            draft: Draft::new(version.clone()),
            context,
            reply: Reply::new(),
            durable: false,
            comment: None,
            timeout: None,
        };
        let mut failed = None;
        for operation in &self.operations {
            let mark = execution.reply.mark();
            match execution.operation(operation) {
                Ok(()) => {}
                Err(Stop::Blocked) => {
                    return Outcome::Blocked {
                        timeout: execution.timeout,
                    };
                }
                Err(Stop::Failed(error)) => {
                    execution.reply.truncate(mark);
                    failed = Some(error);
                    break;
                }
            }
        }
        let Execution {
            draft,
            context,
            mut reply,
            durable,
            comment,
            ..
        } = execution;
        let unchanged = |reply: Reply, error: &Error| Outcome::Done {
            version: version.clone(),
            changes: Changes::none(self.schema.clone()),
            reply,
            failure: Some(error.tag),
            durable: false,
            comment: None,
        };
        if let Some(error) = failed.as_ref().or(self.error.as_ref()) {
            reply.error(error);
            reply.fill(self.count);
            return unchanged(reply, error);
        }
        match commit(draft, context.new_uuid) {
            Ok((version, changes)) => Outcome::Done {
                version,
                changes,
                reply,
                failure: None,
                durable,
                comment,
            },
            Err(error) => {
                reply.error(&error);
                unchanged(reply, &error)
            }
        }
    }
}

impl Execution<'_, '_> {
    fn operation(&mut self, operation: &Operation) -> Result<(), Stop> {
        match operation {
            Operation::Insert {
                table,
                uuid,
                if_taken,
                values,
            } => self.insert(*table, *uuid, if_taken.as_deref(), values)?,
            Operation::Select {
                table,
                condition,
                columns,
                sort,
            } => self.select(*table, condition, columns, sort),
            Operation::Update {
                table,
                condition,
                values,
            } => self.update(*table, condition, values)?,
            Operation::Mutate {
                table,
                condition,
                mutations,
            } => self.mutate(*table, condition, mutations)?,
            Operation::Delete { table, condition } => self.delete(*table, condition)?,
            Operation::Wait {
                table,
                condition,
                columns,
                until_equal,
                rows,
                timeout,
            } => {
                if let Some(timeout) = timeout {
                    self.timeout = Some(self.timeout.map_or(*timeout, |t| t.min(*timeout)));
                }
                let equal = self.rows_equal(*table, condition, columns, rows);
                if equal != *until_equal {
                    return Err(self.wait_failed(*timeout));
                }
                self.empty_result();
            }
            Operation::Commit { durable } => {
                self.durable |= durable;
                self.empty_result();
            }
            Operation::Abort => {
                return Err(Error::new(Tag::Aborted, "aborted by request").into());
            }
            Operation::Comment(text) => {
                self.add_comment(text);
                self.empty_result();
            }
            Operation::Assert { lock } => {
                if !(self.context.owns_lock)(lock) {
                    let details = format!("Asserted lock {lock} not held.");
                    return Err(Error::new(Tag::NotOwner, details).into());
                }
                self.empty_result();
            }
        }
        self.check_allowed(operation)?;
        Ok(())
    }

    fn check_allowed(&self, operation: &Operation) -> Result<(), Error> {
        let Some(name) = operation.writes() else {
            return Ok(());
        };
        if self.context.read_only {
            return Err(Error::new(
                Tag::NotAllowed,
                format!("{name} operation not allowed when database server is in read only mode"),
            ));
        }
        let database = &self.draft.version.schema().name;
        if database.starts_with('_') {
            return Err(Error::new(
                Tag::NotAllowed,
                format!("{name} operation not allowed on table in reserved database {database}"),
            ));
        }
        Ok(())
    }

    fn empty_result(&mut self) {
        self.reply.result().extend_from_slice(b"{}");
    }

    fn count_result(&mut self, count: usize) {
        let out = self.reply.result();
        out.extend_from_slice(b"{\"count\":");
        write::integer(out, count as i64);
        out.push(b'}');
    }

    fn add_comment(&mut self, text: &str) {
        let comment = self.comment.get_or_insert_default();
        if !comment.is_empty() {
            comment.push('\n');
        }
        comment.push_str(text);
    }

    fn insert(
        &mut self,
        table: TableId,
        uuid: Uuid,
        if_taken: Option<&Error>,
        values: &Result<Values, Box<Error>>,
    ) -> Result<(), Error> {
        if let Some(error) = if_taken
            && (self.draft.row(table, &uuid).is_some() || self.draft.old(table, &uuid).is_some())
        {
            return Err(error.clone());
        }
        let values = values.as_ref().map_err(|error| (**error).clone())?;
        let schema = self.draft.version.schema().clone();
        let mut row = Row::with_defaults(schema.table(table), uuid);
        for (column, value) in values {
            row.set(*column, value.clone());
        }
        if let Some(role) = self.context.role {
            role.check_insert(&self.draft, table, &row)?;
        }
        // A request may name the standard columns, without effect.
        row.set_uuid(uuid);
        row.set_version((self.context.new_uuid)());
        self.draft.put(table, Arc::new(row));
        let out = self.reply.result();
        out.extend_from_slice(b"{\"uuid\":[\"uuid\",");
        write::uuid(out, &uuid);
        out.extend_from_slice(b"]}");
        Ok(())
    }

    fn select(
        &mut self,
        table: TableId,
        condition: &Condition,
        columns: &[ColumnId],
        sort: &[ColumnId],
    ) {
        let schema = self.draft.version.schema().clone();
        let table_schema = schema.table(table);
        let mut rows = query::find(&self.draft, table, condition);
        if !columns.contains(&ColumnId::UUID) {
            let mut seen = HashSet::new();
            rows.retain(|row| seen.insert(project(row.columns(), columns)));
        }
        if !sort.is_empty() {
            rows.sort_by(|a, b| {
                sort.iter()
                    .map(|column| a.get(*column).compare_order(b.get(*column)))
                    .find(|order| order.is_ne())
                    .unwrap_or(std::cmp::Ordering::Equal)
            });
        }
        let out = self.reply.result();
        out.extend_from_slice(b"{\"rows\":[");
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_row(out, row, columns, table_schema);
        }
        out.extend_from_slice(b"]}");
    }

    fn update(
        &mut self,
        table: TableId,
        condition: &Condition,
        values: &Values,
    ) -> Result<(), Error> {
        let rows = query::find(&self.draft, table, condition);
        let columns = values.iter().map(|(column, _)| *column);
        self.check_role(Wish::Update, table, &rows, columns)?;
        for row in &rows {
            if values
                .iter()
                .all(|(column, value)| row.get(*column) == value)
            {
                continue;
            }
            let mut new = (**row).clone();
            for (column, value) in values {
                new.set(*column, value.clone());
            }
            self.draft.put(table, Arc::new(new));
        }
        self.count_result(rows.len());
        Ok(())
    }

    fn mutate(
        &mut self,
        table: TableId,
        condition: &Condition,
        mutations: &[Mutation],
    ) -> Result<(), Error> {
        let schema = self.draft.version.schema().clone();
        let table_schema = schema.table(table);
        let rows = query::find(&self.draft, table, condition);
        if !mutations.is_empty() {
            let columns = mutations.iter().map(|mutation| mutation.column);
            self.check_role(Wish::Mutate, table, &rows, columns)?;
            for row in &rows {
                let mut new = (**row).clone();
                for mutation in mutations {
                    let column = mutation.column;
                    let column_type = &table_schema.column(column).column_type;
                    let value = mutation.apply(new.get(column), column_type)?;
                    new.set(column, value);
                }
                self.draft.put(table, Arc::new(new));
            }
        }
        self.count_result(rows.len());
        Ok(())
    }

    fn delete(&mut self, table: TableId, condition: &Condition) -> Result<(), Error> {
        let rows = query::find(&self.draft, table, condition);
        self.check_role(Wish::Delete, table, &rows, std::iter::empty())?;
        for row in &rows {
            self.draft.delete(table, &row.uuid());
        }
        self.count_result(rows.len());
        Ok(())
    }

    fn check_role(
        &self,
        wish: Wish,
        table: TableId,
        rows: &[Arc<Row>],
        columns: impl Iterator<Item = ColumnId>,
    ) -> Result<(), Error> {
        let Some(role) = self.context.role else {
            return Ok(());
        };
        let rows = rows.iter().map(|row| &**row);
        role.check_rows(&self.draft, wish, table, rows, columns)
    }

    /// True if the rows that satisfy the condition are, in the given columns, those of a `wait`.
    /// Both are sets: equal rows count once.
    fn rows_equal(
        &self,
        table: TableId,
        condition: &Condition,
        columns: &[ColumnId],
        rows: &[Values],
    ) -> bool {
        let schema = self.draft.version.schema();
        let table_schema = schema.table(table);
        let expected: Vec<Row> = rows
            .iter()
            .map(|values| {
                let mut row = Row::with_defaults(table_schema, Uuid::nil());
                for (column, value) in values {
                    row.set(*column, value.clone());
                }
                row
            })
            .collect();
        let actual = query::find(&self.draft, table, condition);
        let expected: HashSet<_> = expected
            .iter()
            .map(|row| project(row.columns(), columns))
            .collect();
        let actual: HashSet<_> = actual
            .iter()
            .map(|row| project(row.columns(), columns))
            .collect();
        expected == actual
    }

    fn wait_failed(&self, timeout: Option<u64>) -> Stop {
        let elapsed = self.context.elapsed;
        match timeout {
            Some(timeout) if elapsed >= timeout => {
                let details = if elapsed > 0 {
                    format!("\"wait\" timed out after {elapsed} ms")
                } else {
                    "\"where\" clause test failed".to_owned()
                };
                Stop::Failed(Error::new(Tag::TimedOut, details))
            }
            _ => Stop::Blocked,
        }
    }
}

fn project(columns: &[Datum], wanted: &[ColumnId]) -> Vec<Datum> {
    wanted
        .iter()
        .map(|column| columns[column.index()].clone())
        .collect()
}

fn write_row(out: &mut Vec<u8>, row: &Row, columns: &[ColumnId], table: &TableSchema) {
    out.push(b'{');
    for (i, id) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let column = table.column(*id);
        write::string(out, &column.name);
        out.push(b':');
        row.get(*id)
            .write_json(out, &column.column_type, Reals::Rounded);
    }
    out.push(b'}');
}
