//! What waits to be written to one connection.
//!
//! Where nothing waits, the sender writes what the socket takes at once: the connection's own task would have to be
//! woken for it. Only one of them writes at a time, and not while the queue is locked.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::settings::Settings;
use crate::wire::Body;
use crate::wire::frame::{Frame, Outgoing};

/// How much goes to the socket at once.
const BATCH: usize = 256 << 10;
/// What is longer is left to the connection's own task: it takes its time.
const SHORT: usize = 16 << 10;

/// A socket that a sender may write to.
pub(super) trait WriteAtOnce: Send + Sync {
    /// Writes what fits, and takes that out; an error if nothing does.
    fn write_at_once(&self, bytes: &mut Outgoing) -> io::Result<()>;
}

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
    socket: OnceLock<Weak<dyn WriteAtOnce>>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Kind, Frame)>,
    /// Without snapshots.
    bytes: usize,
    closed: bool,
    writer: Writer,
}

/// Who writes to the socket.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Writer {
    #[default]
    Nobody,
    /// The connection's own task.
    Task,
    Sender,
}

impl Outbox {
    pub(super) fn new(bounds: Arc<Bounds>) -> Self {
        Outbox {
            queue: Mutex::default(),
            filled: Notify::new(),
            bounds,
            socket: OnceLock::new(),
        }
    }

    /// Senders may write to this from now on.
    pub(super) fn set_socket(&self, socket: Weak<dyn WriteAtOnce>) {
        // There is one for each connection.
        let _ = self.socket.set(socket);
    }

    /// Writes a message if that is possible at once, or queues it; false if there is no room for it.
    pub(super) fn send(&self, kind: Kind, frame: Frame) -> bool {
        let socket = self.socket.get().filter(|_| frame.len() <= SHORT);
        let Some(socket) = socket.and_then(Weak::upgrade) else {
            return self.push(kind, frame);
        };
        let mut queue = self.queue.lock();
        if queue.closed || queue.writer != Writer::Nobody || !queue.frames.is_empty() {
            return self.push_to(queue, kind, frame);
        }
        queue.writer = Writer::Sender;
        drop(queue);
        let mut bytes = Outgoing::default();
        bytes.push(frame);
        // The task meets the same error, and ends the connection.
        let _ = socket.write_at_once(&mut bytes);
        let rest = Frame::from(bytes);
        let mut queue = self.queue.lock();
        queue.writer = Writer::Nobody;
        if !rest.is_empty() {
            // A part of it may be on its way: it does not give way any more.
            queue.bytes += rest.len();
            queue.frames.push_front((Kind::Other, rest));
        }
        let wake = queue.closed || !queue.frames.is_empty();
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
        true
    }

    /// Queues a message; false if there is no room for it.
    pub(super) fn push(&self, kind: Kind, frame: Frame) -> bool {
        self.push_to(self.queue.lock(), kind, frame)
    }

    fn push_to(&self, mut queue: MutexGuard<'_, Queue>, kind: Kind, frame: Frame) -> bool {
        if queue.closed || !queue.make_room(kind, frame.len(), &self.bounds) {
            return false;
        }
        queue.bytes += counted(kind, &frame);
        queue.frames.push_back((kind, frame));
        drop(queue);
        self.filled.notify_one();
        true
    }

    /// Waits for messages and takes a batch of them; none once it is closed and empty. What was taken before must be
    /// written.
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
        if queue.writer == Writer::Sender {
            return None;
        }
        let mut taken = 0;
        while taken < BATCH
            && let Some((kind, frame)) = queue.frames.pop_front()
        {
            queue.bytes -= counted(kind, &frame);
            taken += frame.len();
            batch.push(frame);
        }
        queue.writer = match taken {
            0 => Writer::Nobody,
            _ => Writer::Task,
        };
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

    /// A socket that takes so many bytes, then no more until it is asked for what it has.
    #[derive(Debug)]
    struct Socket {
        room: AtomicUsize,
        taken: Mutex<Vec<u8>>,
    }

    impl Socket {
        fn taken(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.taken.lock())).expect("text")
        }
    }

    impl WriteAtOnce for Socket {
        fn write_at_once(&self, bytes: &mut Outgoing) -> io::Result<()> {
            let count = bytes.remaining().min(self.room.swap(0, Ordering::Relaxed));
            let taken = bytes.copy_to_bytes(count);
            self.taken.lock().extend_from_slice(&taken);
            match bytes.has_remaining() {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            }
        }
    }

    fn outbox_at(room: usize) -> (Outbox, Arc<Socket>) {
        let outbox = outbox(100, 100);
        let socket = Arc::new(Socket {
            room: AtomicUsize::new(room),
            taken: Mutex::default(),
        });
        outbox.set_socket(Arc::downgrade(&socket) as Weak<dyn WriteAtOnce>);
        (outbox, socket)
    }

    #[test]
    fn a_sender_writes_what_the_socket_takes() {
        let (outbox, socket) = outbox_at(3);
        assert!(outbox.send(Kind::Other, frame("abc")));
        assert_eq!((socket.taken(), outbox.waiting()), ("abc".into(), (0, 0)));
        socket.room.store(2, Ordering::Relaxed);
        assert!(outbox.send(Kind::Heartbeat, frame("defg")));
        socket.room.store(9, Ordering::Relaxed);
        // It has to go first, and does not give way.
        assert!(outbox.send(Kind::Other, frame("hi")));
        assert_eq!((socket.taken(), outbox.waiting()), ("de".into(), (2, 4)));
        outbox.bounds.set(100, 4);
        assert!(!outbox.send(Kind::Other, frame("no room")));
        assert_eq!(drain(&outbox), "fghi");
        assert!(outbox.send(Kind::Other, frame("jk")));
        assert_eq!((socket.taken(), outbox.waiting()), ("jk".into(), (0, 0)));
    }

    #[test]
    fn a_sender_leaves_what_is_long_or_comes_while_the_task_writes() {
        let (outbox, socket) = outbox_at(usize::MAX);
        outbox.bounds.set(100, 2 * SHORT);
        let long = "x".repeat(SHORT + 1);
        assert!(outbox.send(Kind::Other, frame(&long)));
        let mut batch = Outgoing::default();
        assert_eq!(outbox.try_take(&mut batch), Some(true));
        assert!(outbox.send(Kind::Other, frame("behind it")));
        assert_eq!(socket.taken(), "");
        // Now the first is written.
        assert_eq!(drain(&outbox), "behind it");
        assert!(outbox.send(Kind::Other, frame("at once")));
        assert_eq!(socket.taken(), "at once");
        drop(socket);
        assert!(outbox.send(Kind::Other, frame("later")));
        assert_eq!(drain(&outbox), "later");
    }

    /// A socket that looks at the queue while it is written to.
    #[derive(Debug)]
    struct Curious(Mutex<Option<Arc<Outbox>>>);

    impl WriteAtOnce for Curious {
        fn write_at_once(&self, bytes: &mut Outgoing) -> io::Result<()> {
            let outbox = self.0.lock().take().expect("asked once");
            assert_eq!(outbox.try_take(&mut Outgoing::default()), None);
            assert!(outbox.send(Kind::Other, frame("meanwhile")));
            assert_eq!(outbox.try_take(&mut Outgoing::default()), None);
            outbox.close();
            bytes.advance(bytes.remaining());
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_task_waits_for_a_sender_that_writes() {
        let outbox = Arc::new(outbox(100, 100));
        let socket = Arc::new(Curious(Mutex::new(Some(outbox.clone()))));
        outbox.set_socket(Arc::downgrade(&socket) as Weak<dyn WriteAtOnce>);
        assert!(outbox.send(Kind::Other, frame("first")));
        let mut batch = Outgoing::default();
        assert!(outbox.take(&mut batch).await);
        assert_eq!(batch.copy_to_bytes(batch.remaining()), "meanwhile");
        assert!(!outbox.take(&mut batch).await, "it is closed");
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
