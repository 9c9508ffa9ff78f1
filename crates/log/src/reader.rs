//! Reading a log file, record by record, and telling a torn end from damage (see `tail.rs` for the rule).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file_system::read_full_at;
use crate::record::{LEAD, MAX_HEADER, excerpt, parse_header, sha1};
use crate::tail::{Behind, search};
use crate::{Access, FileSystem, LogError, LogFile, Magic, Torn};

/// One record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where its header line begins in the file, in bytes.
    pub offset: u64,
    /// Its JSON text, without the newline at its end. The hash was right; that it is JSON is not checked.
    pub json: &'a [u8],
}

/// Where a file's records end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The kind of file.
    pub magic: Magic,
    /// The end of the last intact record, in bytes.
    pub offset: u64,
    /// How many intact records there are.
    pub records: u64,
    /// The end of the second record (or of the only one), in bytes: the size from which the file's
    /// growth is counted (see [`CompactionSchedule`](crate::CompactionSchedule)).
    pub base: u64,
    /// The file's length when it was opened, in bytes; larger than `offset` if the end is torn.
    pub file_len: u64,
    /// What has to be dropped, which [`Appender::open`](crate::Appender::open) does. Worth a log line.
    pub torn: Option<Torn>,
}

/// Reads a file from its beginning. Changes nothing on disk, needs no lock.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: Arc<dyn LogFile>,
    end: End,
    window: Vec<u8>,
    /// The file offset of the window's first byte.
    window_at: u64,
    /// Where the records ended before the last one.
    before: (u64, u64),
}

const CHUNK: u64 = 1 << 18;

impl Reader {
    /// Opens a file and checks that it begins as one of the expected kind (`None`: either).
    pub fn open(
        fs: &dyn FileSystem,
        path: &Path,
        expected: Option<Magic>,
    ) -> Result<Reader, LogError> {
        let failed = |error| LogError::io(path, "cannot open the database", error);
        let file = fs.open(path, Access::Read).map_err(failed)?;
        let file_len = file.len().map_err(failed)?;
        if file_len == 0 {
            return Err(LogError::Empty {
                file: path.to_path_buf(),
            });
        }
        let end = End {
            magic: Magic::Json,
            offset: 0,
            records: 0,
            base: 0,
            file_len,
            torn: None,
        };
        let mut reader = Reader {
            path: path.to_path_buf(),
            file,
            end,
            window: Vec::new(),
            window_at: 0,
            before: (0, 0),
        };
        reader.end.magic = reader.identify()?;
        match expected {
            Some(expected) if expected != reader.end.magic => Err(LogError::OtherKind {
                file: reader.path,
                expected,
                found: reader.end.magic,
            }),
            _ => Ok(reader),
        }
    }

    /// The kind of file.
    pub fn magic(&self) -> Magic {
        self.end.magic
    }

    /// The next record; `None` at the end, torn or not. A [`LogError::Damaged`] stays where it is: asking
    /// again gives the same error.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, LogError> {
        let at = self.end.offset;
        if self.end.torn.is_some() || at == self.end.file_len {
            return Ok(None);
        }
        match self.frame_at(at)? {
            Ok((header, data)) => {
                self.before = (at, self.end.base);
                self.end.offset = at + (header + data) as u64;
                self.end.records += 1;
                if self.end.records <= 2 {
                    self.end.base = self.end.offset;
                }
                let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
                let json = &self.window[start + header..start + header + data];
                Ok(Some(Record {
                    offset: at,
                    json: json.strip_suffix(b"\n").unwrap_or(json),
                }))
            }
            Err(reason) => self.classify(at, reason).map(|()| None),
        }
    }

    /// The record that was read last is one, but makes no sense: it and all behind it is not taken for
    /// records, as if its write had never completed. Without a record before it, nothing is changed.
    pub fn drop_last(&mut self, reason: String) {
        let (offset, base) = self.before;
        if self.end.records > 1 && self.end.torn.is_none() {
            self.end.records -= 1;
            self.end.offset = offset;
            self.end.base = base;
            self.end.torn = Some(Torn {
                offset,
                length: self.end.file_len - offset,
                reason,
            });
        }
    }

    /// Reads what has not been read yet and tells where the records end.
    pub fn finish(mut self) -> Result<End, LogError> {
        while self.next_record()?.is_some() {}
        Ok(self.end)
    }

    fn identify(&mut self) -> Result<Magic, LogError> {
        self.fill(0, MAX_HEADER as u64)?;
        let start = &self.window[..self.window.len().min(MAX_HEADER)];
        if !start.starts_with(LEAD) && !LEAD.starts_with(start) {
            let reason = format!("it begins with {}", excerpt(start));
            return Err(LogError::NotOvsdb {
                file: self.path.clone(),
                reason,
            });
        }
        let line = start.split(|&b| b == b'\n').next().unwrap_or(start);
        parse_header(line)
            .map(|header| header.magic)
            .map_err(|reason| LogError::damaged(&self.path, 0, reason))
    }

    /// The lengths of the header line and of the data at `at`, both in the window; or what is wrong.
    fn frame_at(&mut self, at: u64) -> Result<Result<(usize, usize), String>, LogError> {
        self.fill(at, MAX_HEADER as u64)?;
        let seen = &self.window[usize::try_from(at - self.window_at).unwrap_or(usize::MAX)..];
        let seen = &seen[..seen.len().min(MAX_HEADER)];
        if seen.iter().all(|&b| b == 0) {
            return Ok(Err("zeros instead of a record".to_owned()));
        }
        let Some(newline) = memchr::memchr(b'\n', seen) else {
            return Ok(Err(format!("the header line {} has no end", excerpt(seen))));
        };
        let header = match parse_header(&seen[..newline]) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        if header.magic != self.end.magic {
            return Ok(Err(format!(
                "a {} record in a {} file",
                header.magic.word(),
                self.end.magic.word()
            )));
        }
        let header_len = newline + 1;
        // Compared with the file before anything is allocated: the length can be any number.
        let left = self.end.file_len - at - header_len as u64;
        if header.length > left {
            return Ok(Err(format!(
                "the record says that it has {} bytes, the file has {left} more",
                header.length
            )));
        }
        self.fill(at, header_len as u64 + header.length)?;
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX) + header_len;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let data = &self.window[start..start + length];
        if sha1(data) != header.hash {
            return Ok(Err(format!(
                "the {length} bytes of the record do not have the SHA-1 in its header"
            )));
        }
        Ok(Ok((header_len, length)))
    }

    /// Has at least `need` bytes from `at` on in the window, or all that the file has.
    fn fill(&mut self, at: u64, need: u64) -> Result<(), LogError> {
        let until = (at + need).min(self.end.file_len);
        if self.window_at + self.window.len() as u64 >= until {
            return Ok(());
        }
        let used = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        self.window.drain(..used);
        self.window_at = at;
        let until = until.max(at + CHUNK).min(self.end.file_len);
        let old = self.window.len();
        self.window
            .resize(usize::try_from(until - at).unwrap_or(usize::MAX), 0);
        let from = at + old as u64;
        let got = read_full_at(&*self.file, &mut self.window[old..], from)
            .map_err(|e| LogError::io(&self.path, format!("cannot read at offset {from}"), e))?;
        if old + got < self.window.len() {
            let found = from + got as u64;
            self.window.truncate(old + got);
            return Err(LogError::Changed {
                file: self.path.clone(),
                expected: self.end.file_len,
                found,
            });
        }
        Ok(())
    }

    fn classify(&mut self, at: u64, reason: String) -> Result<(), LogError> {
        if at == 0 {
            return Err(LogError::damaged(&self.path, 0, reason));
        }
        // From `at` itself: an intact record of the other kind is damage too.
        let behind = search(&*self.file, at, self.end.file_len)
            .map_err(|e| LogError::io(&self.path, format!("cannot read behind offset {at}"), e))?;
        match behind {
            Behind::Nothing => {
                self.end.torn = Some(Torn {
                    offset: at,
                    length: self.end.file_len - at,
                    reason,
                });
                Ok(())
            }
            Behind::Intact(other) => {
                let reason = format!("{reason}; an intact record follows at offset {other}");
                Err(LogError::damaged(&self.path, at, reason))
            }
            Behind::Unclear => {
                let reason = format!("{reason}; what follows cannot be told from records");
                Err(LogError::damaged(&self.path, at, reason))
            }
        }
    }
}
