//! A message's bytes: pieces that may be shared with other messages, so that what goes to every
//! peer (a snapshot, a batch of entries) is in memory once.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Shorter pieces are copied: that is cheaper than to write them one by one.
const SHARE: usize = 4 << 10;

/// The bytes of one or several messages. A copy shares them.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Frame {
    /// How many bytes they are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// All bytes in one piece, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

/// A frame being made.
#[derive(Debug, Default)]
pub struct FrameWriter {
    frame: Frame,
    /// What belongs behind the last piece.
    tail: Vec<u8>,
}

impl FrameWriter {
    /// The place for bytes that are made on the spot.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends bytes that others have too.
    pub fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE {
            self.tail.extend_from_slice(bytes);
        } else {
            self.close_tail();
            self.push(bytes.clone());
        }
    }

    /// Appends another frame, sharing its pieces.
    pub fn share_frame(&mut self, frame: &Frame) {
        for piece in &frame.pieces {
            self.share(piece);
        }
    }

    /// The finished frame.
    pub fn finish(mut self) -> Frame {
        self.close_tail();
        self.frame
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.push(Bytes::from(tail));
        }
    }

    fn push(&mut self, piece: Bytes) {
        self.frame.length += piece.len();
        self.frame.pieces.push(piece);
    }
}

/// Bytes on their way into a socket.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: VecDeque<Bytes>,
    length: usize,
}

impl Outgoing {
    /// Appends a frame.
    pub fn push(&mut self, frame: Frame) {
        self.length += frame.length;
        self.pieces.extend(frame.pieces);
    }
}

impl From<Outgoing> for Frame {
    fn from(rest: Outgoing) -> Frame {
        Frame {
            pieces: rest.pieces.into(),
            length: rest.length,
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.iter().zip(slices.iter_mut());
        pieces
            .map(|(piece, slice)| *slice = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let mut count = count.min(self.length);
        self.length -= count;
        while let Some(front) = self.pieces.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_shared_and_small_ones_copied() {
        let large = Bytes::from(vec![b'x'; SHARE]);
        let mut writer = FrameWriter::default();
        writer.bytes().push(b'[');
        writer.share(&Bytes::from_static(b"small,"));
        writer.share(&large);
        writer.bytes().push(b']');
        let frame = writer.finish();
        assert_eq!(frame.len(), SHARE + 8);
        assert_eq!(frame.pieces().len(), 3);
        assert_eq!(frame.pieces()[0].as_ref(), b"[small,");
        assert_eq!(frame.pieces()[1].as_ptr(), large.as_ptr());
        assert_eq!(frame.to_vec().len(), frame.len());
    }

    #[test]
    fn bytes_leave_in_order_however_they_are_cut() {
        let mut writer = FrameWriter::default();
        let large: Vec<u8> = (0..SHARE * 2).map(|i| i as u8).collect();
        writer.bytes().extend_from_slice(b"head");
        writer.share(&Bytes::from(large));
        writer.bytes().extend_from_slice(b"tail");
        let frame = writer.finish();
        let mut outgoing = Outgoing::default();
        outgoing.push(frame.clone());
        outgoing.push(frame.clone());
        assert_eq!(outgoing.remaining(), 2 * frame.len());
        let mut written = Vec::new();
        while outgoing.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 2];
            let count = outgoing.chunks_vectored(&mut slices);
            let all: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
            let now = all.len().min(1 + written.len() % 1500);
            written.extend_from_slice(&all[..now]);
            outgoing.advance(now);
        }
        assert_eq!(written, [frame.to_vec(), frame.to_vec()].concat());
    }
}
