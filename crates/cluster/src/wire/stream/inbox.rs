//! Framing: a peer's bytes, cut into messages without rescanning.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use ovsdb::json::{Document, Scanner};

use super::identity::Refusal;

/// Longer messages are cut out of the buffer, shorter ones copied: log entries that are kept
/// should not keep a large buffer alive.
const COPY: usize = 16 << 10;
/// How much is read at once.
const CHUNK: usize = 64 << 10;
/// What each connection may hold without asking the budget.
const FREE: usize = 1 << 20;

/// What all connections together may hold of unfinished messages, and how much of it is used.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Budget {
            used: Arc::default(),
            most,
        }
    }
}

/// Bytes received and not yet handled.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: BytesMut,
    scanner: Scanner,
    budget: Budget,
    /// What of the budget is ours.
    share: usize,
}

impl Inbox {
    pub(super) fn new(budget: Budget) -> Self {
        Inbox {
            bytes: BytesMut::new(),
            scanner: Scanner::new(),
            budget,
            share: 0,
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
    pub(super) fn next(
        &mut self,
        max: usize,
    ) -> Result<Option<(Bytes, Document<Bytes>)>, Box<Refusal>> {
        let end = self
            .scanner
            .scan(&self.bytes)
            .map_err(|error| Refusal::NotJson(error.to_string()))?;
        let length = end.unwrap_or(self.bytes.len());
        if length > max || !self.reserve(length) {
            return Err(Refusal::TooLong(max).into());
        }
        if end.is_none() {
            return Ok(None);
        }
        let text = self.cut(length);
        self.reserve(0);
        let document = Document::from_scanned(&mut self.scanner, text.clone());
        Ok(document.map(|document| (text, document)))
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

    /// Takes from the budget, or gives back to it, for a message of this length.
    fn reserve(&mut self, length: usize) -> bool {
        let wanted = length.saturating_sub(FREE);
        if wanted > self.share {
            let more = wanted - self.share;
            let used = self.budget.used.fetch_add(more, Ordering::Relaxed);
            self.share = wanted;
            return used + more <= self.budget.most;
        }
        let less = self.share - wanted;
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.share = wanted;
        true
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.reserve(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(inbox: &mut Inbox, bytes: &[u8]) {
        inbox.space().extend_from_slice(bytes);
    }

    #[test]
    fn messages_are_cut_at_any_byte() {
        let long = format!("[\"{}\"]", "x".repeat(COPY));
        let stream = format!("{{\"a\":1}}\n[2]{long} {{}}");
        for step in [1, 3, 7, 1000, stream.len()] {
            let mut inbox = Inbox::new(Budget::new(0));
            let mut texts = Vec::new();
            for bytes in stream.as_bytes().chunks(step) {
                push(&mut inbox, bytes);
                while let Some((text, _)) = inbox.next(1 << 20).expect("JSON") {
                    texts.push(String::from_utf8_lossy(text.trim_ascii()).into_owned());
                }
            }
            assert_eq!(texts, ["{\"a\":1}", "[2]", &long, "{}"], "{step}");
            assert!(!inbox.has_part());
        }
    }

    #[test]
    fn what_is_too_long_or_no_json_is_refused() {
        let mut inbox = Inbox::new(Budget::new(0));
        push(&mut inbox, &[b' '; 100]);
        assert_eq!(inbox.next(99).err().map(|r| *r), Some(Refusal::TooLong(99)));
        let mut inbox = Inbox::new(Budget::new(0));
        push(&mut inbox, b"GET / HTTP/1.1\r\n\r\n");
        assert!(matches!(
            inbox.next(99).err().map(|r| *r),
            Some(Refusal::NotJson(_))
        ));
    }

    #[test]
    fn connections_share_a_budget() {
        let budget = Budget::new(100);
        let part = vec![b' '; FREE + 60];
        let mut one = Inbox::new(budget.clone());
        push(&mut one, &part);
        assert!(one.next(usize::MAX).is_ok());
        let mut two = Inbox::new(budget.clone());
        push(&mut two, &part);
        assert!(two.next(usize::MAX).is_err());
        drop(two);
        push(&mut one, b"[]");
        assert!(one.next(usize::MAX).expect("JSON").is_some());
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
