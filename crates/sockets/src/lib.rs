//! Unix sockets by their names in the file system, and the files that stand for a process.

pub mod own_files;
pub mod unix;
