//! JSON as OVSDB uses it: framed and checked in one pass, then read in place.
//!
//! [`Scanner`] finds the end of one JSON text in a stream of bytes, checks it and leaves a flat
//! index of its values; [`Document`] is the finished text with that index, and [`Json`] a cursor
//! into it. No tree is built: a value is parsed when, and as what, the schema asks for it.

mod canonical;
mod number;
mod scan;
mod string;
mod value;
pub mod write;

pub use number::{Number, format_real};
pub use scan::{MAX_DEPTH, Scanner, SyntaxError};
pub use value::{Document, Json, Kind};
