//! Framing: a peer's bytes, cut into messages without rescanning.

use bytes::{Bytes, BytesMut};
use ovsdb::json::{Document, Scanner};

use super::budget::{Budget, Held, Share};
use super::identity::Refusal;

/// Longer messages are cut out of the buffer, shorter ones copied: log entries that are kept
/// should not keep a large buffer alive.
const COPY: usize = 16 << 10;
/// How much is read at once.
const CHUNK: usize = 64 << 10;
/// What each connection may hold of an unfinished message without asking the budget.
const FREE: usize = 1 << 20;

/// Bytes received and not yet handled.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: BytesMut,
    scanner: Scanner,
    /// What of a budget the unfinished message takes.
    share: Option<Share>,
}

/// How much a message may take, and of what.
pub(super) struct Room<'a> {
    /// The longest text, in bytes.
    pub(super) longest: usize,
    /// What its text and the index of its values count in.
    pub(super) budget: &'a Budget,
}

/// A message that is all there.
pub(super) struct Framed {
    pub(super) text: Bytes,
    pub(super) document: Document<Bytes>,
    pub(super) held: Held,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Inbox {
            bytes: BytesMut::new(),
            scanner: Scanner::new(),
            share: None,
        }
    }

    /// Where to read to.
    pub(super) fn space(&mut self) -> &mut BytesMut {
        self.bytes.reserve(CHUNK);
        &mut self.bytes
    }

    /// True if a message has begun.
    pub(super) fn has_part(&self) -> bool {
        !self.scanner.is_empty()
    }

    /// The next message, if all of it is there.
    pub(super) fn next(&mut self, room: &Room<'_>) -> Result<Option<Framed>, Box<Refusal>> {
        let end = self
            .scanner
            .scan(&self.bytes)
            .map_err(|error| Refusal::NotJson(error.to_string()))?;
        let length = end.unwrap_or(self.bytes.len());
        if length > room.longest {
            return Err(Refusal::TooLong(room.longest).into());
        }
        let memory = length + self.scanner.memory();
        let no_room = || Box::new(Refusal::NoRoom(room.budget.most()));
        if !self.reserve(memory.saturating_sub(FREE), room.budget) {
            return Err(no_room());
        }
        if end.is_none() {
            return Ok(None);
        }
        let mut held = Held::default();
        let share = self.share.take();
        if length >= COPY {
            let mut share = share.unwrap_or_else(|| room.budget.share());
            // The index goes, but what is made of the message takes as much.
            if !share.set(memory) {
                return Err(no_room());
            }
            held = Held::new(share);
        }
        let text = self.cut(length);
        let document = Document::from_scanned(&mut self.scanner, text.clone());
        Ok(document.map(|document| Framed {
            text,
            document,
            held,
        }))
    }

    fn cut(&mut self, length: usize) -> Bytes {
        if length < COPY {
            let text = Bytes::copy_from_slice(&self.bytes[..length]);
            bytes::Buf::advance(&mut self.bytes, length);
            return text;
        }
        let rest = BytesMut::from(&self.bytes[length..]);
        let mut text = std::mem::replace(&mut self.bytes, rest);
        text.truncate(length);
        text.freeze()
    }

    /// Takes so much of the budget for the unfinished message; false if it does not have it.
    fn reserve(&mut self, wanted: usize, budget: &Budget) -> bool {
        if wanted == 0 {
            self.share = None;
            return true;
        }
        let share = self.share.take().filter(|share| share.is_of(budget));
        let share = self.share.insert(share.unwrap_or_else(|| budget.share()));
        share.set(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(inbox: &mut Inbox, bytes: &[u8]) {
        inbox.space().extend_from_slice(bytes);
    }

    fn next(
        inbox: &mut Inbox,
        longest: usize,
        budget: &Budget,
    ) -> Result<Option<Framed>, Box<Refusal>> {
        inbox.next(&Room { longest, budget })
    }

    #[test]
    fn messages_are_cut_at_any_byte() {
        let long = format!("[\"{}\"]", "x".repeat(COPY));
        let stream = format!("{{\"a\":1}}\n[2]{long} {{}}");
        let budget = Budget::new(1 << 20);
        for step in [1, 3, 7, 1000, stream.len()] {
            let mut inbox = Inbox::new();
            let mut texts = Vec::new();
            for bytes in stream.as_bytes().chunks(step) {
                push(&mut inbox, bytes);
                while let Some(framed) = next(&mut inbox, 1 << 20, &budget).expect("JSON") {
                    let text = framed.text.trim_ascii();
                    texts.push(String::from_utf8_lossy(text).into_owned());
                }
            }
            assert_eq!(texts, ["{\"a\":1}", "[2]", &long, "{}"], "{step}");
            assert!(!inbox.has_part());
        }
    }

    #[test]
    fn what_is_too_long_or_no_json_is_refused() {
        let budget = Budget::new(0);
        let refused = |bytes: &[u8]| {
            let mut inbox = Inbox::new();
            push(&mut inbox, bytes);
            next(&mut inbox, 99, &budget).err().map(|refusal| *refusal)
        };
        assert_eq!(refused(&[b' '; 100]), Some(Refusal::TooLong(99)));
        let page = refused(b"GET / HTTP/1.1\r\n\r\n");
        assert!(matches!(page, Some(Refusal::NotJson(_))));
    }

    #[test]
    fn connections_share_a_budget() {
        let budget = Budget::new(FREE + 100);
        let mut part = vec![b' '; FREE + 60];
        part[0] = b'[';
        let mut one = Inbox::new();
        push(&mut one, &part);
        assert!(next(&mut one, usize::MAX, &budget).is_ok());
        let mut two = Inbox::new();
        push(&mut two, &[&part[..], &part[1..]].concat());
        let refused = next(&mut two, usize::MAX, &budget);
        assert_eq!(refused.err().map(|r| *r), Some(Refusal::NoRoom(FREE + 100)));
        drop(two);
        push(&mut one, b"]");
        let framed = next(&mut one, usize::MAX, &budget).expect("room");
        // Until it is handled.
        assert!(budget.used() > FREE);
        drop(framed);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_index_of_many_values_counts() {
        let budget = Budget::new(FREE);
        let mut inbox = Inbox::new();
        push(&mut inbox, b"[");
        let refused = (0..FREE / 1000).find(|_| {
            push(&mut inbox, &b"1,".repeat(500));
            next(&mut inbox, usize::MAX, &budget).is_err()
        });
        assert!(refused.is_some_and(|thousands| thousands < FREE / 5000));
    }
}
