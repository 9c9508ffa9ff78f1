//! A database file, read and checked from its first byte to its last, without a lock and without
//! changing anything: what `ovsdb-server` looks at when it starts, and every transaction behind it.

mod clustered;
mod standalone;

use std::fmt;
use std::path::Path;

use ovsdb::Error;
use ovsdb_cluster::file::Replayed;
use ovsdb_engine::Version;
use ovsdb_log::{Disk, LogError, Magic, Reader, Torn};

/// How often a file is read anew that a server made shorter meanwhile.
const ATTEMPTS: usize = 3;

/// What a good file holds.
#[derive(Debug)]
pub struct Inspected {
    /// How many bytes it has.
    pub size: u64,
    /// How many records.
    pub records: u64,
    /// What is not whole at its end: what a crash leaves, or a running server that is just writing.
    pub torn: Option<Torn>,
    /// The contents after the last record. A server that has yet to join a cluster has none.
    pub version: Option<Version>,
    /// What a clustered file says of its server.
    pub member: Option<Replayed>,
}

/// Why a file is not good.
#[derive(Debug)]
pub enum Problem {
    /// Something is wrong in it.
    Fault(Fault),
    /// The system does not let it be read.
    Unreadable(LogError),
}

/// The first thing that is wrong in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, if it is about a place.
    pub place: Option<Place>,
    /// What.
    pub reason: String,
}

/// A record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0 as `ovsdb-tool show-log` counts.
    pub record: u64,
    /// Where its header line begins, in bytes.
    pub offset: u64,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Fault(fault) => fault.fmt(out),
            Problem::Unreadable(error) => error.fmt(out),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Place { record, offset }) = self.place else {
            return out.write_str(&self.reason);
        };
        // What is said of a clustered log's record begins with its number.
        let known = format!("record {record} ");
        match self.reason.strip_prefix(&known) {
            Some(rest) => write!(out, "record {record}, at offset {offset}, {rest}"),
            None => write!(out, "record {record}, at offset {offset}: {}", self.reason),
        }
    }
}

impl Place {
    fn fault(self, reason: impl Into<String>) -> Problem {
        Problem::Fault(Fault {
            place: Some(self),
            reason: reason.into(),
        })
    }
}

/// Reads a file to its end. `reached` is told how many bytes are done. Blocks.
///
/// # Errors
/// The first fault in it, or why it cannot be read.
pub fn inspect(path: &Path, reached: &dyn Fn(u64)) -> Result<Inspected, Problem> {
    let mut attempt = 1;
    loop {
        match read(path, reached) {
            Err(Problem::Unreadable(LogError::Changed { .. })) if attempt < ATTEMPTS => {}
            result => return result,
        }
        attempt += 1;
    }
}

fn read(path: &Path, reached: &dyn Fn(u64)) -> Result<Inspected, Problem> {
    let reader = Reader::open(&Disk, path, None).map_err(|error| problem(error, 0))?;
    let mut records = Records {
        magic: reader.magic(),
        reader,
        next: 0,
        reached,
    };
    let (version, member) = match records.magic {
        Magic::Json => (Some(standalone::read(&mut records)?), None),
        Magic::Cluster => {
            let (version, member) = clustered::read(&mut records)?;
            (version, Some(member))
        }
    };
    let count = records.next;
    let end = records
        .reader
        .finish()
        .map_err(|error| problem(error, count))?;
    Ok(Inspected {
        size: end.file_len,
        records: end.records,
        torn: end.torn,
        version,
        member,
    })
}

/// The records of a file, one after the other.
struct Records<'a> {
    reader: Reader,
    magic: Magic,
    /// The next one's number.
    next: u64,
    reached: &'a dyn Fn(u64),
}

impl Records<'_> {
    /// The next one with its place; none at the end.
    fn next(&mut self) -> Result<Option<(Place, &[u8])>, Problem> {
        let number = self.next;
        let record = self.reader.next_record();
        let Some(record) = record.map_err(|error| problem(error, number))? else {
            return Ok(None);
        };
        self.next += 1;
        (self.reached)(record.offset);
        let place = Place {
            record: number,
            offset: record.offset,
        };
        Ok(Some((place, record.json)))
    }
}

/// What is wrong with the file itself; the rest is the system's answer.
fn problem(error: LogError, record: u64) -> Problem {
    let fault = |reason: &str| {
        Problem::Fault(Fault {
            place: None,
            reason: reason.to_owned(),
        })
    };
    match error {
        LogError::Damaged { offset, reason, .. } => Place { record, offset }.fault(reason),
        LogError::Empty { .. } => fault("the file is empty"),
        LogError::NotOvsdb { reason, .. } => fault(&format!("not an OVSDB file: {reason}")),
        error => Problem::Unreadable(error),
    }
}

/// An error without the text that it is about, which may be as long as the file.
fn words(error: &Error) -> String {
    match &error.details {
        Some(details) => format!("{details} ({})", error.tag),
        None => error.tag.to_string(),
    }
}
