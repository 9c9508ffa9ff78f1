//! docs/operations.md as what it is: a transcript that can be typed again.
//!
//! `document` reads it, and [`Site`] is the machines that it speaks of, on which a test follows one
//! section after the other. Nothing of a procedure is in a test but what comes before it and what is
//! to be seen afterwards.

mod document;
mod machine;
mod output;
mod site;

pub use site::{Old, Site, headings};
