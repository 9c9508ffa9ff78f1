//! What others have to tell a session: the ends of its jobs, locks, and that there is news.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use ovsdb::Error;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::counters::Executed;
use crate::database::Answer;

/// Something that happened to a session.
#[derive(Debug)]
pub(crate) enum Event {
    /// A transaction is done, with these results.
    Done {
        number: u64,
        results: Vec<u8>,
        executed: Executed,
    },
    /// Another server has refused a transaction, with this error.
    Refused { number: u64, error: Vec<u8> },
    /// A transaction waits, for so many milliseconds after the request came.
    Blocked { number: u64, timeout: Option<u64> },
    /// A transaction was not executed, as the schema has changed.
    Canceled { number: u64 },
    /// A conversion is over.
    Converted {
        number: u64,
        result: Result<(), Error>,
    },
    /// A lock has come to the session or was taken from it: a notification of this method.
    Lock { method: &'static str, name: String },
}

/// The session is to end, at once.
pub(crate) const DISCONNECT: u8 = 1;
/// The session is to end when what it has to say is said.
pub(crate) const SHUTDOWN: u8 = 2;
/// A database has got another schema.
pub(crate) const CONVERSION: u8 = 4;
/// Its remote has other options.
pub(crate) const OPTIONS: u8 = 8;

/// A session's mailbox. Anybody may put things in, and wakes the session by it.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    events: Mutex<Vec<Event>>,
    flags: AtomicU8,
    /// The outcome of one of its transactions is not known to anybody here.
    over: AtomicBool,
    /// The client has gone.
    gone: AtomicBool,
    /// Monitors may have updates that the session has not looked for.
    updates: AtomicBool,
    wake: Notify,
}

impl Mailbox {
    pub(crate) fn push(&self, event: Event) {
        let mut events = self.events.lock();
        events.push(event);
        // Whoever put the first one in has woken the session.
        let first = events.len() == 1;
        drop(events);
        if first {
            self.wake.notify_one();
        }
    }

    pub(crate) fn raise(&self, flag: u8) {
        if self.flags.fetch_or(flag, Ordering::AcqRel) & flag == 0 {
            self.wake.notify_one();
        }
    }

    /// Says that monitors have updates.
    pub(crate) fn tell_updates(&self) {
        if !self.updates.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// True if the session knows of updates that it has yet to look for. It will then find all that
    /// was committed before this question.
    pub(crate) fn knows_of_updates(&self) -> bool {
        // A write, so that the session, which writes next, has seen what was before it.
        self.updates.fetch_or(false, Ordering::AcqRel)
    }

    /// True if there may be updates.
    pub(crate) fn has_updates(&self) -> bool {
        self.updates.load(Ordering::Acquire)
    }

    /// The session looks for updates now.
    pub(crate) fn look_for_updates(&self) {
        if self.has_updates() {
            self.updates.swap(false, Ordering::AcqRel);
        }
    }

    /// The client has gone: nobody takes anything any more.
    pub(crate) fn close(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Takes all events; the order of one job's is kept. `into` must be empty.
    pub(crate) fn take(&self, into: &mut Vec<Event>) {
        std::mem::swap(&mut *self.events.lock(), into);
    }

    /// Takes the flags.
    pub(crate) fn flags(&self) -> u8 {
        match self.flags.load(Ordering::Acquire) {
            0 => 0,
            _ => self.flags.swap(0, Ordering::AcqRel),
        }
    }

    /// Waits until something was put in since the last wait.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.wake.notified()
    }
}

/// Tells a session's mailbox how one of its jobs ends.
pub(crate) struct JobAnswer {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) number: u64,
}

impl JobAnswer {
    fn tell_done(&self, results: Vec<u8>, executed: Executed) {
        self.mailbox.push(Event::Done {
            number: self.number,
            results,
            executed,
        });
    }
}

impl Answer for JobAnswer {
    fn done(&self, results: Vec<u8>) {
        self.tell_done(results, Executed::Here);
    }

    fn done_by_leader(&self, results: Vec<u8>) {
        self.tell_done(results, Executed::ByLeader);
    }

    fn refused(&self, error: Vec<u8>) {
        self.mailbox.push(Event::Refused {
            number: self.number,
            error,
        });
    }

    fn blocked(&self, timeout: Option<u64>) {
        self.mailbox.push(Event::Blocked {
            number: self.number,
            timeout,
        });
    }

    fn canceled(&self) {
        self.mailbox.push(Event::Canceled {
            number: self.number,
        });
    }

    fn unknown(&self) {
        self.mailbox.over.store(true, Ordering::Release);
        self.mailbox.raise(DISCONNECT);
    }

    fn is_over(&self) -> bool {
        self.mailbox.over.load(Ordering::Acquire)
    }

    fn is_gone(&self) -> bool {
        self.mailbox.gone.load(Ordering::Acquire)
    }
}
