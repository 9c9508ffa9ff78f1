//! What is not whole at a file's end.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A torn end: the last write never completed, so it was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Torn {
            offset,
            length,
            reason,
        } = self;
        write!(f, "the last {length} bytes, from offset {offset}: {reason}")
    }
}

impl Torn {
    /// Puts a copy of it beside the file, as `FILE.torn-OFFSET`, and says in words that it is dropped, and where
    /// the copy is: it may be all that is left of a record that was damaged later. Blocks.
    pub fn save(&self, file: &Path) -> String {
        let mut copy = file.as_os_str().to_owned();
        copy.push(format!(".torn-{}", self.offset));
        let copy = Path::new(&copy);
        let where_to = match self.copy(file, copy) {
            Ok(()) => format!("a copy is in {}", copy.display()),
            Err(error) => format!("a copy cannot be put in {}: {error}", copy.display()),
        };
        format!("{}: dropped {self}; {where_to}", file.display())
    }

    fn copy(&self, file: &Path, to: &Path) -> io::Result<()> {
        let mut from = File::open(file)?;
        from.seek(SeekFrom::Start(self.offset))?;
        let mut copy = File::create(to)?;
        io::copy(&mut from.take(self.length), &mut copy)?;
        copy.sync_all()
    }
}
