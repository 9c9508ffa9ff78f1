//! OVSDB's data model and its notation: atoms, datums, schemas, conditions, mutations and
//! JSON-RPC messages (RFC 7047, with the reference's deviations from it).
//!
//! Everything here is a value: this crate knows nothing of tables of rows, transactions, files,
//! sockets or time. Whatever comes from outside is parsed from [`json::Json`] and answered with
//! an [`Error`] whose texts are those of the reference `ovsdb-server`.

pub mod atom;
pub mod column_type;
pub mod condition;
pub mod datum;
mod datum_algebra;
mod datum_parse;
pub mod datum_print;
pub mod error;
pub mod json;
pub mod members;
pub mod message;
pub mod mutation;
pub mod names;
pub mod schema;
mod schema_parse;
pub use schema_parse::parse_column_names;
mod schema_print;

pub use atom::{Atom, AtomicType};
pub use column_type::{BaseType, ColumnType, RefType};
pub use condition::{Clause, Condition, Function};
pub use datum::Datum;
pub use error::{Error, Tag};
pub use mutation::{Mutation, Mutator};
pub use names::{Names, NoNames};
pub use schema::{Column, ColumnId, Schema, TableId, TableSchema};
pub use uuid::Uuid;
