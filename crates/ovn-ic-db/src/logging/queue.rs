//! A destination that may keep who writes there waiting, as a pipe does that nobody reads: its lines go
//! through a queue and a thread, so that nothing else waits. A file on a disk has its lines at once.
//!
//! The queue is bounded. Lines that have no room are counted instead, and the count is told when there is.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::sinks::lock;

/// So many lines wait at most.
const MAX_LINES: usize = 8192;
/// And so many bytes of them.
const MAX_BYTES: usize = 4 << 20;
/// As much again is for errors: the last one says why the program ends.
const FOR_ERRORS: usize = 2;
/// Who ends the program waits so long for one line to be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// And so long for all of them.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where a line goes.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Standard error, whatever that is at the moment.
    Console,
    /// An open file.
    File(Arc<File>),
}

impl Place {
    /// Whether a write may have to wait for somebody who reads.
    fn may_wait(&self) -> bool {
        let found = match self {
            Place::Console => fstat(rustix::stdio::stderr()),
            Place::File(file) => fstat(file),
        };
        let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
        !kind.is_ok_and(|kind| kind == FileType::RegularFile)
    }

    /// A full disk, or a console that is gone, costs lines; the next one is tried again.
    fn write(&self, line: &str) {
        let _ = match self {
            // Without its lock: who holds it might wait for long.
            Place::Console => write_console(line.as_bytes()),
            Place::File(file) => (&**file).write_all(line.as_bytes()),
        };
    }
}

fn write_console(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Somebody else has made it so that it does not wait.
            Err(Errno::AGAIN) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The way to a destination.
#[derive(Debug)]
pub(super) struct LineQueue {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<(Place, String)>,
    bytes: usize,
    /// The thread is there.
    has_thread: bool,
    /// It writes a line that is in the queue no more.
    writing: bool,
    written: u64,
    /// Lines that had no room.
    left_out: u64,
}

impl LineQueue {
    pub(super) fn new() -> LineQueue {
        LineQueue {
            queue: Arc::new(Queue {
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Writes a line, or leaves it to the thread. `error`: it has room where others have none.
    pub(super) fn put(&self, place: &Place, line: String, error: bool) {
        if !place.may_wait() {
            return place.write(&line);
        }
        let mut state = lock(&self.queue.state);
        let times = if error { FOR_ERRORS } else { 1 };
        let full = state.lines.len() >= times * MAX_LINES
            || state.bytes.saturating_add(line.len()) > times * MAX_BYTES;
        if full || !self.has_thread(&mut state) {
            state.left_out += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back((place.clone(), line));
        self.queue.changed.notify_all();
    }

    fn has_thread(&self, state: &mut State) -> bool {
        if !state.has_thread {
            let queue = Arc::clone(&self.queue);
            let thread = std::thread::Builder::new().name("log".to_owned());
            state.has_thread = thread.spawn(move || queue.serve()).is_ok();
        }
        state.has_thread
    }

    /// How many lines have been left out since this was asked last, as soon as there is room again.
    pub(super) fn left_out(&self) -> Option<u64> {
        let mut state = lock(&self.queue.state);
        let has_room = state.lines.len() < MAX_LINES / 2 && state.bytes < MAX_BYTES / 2;
        let left_out = (has_room && state.left_out > 0).then_some(state.left_out)?;
        state.left_out = 0;
        Some(left_out)
    }

    /// Waits until all lines are written; false if they are not, as nobody reads them.
    pub(super) fn flush(&self) -> bool {
        let begin = Instant::now();
        let mut state = lock(&self.queue.state);
        while state.writing || !state.lines.is_empty() {
            let before = state.written;
            let waited = self.queue.changed.wait_timeout(state, PATIENCE);
            let (now, over) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            let stuck = over.timed_out() && state.written == before;
            if stuck || begin.elapsed() > DEADLINE {
                return false;
            }
        }
        true
    }
}

impl Queue {
    /// Writes lines as long as the process lives.
    fn serve(&self) {
        loop {
            let (place, line) = self.next();
            place.write(&line);
            let mut state = lock(&self.state);
            state.writing = false;
            state.written += 1;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> (Place, String) {
        let mut state = lock(&self.state);
        loop {
            if let Some((place, line)) = state.lines.pop_front() {
                state.bytes = state.bytes.saturating_sub(line.len());
                state.writing = true;
                return (place, line);
            }
            state = wait(&self.changed, state);
        }
    }
}

fn wait<'a>(changed: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    changed.wait(state).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> io::Result<(BufReader<File>, Place)> {
        let (reader, writer) = io::pipe()?;
        let reader = File::from(OwnedFd::from(reader));
        let place = Place::File(Arc::new(OwnedFd::from(writer).into()));
        Ok((BufReader::new(reader), place))
    }

    #[test]
    fn nobody_waits_for_a_reader() -> io::Result<()> {
        let (mut reader, place) = pipe()?;
        let destination = LineQueue::new();
        let filler = "x".repeat(1000);
        for n in 0..20_000 {
            destination.put(&place, format!("{n} {filler}\n"), false);
        }
        assert_eq!(destination.left_out(), None, "there is no room yet");
        destination.put(&place, "the last words\n".to_owned(), true);
        let begin = Instant::now();
        assert!(!destination.flush());
        assert!(begin.elapsed() < DEADLINE);
        let (mut lines, mut line) = (0u64, String::new());
        let mut numbers = Vec::new();
        while line != "the last words\n" {
            line.clear();
            assert_ne!(reader.read_line(&mut line)?, 0);
            lines += 1;
            if let Some((number, rest)) = line.split_once(' ')
                && let Ok(number) = number.parse::<u32>()
            {
                assert_eq!(rest.trim_end(), filler);
                numbers.push(number);
            }
        }
        assert!(numbers.is_sorted() && numbers.len() < 20_000);
        assert!(destination.flush());
        let bytes = filler.len() + 2;
        assert!(lines > (MAX_BYTES / (bytes + 6)) as u64, "{lines}");
        assert_eq!(destination.left_out(), Some(20_001 - lines));
        assert_eq!(destination.left_out(), None);
        Ok(())
    }

    #[test]
    fn a_reader_that_has_gone_costs_lines_alone() -> io::Result<()> {
        let (reader, place) = pipe()?;
        drop(reader);
        let destination = LineQueue::new();
        for _ in 0..1000 {
            destination.put(&place, "lost\n".to_owned(), false);
        }
        assert!(destination.flush());
        Ok(())
    }

    #[test]
    fn files_have_their_lines_at_once() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let place = Place::File(Arc::new(File::create(&path)?));
        let destination = LineQueue::new();
        destination.put(&place, "one\n".to_owned(), false);
        assert_eq!(std::fs::read_to_string(&path)?, "one\n");
        assert!(!lock(&destination.queue.state).has_thread);
        Ok(())
    }
}
