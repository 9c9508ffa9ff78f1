//! What a session has to send: small messages in a buffer of its own, large ones shared.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::stream::Stream;

/// Texts from this size on are shared, or kept as they are, instead of copied.
const COPY_BELOW: usize = 16 << 10;
/// What a buffer may keep when it is empty.
const KEEP: usize = 4 << 10;
/// Buffers in one write.
const MAX_SLICES: usize = 16;

/// Bytes on their way to a client, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Bytes>,
    /// What comes behind the segments.
    tail: Vec<u8>,
    /// How much of the first segment, or of the tail if there is none, has been sent.
    sent: usize,
    len: usize,
    /// All that is appended, while somebody listens.
    heard: Option<Vec<u8>>,
}

impl Outbox {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes by copying them.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.hear(bytes);
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends what `write` does.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.len += self.tail.len() - before;
        if let Some(heard) = &mut self.heard {
            heard.extend_from_slice(&self.tail[before..]);
        }
    }

    /// Appends bytes that others have, too.
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            self.copy(bytes);
        } else {
            self.segment(bytes.clone());
        }
    }

    /// Appends a buffer that nobody else needs.
    pub(crate) fn give(&mut self, bytes: Vec<u8>) {
        if bytes.len() < COPY_BELOW {
            self.copy(&bytes);
        } else {
            self.segment(bytes.into());
        }
    }

    /// What was appended since somebody began to listen, or asked last. From now on it is kept for
    /// the next time, or not.
    pub(crate) fn listen(&mut self, on: bool) -> Vec<u8> {
        match on {
            true => self.heard.replace(Vec::new()).unwrap_or_default(),
            false => self.heard.take().unwrap_or_default(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        if let Some(heard) = &mut self.heard {
            heard.extend_from_slice(bytes);
        }
    }

    fn segment(&mut self, bytes: Bytes) {
        self.hear(&bytes);
        if !self.tail.is_empty() {
            self.segments
                .push_back(std::mem::take(&mut self.tail).into());
        }
        self.len += bytes.len();
        self.segments.push_back(bytes);
    }

    /// Sends what the socket takes; true if that was anything.
    pub(crate) fn send(&mut self, stream: &Stream) -> io::Result<bool> {
        let mut progress = false;
        while self.len > 0 {
            let result = if self.segments.is_empty() {
                stream.try_write(&self.tail[self.sent..])
            } else {
                stream.try_write_vectored(&self.slices())
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.advance(count);
                    progress = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut skip = self.sent;
        self.segments
            .iter()
            .map(|segment| &segment[..])
            .chain([&self.tail[..]])
            .take(MAX_SLICES)
            .map(|bytes| IoSlice::new(&bytes[std::mem::take(&mut skip)..]))
            .collect()
    }

    fn advance(&mut self, count: usize) {
        self.len -= count;
        self.sent += count;
        while let Some(first) = self.segments.front() {
            if self.sent < first.len() {
                return;
            }
            self.sent -= first.len();
            self.segments.pop_front();
        }
        if self.sent == self.tail.len() {
            self.sent = 0;
            self.tail.clear();
            self.tail.shrink_to(KEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn everything_arrives_in_order() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        let ours = Stream::Unix(ours);
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for (i, size) in [
            1,
            100,
            COPY_BELOW,
            3,
            3 * COPY_BELOW,
            COPY_BELOW - 1,
            900_000,
            7,
        ]
        .into_iter()
        .enumerate()
        {
            let bytes = vec![b'a' + i as u8; size];
            expected.extend_from_slice(&bytes);
            match i % 3 {
                0 => outbox.copy(&bytes),
                1 => outbox.share(&bytes.into()),
                _ => outbox.give(bytes),
            }
        }
        assert_eq!(outbox.len(), expected.len());
        let reader = tokio::spawn(async move {
            let mut received = vec![0; expected.len()];
            theirs.read_exact(&mut received).await.expect("read");
            (received, expected)
        });
        while !outbox.is_empty() {
            outbox.send(&ours).expect("send");
            tokio::task::yield_now().await;
        }
        let (received, expected) = reader.await.expect("reader");
        assert!(received == expected);
        assert!(outbox.tail.capacity() <= KEEP && outbox.segments.is_empty());
    }
}
