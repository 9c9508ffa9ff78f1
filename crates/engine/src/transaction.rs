//! Transactions: the `transact` method (RFC 7047 section 4.1.3).

use std::sync::Arc;

use ovsdb::json::Json;
use ovsdb::names::SymbolTable;
use ovsdb::{Error, Schema, TableId, Tag, Uuid};

use crate::changes::Changes;
use crate::operation::{self, Operation};
use crate::query;
use crate::reply::Reply;
use crate::roles::Role;
use crate::version::Version;

/// A `transact` request, parsed against a schema. It can be executed on any version of that
/// schema, and again after a `wait` that did not hold.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub(crate) schema: Arc<Schema>,
    /// Up to the first operation that is wrong in itself.
    pub(crate) operations: Vec<Operation>,
    /// What is wrong with the operation behind the last one.
    pub(crate) error: Option<Error>,
    /// How many operations the request has.
    pub(crate) count: usize,
}

/// What an execution depends on beside the database's contents.
pub struct Context<'a> {
    /// Only reads are allowed.
    pub read_only: bool,
    /// The role of the client that asks; without one it may change everything.
    pub role: Option<&'a Role>,
    /// Milliseconds since the request came, for `wait`.
    pub elapsed: u64,
    /// True if the session that asks owns the lock of a name.
    pub owns_lock: &'a dyn Fn(&str) -> bool,
    /// Draws random UUIDs for the rows' versions.
    pub new_uuid: &'a mut dyn FnMut() -> Uuid,
}

/// How an execution ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is done. Without changes there is nothing to commit: it only read, or it failed.
    Done {
        /// The new version; the old one where there are no changes.
        version: Version,
        /// What has changed.
        changes: Changes,
        /// The results.
        reply: Reply,
        /// Why it has failed, if it has; the results say so, too.
        failure: Option<Tag>,
        /// The answer must wait until the changes are on disk.
        durable: bool,
        /// The comments of the transaction, for the log.
        comment: Option<String>,
    },
    /// A `wait` does not hold yet.
    Blocked {
        /// Milliseconds after the request came when it times out; none for never.
        timeout: Option<u64>,
    },
}

impl Transaction {
    /// Parses the operations of a request's `params`, of which the first element is the
    /// database's name.
    pub fn parse(
        params: Json<'_>,
        schema: &Arc<Schema>,
        new_uuid: impl FnMut() -> Uuid,
    ) -> Transaction {
        let count = params.len().saturating_sub(1);
        let mut names = SymbolTable::new(new_uuid);
        let mut transaction = Transaction {
            schema: schema.clone(),
            operations: Vec::with_capacity(count.min(1024)),
            error: None,
            count,
        };
        for (place, json) in params.elements().skip(1).enumerate() {
            match operation::parse(json, place + 1, count, schema, &mut names) {
                Ok(operation) => transaction.operations.push(operation),
                Err(error) => {
                    transaction.error = Some(error);
                    break;
                }
            }
        }
        transaction
    }

    /// The schema that it was parsed against.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// True if no operation can change anything or wait for anything: it can be answered from
    /// any committed version.
    pub fn only_reads(&self) -> bool {
        self.operations.iter().all(|operation| {
            matches!(
                operation,
                Operation::Select { .. } | Operation::Comment(_) | Operation::Abort
            )
        })
    }

    /// True if an operation of it is not allowed where only reads are.
    pub fn writes(&self) -> bool {
        let mut operations = self.operations.iter();
        operations.any(|operation| operation.writes().is_some())
    }

    /// About how many rows its conditions have to be compared with, on a version of its schema:
    /// none for those that name a row or a unique index.
    pub fn rows_walked(&self, version: &Version) -> usize {
        self.operations
            .iter()
            .filter_map(|operation| {
                let (table, condition) = operation.condition()?;
                let schema = version.schema().table(table);
                (!query::is_indexed(schema, condition)).then(|| version.table(table).len())
            })
            .sum()
    }

    /// True if the answer may have to wait until others change something.
    pub fn may_block(&self) -> bool {
        let waits = |operation: &Operation| match operation {
            Operation::Wait { timeout, .. } => *timeout != Some(0),
            _ => false,
        };
        self.operations.iter().any(waits)
    }

    /// The locks that the session must own for it.
    pub fn asserted_locks(&self) -> impl Iterator<Item = &str> {
        self.operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Assert { lock } => Some(&**lock),
                _ => None,
            })
    }

    /// The tables that a `wait` of it looks at: changes of other tables do not make it true.
    pub fn awaited_tables(&self) -> impl Iterator<Item = TableId> {
        self.operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Wait { table, .. } => Some(*table),
                _ => None,
            })
    }
}
