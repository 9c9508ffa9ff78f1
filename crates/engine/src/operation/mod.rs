//! The operations of a transaction (RFC 7047 section 5.2), parsed.

mod parse;

use ovsdb::{ColumnId, Condition, Datum, Error, Mutation, TableId, Uuid};

pub(crate) use parse::parse;

/// The values that a request gives for some columns of a row.
pub(crate) type Values = Vec<(ColumnId, Datum)>;

/// An operation, checked against the schema. What depends on the database's contents is left to
/// the execution.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Insert {
        table: TableId,
        uuid: Uuid,
        /// The request chose the UUID: what to answer if it is taken.
        if_taken: Option<Box<Error>>,
        /// An error here only counts if the UUID is free.
        values: Result<Values, Box<Error>>,
    },
    Select {
        table: TableId,
        condition: Condition,
        columns: Vec<ColumnId>,
        sort: Vec<ColumnId>,
    },
    Update {
        table: TableId,
        condition: Condition,
        values: Values,
    },
    Mutate {
        table: TableId,
        condition: Condition,
        mutations: Vec<Mutation>,
    },
    Delete {
        table: TableId,
        condition: Condition,
    },
    Wait {
        table: TableId,
        condition: Condition,
        columns: Vec<ColumnId>,
        /// True to wait until the rows are equal, false until they differ.
        until_equal: bool,
        rows: Vec<Values>,
        /// Milliseconds; without it, it waits for ever.
        timeout: Option<u64>,
    },
    Commit {
        durable: bool,
    },
    Abort,
    Comment(String),
    Assert {
        lock: String,
    },
}

impl Operation {
    /// The operation's name if it is not allowed on a read-only database.
    pub(crate) fn writes(&self) -> Option<&'static str> {
        match self {
            Operation::Insert { .. } => Some("insert"),
            Operation::Update { .. } => Some("update"),
            Operation::Mutate { .. } => Some("mutate"),
            Operation::Delete { .. } => Some("delete"),
            Operation::Commit { .. } => Some("commit"),
            _ => None,
        }
    }

    /// Which rows of which table it is about, for those that have a `where`.
    pub(crate) fn condition(&self) -> Option<(TableId, &Condition)> {
        match self {
            Operation::Select {
                table, condition, ..
            }
            | Operation::Update {
                table, condition, ..
            }
            | Operation::Mutate {
                table, condition, ..
            }
            | Operation::Delete { table, condition }
            | Operation::Wait {
                table, condition, ..
            } => Some((*table, condition)),
            _ => None,
        }
    }
}
