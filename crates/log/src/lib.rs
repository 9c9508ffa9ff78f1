//! OVSDB's record log: the file underneath a database, standalone or clustered (ovsdb(5)).
//!
//! A log file is a series of records, each a header line (`OVSDB JSON <length> <sha1>` or
//! `OVSDB CLUSTER ...`) and a JSON text. This crate frames, reads, locks, appends, group-commits and
//! compacts such files. It knows nothing of JSON, schemas, rows, transactions or Raft: a record is an
//! opaque text to it. It has no clock but for the pause between background syncs and for what it counts, and no async
//! runtime: callbacks run on its own threads, or on one that takes a [`Turn`], and are expected to be short.
//!
//! The way through it:
//!
//! 1. [`Lock::acquire`] takes the reference's own lock, so that no other server uses the file.
//! 2. [`Reader::open`] and [`Reader::next_record`] replay the file; [`Reader::finish`] tells where it
//!    ends and whether a torn last record is to be dropped. Or [`Appender::create`] makes a new file.
//!    [`replace`] exchanges its contents before it is used.
//! 3. [`Appender::open`] cuts a torn end off and stands at the end of the valid file.
//! 4. [`Log::start`] moves the appender to a thread that commits [`Batch`]es in groups; a lone writer
//!    may commit on its own thread ([`Turn`]).
//! 5. [`Log::begin_compaction`] replaces the file beside the running log; [`CompactionSchedule`] says when.
//!
//! Everything goes through [`FileSystem`], of which [`Disk`] is the real one.

mod append;
mod commit;
mod committer;
mod compact;
mod counters;
mod create;
mod disk;
mod error;
mod file_system;
mod lock;
mod policy;
mod queue;
mod reader;
mod record;
mod symlink;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
mod torn;
mod turn;

pub use append::Appender;
pub use commit::{Log, Options, Status, SyncPolicy};
pub use compact::Compacted;
pub use counters::Counters;
pub use create::{RecordWriter, replace};
pub use disk::Disk;
pub use error::{Holder, LogError, system_words};
pub use file_system::{Access, FileSystem, LogFile, Replace};
pub use lock::Lock;
pub use policy::{CompactionSchedule, Model};
pub use queue::{Batch, Done, Refused};
pub use reader::{End, Reader, Record};
pub use record::{Header, MAX_HEADER, Magic, RecordBuffer, parse_header};
pub use symlink::resolve;
pub use torn::Torn;
pub use turn::Turn;
