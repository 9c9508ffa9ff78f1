//! Framing: the other side's bytes, cut into messages without rescanning.

use ovsdb::json::{Document, Scanner, SyntaxError};

/// What the buffer may keep when it is empty, in bytes.
const KEEP: usize = 4 << 10;

/// A message and its length in bytes.
pub(crate) type Framed<'a> = (Document<&'a [u8]>, usize);

/// Bytes received and not yet handled.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Where the next message begins.
    start: usize,
    scanner: Scanner,
    /// The next message was taken before, and put back.
    seen: bool,
}

impl Input {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes have not been handled.
    pub(crate) fn unhandled(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// How many bytes of memory the message that is coming in takes, with its index.
    pub(crate) fn memory(&self) -> usize {
        self.unhandled() + self.scanner.memory()
    }

    /// The next message, if all of it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Framed<'_>>, SyntaxError> {
        let Some(length) = self.scanner.scan(&self.bytes[self.start..])? else {
            return Ok(None);
        };
        let text = &self.bytes[self.start..self.start + length];
        let document = Document::from_scanned(&mut self.scanner, text);
        Ok(document.map(|document| (document, length)))
    }

    /// The message of this length has been handled.
    pub(crate) fn consume(&mut self, length: usize) {
        self.seen = false;
        self.start += length;
    }

    /// The message that was taken must be looked at again.
    pub(crate) fn put_back(&mut self) {
        self.scanner = Scanner::new();
        self.seen = true;
    }

    /// The next message is looked at for the first time.
    pub(crate) fn is_new(&self) -> bool {
        !self.seen
    }

    /// Gives memory back between messages.
    pub(crate) fn tidy(&mut self) {
        if self.start == 0 {
            return;
        }
        if self.start == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..self.start);
        }
        self.bytes.shrink_to(KEEP.max(self.bytes.len()));
        self.start = 0;
    }
}
