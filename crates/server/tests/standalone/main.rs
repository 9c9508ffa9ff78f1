//! A database in its file: opened, kept, compacted, on real disks and on failing ones.

mod failing_disk;
mod failures;
mod files;
mod order;
mod power_cut;
mod reference;
mod replacing;
mod writer;
