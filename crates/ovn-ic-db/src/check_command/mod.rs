//! `ovn-ic-db check`: any OVSDB files, offline.

mod words;

use std::path::Path;
use std::process::ExitCode;

use ovsdb_log::Torn;

use crate::command_line::CheckFlags;
use crate::inspection::{Problem, inspect};
use crate::lock_file;
use crate::process;
use crate::progress::Progress;

/// The exit status for a file with a fault.
const FAULT: u8 = 1;
/// The exit status for one that cannot be read.
const UNREADABLE: u8 = 2;

/// The whole command, from its flags to its exit status: 0 if all files are good, 1 if one has a
/// fault, 2 if one cannot be read.
pub fn main(flags: &CheckFlags) -> ExitCode {
    let worst = flags.files.iter().map(|file| check(file)).max();
    ExitCode::from(worst.unwrap_or(0))
}

fn check(path: &Path) -> u8 {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let progress = Progress::bytes(path.display().to_string(), size);
    let inspected = inspect(path, &|bytes| progress.reached(bytes));
    progress.end();
    let name = path.display();
    match inspected {
        Ok(inspected) => {
            let summary = words::summary(&inspected);
            match &inspected.torn {
                None => {
                    process::print(&format!("{name}: good: {summary}\n"));
                    0
                }
                Some(torn) => say_torn(path, torn, &summary),
            }
        }
        Err(Problem::Fault(fault)) => {
            process::print(&format!("{name}: fault: {fault}\n"));
            FAULT
        }
        Err(Problem::Unreadable(error)) => {
            process::fail(&error.to_string(), ExitCode::SUCCESS);
            UNREADABLE
        }
    }
}

/// Only a server that has the file may be in the middle of writing it.
fn say_torn(path: &Path, torn: &Torn, summary: &str) -> u8 {
    let name = path.display();
    match lock_file::holder(path) {
        Ok(Some(holder)) => {
            let writing = words::may_be_writing(&holder);
            process::print(&format!(
                "{name}: good: {summary}\n{name}: warning: {torn}\n{writing}"
            ));
            0
        }
        unused => {
            let meaning = words::TORN;
            process::print(&format!(
                "{name}: fault: {torn}\n  before that: {summary}\n{meaning}"
            ));
            if let Err(error) = unused {
                process::print(&format!(
                    "  whether a server is just writing it cannot be told: {error}\n"
                ));
            }
            FAULT
        }
    }
}
