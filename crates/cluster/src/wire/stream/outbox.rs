//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::settings::Settings;
use crate::wire::Body;
use crate::wire::frame::{Frame, Outgoing};

/// How much goes to the socket at once.
const BATCH: usize = 256 << 10;

/// What may happen to a message where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Dropped first: the next one says the same.
    Heartbeat,
    /// At most one waits, the newest; its bytes are shared, so they do not count.
    Snapshot,
    /// Refused.
    Other,
}

impl Kind {
    pub(super) fn of(body: &Body) -> Kind {
        match body {
            Body::InstallSnapshotRequest(_) => Kind::Snapshot,
            body if body.is_heartbeat() => Kind::Heartbeat,
            _ => Kind::Other,
        }
    }
}

/// How much may wait for each connection; an operator can change it at any time.
#[derive(Debug)]
pub(super) struct Bounds {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Bounds {
    pub(super) fn new(settings: &Settings) -> Self {
        Bounds {
            messages: AtomicUsize::new(settings.max_queued_messages),
            bytes: AtomicUsize::new(settings.max_queued_bytes),
        }
    }

    pub(super) fn set(&self, messages: usize, bytes: usize) {
        self.messages.store(messages, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

/// A bounded queue that never makes the sender wait.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    bounds: Arc<Bounds>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Kind, Frame)>,
    /// Without snapshots.
    bytes: usize,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(bounds: Arc<Bounds>) -> Self {
        Outbox {
            queue: Mutex::default(),
            filled: Notify::new(),
            bounds,
        }
    }

    /// Queues a message; false if there is no room for it.
    pub(super) fn push(&self, kind: Kind, frame: Frame) -> bool {
        let mut queue = self.queue.lock();
        if queue.closed || !queue.make_room(kind, frame.len(), &self.bounds) {
            return false;
        }
        queue.bytes += counted(kind, &frame);
        queue.frames.push_back((kind, frame));
        drop(queue);
        self.filled.notify_one();
        true
    }

    /// Waits for messages and takes a batch of them; none once it is closed and empty.
    pub(super) async fn take(&self, batch: &mut Outgoing) -> bool {
        loop {
            if let Some(any) = self.try_take(batch) {
                return any;
            }
            self.filled.notified().await;
        }
    }

    fn try_take(&self, batch: &mut Outgoing) -> Option<bool> {
        let mut queue = self.queue.lock();
        let mut taken = 0;
        while taken < BATCH
            && let Some((kind, frame)) = queue.frames.pop_front()
        {
            queue.bytes -= counted(kind, &frame);
            taken += frame.len();
            batch.push(frame);
        }
        match taken {
            0 if queue.closed => Some(false),
            0 => None,
            _ => Some(true),
        }
    }

    /// Takes nothing more; what waits is still written.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.filled.notify_one();
    }

    /// Messages and bytes that wait.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let queue = self.queue.lock();
        (queue.frames.len(), queue.bytes)
    }
}

fn counted(kind: Kind, frame: &Frame) -> usize {
    match kind {
        Kind::Snapshot => 0,
        _ => frame.len(),
    }
}

impl Queue {
    fn make_room(&mut self, kind: Kind, length: usize, bounds: &Bounds) -> bool {
        if kind == Kind::Snapshot {
            self.frames.retain(|(kind, _)| *kind != Kind::Snapshot);
            return true;
        }
        if self.has_room(length, bounds) {
            return true;
        }
        let mut freed = 0;
        self.frames.retain(|(kind, frame)| {
            let keep = *kind != Kind::Heartbeat;
            freed += if keep { 0 } else { frame.len() };
            keep
        });
        self.bytes -= freed;
        self.has_room(length, bounds)
    }

    /// A message that is larger than the bound may go alone.
    fn has_room(&self, length: usize, bounds: &Bounds) -> bool {
        let most = bounds.bytes.load(Ordering::Relaxed);
        self.frames.len() < bounds.messages.load(Ordering::Relaxed)
            && (self.bytes == 0 || self.bytes + length <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::FrameWriter;
    use bytes::Buf;

    fn frame(text: &str) -> Frame {
        let mut writer = FrameWriter::default();
        writer.bytes().extend_from_slice(text.as_bytes());
        writer.finish()
    }

    fn outbox(max_queued_messages: usize, max_queued_bytes: usize) -> Outbox {
        Outbox::new(Arc::new(Bounds::new(&Settings {
            max_queued_messages,
            max_queued_bytes,
            ..Settings::default()
        })))
    }

    fn drain(outbox: &Outbox) -> String {
        let mut batch = Outgoing::default();
        while outbox.try_take(&mut batch) == Some(true) {}
        let bytes = batch.copy_to_bytes(batch.remaining());
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[test]
    fn heartbeats_give_way_and_the_rest_is_refused() {
        let outbox = outbox(100, 6);
        assert!(outbox.push(Kind::Heartbeat, frame("hh")));
        assert!(outbox.push(Kind::Other, frame("aa")));
        assert!(outbox.push(Kind::Heartbeat, frame("hh")));
        assert!(outbox.push(Kind::Other, frame("bbb")));
        assert!(!outbox.push(Kind::Other, frame("cc")));
        assert!(!outbox.push(Kind::Heartbeat, frame("hh")));
        assert_eq!(outbox.waiting(), (2, 5));
        assert_eq!(drain(&outbox), "aabbb");
        assert!(outbox.push(Kind::Other, frame("larger than the bound")));
        assert!(!outbox.push(Kind::Other, frame("d")));
    }

    #[test]
    fn messages_are_counted_too() {
        let outbox = outbox(2, 1000);
        assert!(outbox.push(Kind::Other, frame("a")));
        assert!(outbox.push(Kind::Other, frame("b")));
        assert!(!outbox.push(Kind::Other, frame("c")));
        assert_eq!(drain(&outbox), "ab");
    }

    #[test]
    fn bounds_change_while_something_waits() {
        let outbox = outbox(100, 100);
        assert!(outbox.push(Kind::Other, frame("aaaa")));
        outbox.bounds.set(100, 5);
        assert!(!outbox.push(Kind::Other, frame("bb")));
        outbox.bounds.set(1, 100);
        assert!(!outbox.push(Kind::Other, frame("bb")));
        outbox.bounds.set(2, 6);
        assert!(outbox.push(Kind::Other, frame("bb")));
        assert_eq!(drain(&outbox), "aaaabb");
    }

    #[test]
    fn only_the_newest_snapshot_waits() {
        let outbox = outbox(100, 4);
        assert!(outbox.push(Kind::Snapshot, frame("first snapshot")));
        assert!(outbox.push(Kind::Other, frame("aa")));
        assert!(outbox.push(Kind::Snapshot, frame("second")));
        assert_eq!(outbox.waiting(), (2, 2));
        assert_eq!(drain(&outbox), "aasecond");
    }

    #[test]
    fn what_waits_is_written_after_the_close() {
        let outbox = outbox(100, 100);
        assert!(outbox.push(Kind::Other, frame("last")));
        outbox.close();
        assert!(!outbox.push(Kind::Other, frame("too late")));
        assert_eq!(drain(&outbox), "last");
        assert_eq!(outbox.try_take(&mut Outgoing::default()), Some(false));
    }
}
