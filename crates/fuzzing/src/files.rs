//! Files on a disk in memory. Their locks are real ones, in a folder of this process.

use std::path::PathBuf;
use std::sync::LazyLock;

use ovsdb_log::testing::{SimulatedDisk, Writeback};
use ovsdb_log::{Magic, RecordBuffer};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// A disk with a file of these bytes.
pub(crate) struct OneFile {
    pub(crate) disk: SimulatedDisk,
    pub(crate) path: PathBuf,
}

impl OneFile {
    /// Each thread has a file of its own.
    pub(crate) fn new(bytes: &[u8]) -> OneFile {
        let disk = SimulatedDisk::new(0, Writeback::InOrder);
        let name = format!("{:?}.db", std::thread::current().id());
        let path = FOLDER.path().join(name);
        disk.put(&path, bytes);
        OneFile { disk, path }
    }
}

/// The bytes of a file. With an even first byte it is what follows; else each line becomes a
/// record with the right length and hash, and the last one is not whole if bit 1 is set.
pub(crate) fn bytes(data: &[u8], magic: Magic) -> Option<Vec<u8>> {
    let (flags, rest) = data.split_first()?;
    if flags & 1 == 0 {
        return Some(rest.to_vec());
    }
    let mut records = RecordBuffer::new(magic);
    for line in rest.split(|byte| *byte == b'\n') {
        records.record(|out| out.extend_from_slice(line));
    }
    let mut bytes = records.as_bytes().to_vec();
    if flags & 2 != 0 {
        bytes.pop();
    }
    Some(bytes)
}
