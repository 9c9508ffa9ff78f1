//! For tests and fuzzers: what followers and leaders of our kind say to each other, and what either
//! makes of it, without a cluster.

pub use super::again::{Around, row_ids};
pub use super::conversion::{read_answer, read_wish, write_wish};
pub use super::executing::Executing;
pub use super::passing::{Answer, Answers, Limits, PassedOn, Transactions, Verdict};
pub use super::waiting::{End, Waiting};
