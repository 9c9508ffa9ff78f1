//! One client's session: its requests, its answers, its monitors, in one task.

mod ending;
mod envelope;
mod greeting;
mod methods;
mod monitors;
mod reading;
mod report;
mod transactions;
mod under_way;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ovsdb::json::Json;
use ovsdb_engine::Role;
use tokio::io::Interest;

use crate::counters::{ErrorKind, SessionEnd};
use crate::input::Input;
use crate::locks::SessionId;
use crate::mailbox::{CONVERSION, DISCONNECT, Event, Mailbox, OPTIONS, SHUTDOWN};
use crate::message_log;
use crate::origin::Origin;
use crate::outbox::Outbox;
use crate::probe::{Action, Probe};
use crate::report::OnRoll;
use crate::service::Service;
use crate::stream::{Connection, Stream};
use ending::Ending;
use monitors::Monitors;
pub(crate) use transactions::{LARGE_REQUEST, MANY_ROWS};
use under_way::Transactions;

/// Above this many bytes that wait to be sent, nothing more is read, and monitors wait.
const HIGH_WATER: usize = 256 << 10;
/// Notifications that a client may leave unread before it is cut off, in bytes with all the rest.
const MAX_OUTBOX_FOR_LOCKS: usize = 64 << 20;
/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    /// It is answered, or will be.
    Yes,
    /// It must wait until the transactions before it are answered.
    Later,
}

/// A request, of a text of `length` bytes.
#[derive(Clone, Copy)]
struct Request<'a> {
    method: &'a str,
    params: Json<'a>,
    id: Json<'a>,
    length: usize,
    /// Nothing has been read behind it.
    last: bool,
}

struct Session {
    service: Arc<Service>,
    origin: Arc<Origin>,
    id: SessionId,
    mailbox: Arc<Mailbox>,
    stream: Stream,
    peer: String,
    input: Input,
    /// How much of the input is counted in the service's `large_input`.
    counted: usize,
    /// The next request waits for the transactions before it.
    stalled: bool,
    outbox: Outbox,
    /// The socket did not take everything when it was last tried.
    backlog: bool,
    /// How much of the outbox is counted in the service's backlog.
    counted_backlog: u64,
    /// What others may know of this session.
    on_roll: OnRoll,
    probe: Probe,
    transactions: Transactions,
    monitors: Monitors,
    /// The client wants to be told of databases that come, go and change.
    change_aware: bool,
    /// It has asked for `_Server` before.
    knows_server: bool,
    /// Nothing more is read; the session ends when the outbox is empty.
    ending: bool,
    /// It is to come back and look anew, and hears of no more changes.
    sent_away: bool,
    /// The client says nothing more; what it has said is still answered.
    end_of_input: bool,
    /// What was wrong with the client's last message; what came before is still answered.
    failure: Option<String>,
    /// The client has said something.
    has_spoken: bool,
    /// The log has a line on its coming.
    told: bool,
    owns_lock: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// What the client may write depends on this; without it, it may write everything.
    role: Option<Arc<Role>>,
}

/// Serves a client until it is gone.
pub(crate) async fn run(
    service: Arc<Service>,
    connection: Connection,
    id: SessionId,
    mailbox: Arc<Mailbox>,
    origin: Arc<Origin>,
) {
    let Connection { stream, peer } = connection;
    let interval = origin.options().probe_interval.unwrap_or_default();
    let role = origin.options().role.as_deref().and_then(|role| {
        let client = stream.peer_name();
        Role::new(role, client.as_deref()).map(Arc::new)
    });
    let owner = service.clone();
    let mut session = Session {
        id,
        origin,
        mailbox,
        on_roll: service.roll.enter(id, &peer),
        stream,
        peer,
        input: Input::default(),
        counted: 0,
        stalled: false,
        outbox: Outbox::default(),
        backlog: false,
        counted_backlog: 0,
        probe: Probe::new(interval, Instant::now()),
        transactions: Transactions::default(),
        monitors: Monitors::default(),
        change_aware: false,
        knows_server: false,
        ending: false,
        sent_away: false,
        end_of_input: false,
        failure: None,
        has_spoken: false,
        told: false,
        owns_lock: Arc::new(move |name| owner.locks.lock().owns(id, name)),
        role,
        service,
    };
    // Given up before the connection closes: who sees that finds the locks free.
    let _place = Place {
        service: session.service.clone(),
        id,
    };
    session.outbox.listen(message_log::is_on());
    let ending = session.serve().await;
    session.service.counters.session_ends.count(ending.kind());
    match ending {
        Ending::Because(_, why) => session.complain(&why),
        Ending::Closed(_) => session.bid_farewell(),
    }
    session.count_input(0);
    session.count_backlog(0);
    session.transactions.forget(&session.service, session.id);
}

/// A session's place in its service, given up whatever happens.
struct Place {
    service: Arc<Service>,
    id: SessionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.service.leave(self.id);
    }
}

impl Session {
    async fn serve(&mut self) -> Ending {
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let mut readable = false;
        let mut events = Vec::new();
        loop {
            let step = self.step(readable, &mut events).await;
            if let Err(ending) = step {
                return ending;
            }
            // Transactions that wait keep nobody.
            let over = self.ending || self.end_of_input;
            if over && self.outbox.is_empty() && self.transactions.all_answered() {
                return match self.failure.take() {
                    Some(failure) => Ending::Because(SessionEnd::ProtocolError, failure),
                    None if self.end_of_input => Ending::Closed(SessionEnd::Client),
                    None => Ending::Closed(SessionEnd::Server),
                };
            }
            // The timer may be early, which costs a look, but never late.
            let deadline = self.next_deadline().map(tokio::time::Instant::from_std);
            if let Some(deadline) = deadline
                && (timer.is_elapsed() || timer.deadline() > deadline)
            {
                timer.as_mut().reset(deadline);
            }
            readable = false;
            let interest = self.interest();
            tokio::select! {
                ready = self.stream.ready(interest.unwrap_or(Interest::ERROR)), if interest.is_some() => {
                    match ready {
                        Ok(ready) => readable = ready.is_readable() || ready.is_read_closed(),
                        Err(error) => return error.into(),
                    }
                }
                () = self.mailbox.woken() => {}
                () = &mut timer, if deadline.is_some() => {
                    if let Err(ending) = self.on_deadline() {
                        return ending;
                    }
                }
            }
        }
    }

    /// Does everything that can be done without waiting.
    async fn step(&mut self, readable: bool, events: &mut Vec<Event>) -> Result<(), Ending> {
        if readable && self.wants_input() && !self.end_of_input {
            self.read()?;
        }
        loop {
            self.take_news(events)?;
            let held_up = !self.goes_on();
            let handled = self.handle_input().await?;
            self.take_news(events)?;
            self.send()?;
            self.send_answers()?;
            // What held requests up may be over by now.
            if !self.goes_on() || handled == 0 && !held_up {
                break;
            }
        }
        if self.mailbox.has_updates() && self.outbox.len() < HIGH_WATER {
            self.flush_monitors()?;
        }
        self.send()?;
        self.input.tidy();
        Ok(())
    }

    fn send(&mut self) -> Result<(), Ending> {
        message_log::sent(&self.service.span, &self.peer, &mut self.outbox);
        let progress = self.outbox.send(&self.stream)?;
        // What the socket takes at once says nothing of the client; what it did not take before does.
        if progress && self.backlog {
            self.probe.drained(Instant::now());
        }
        self.backlog = !self.outbox.is_empty();
        self.on_roll.set_backlog(self.outbox.len());
        self.on_roll.set_transactions(self.transactions.count());
        self.count_backlog(self.outbox.len());
        Ok(())
    }

    fn count_backlog(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = std::mem::replace(&mut self.counted_backlog, bytes);
        self.service.counters.backlog.change(before, bytes);
    }

    fn wants_input(&self) -> bool {
        !self.ending && self.outbox.len() < HIGH_WATER && self.transactions.take_more()
    }

    /// The next request can be handled.
    fn goes_on(&self) -> bool {
        self.wants_input() && (!self.stalled || self.transactions.all_answered())
    }

    fn interest(&self) -> Option<Interest> {
        let read = self.goes_on() && !self.end_of_input;
        let write = !self.outbox.is_empty();
        match (read, write) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    fn take_news(&mut self, events: &mut Vec<Event>) -> Result<(), Ending> {
        loop {
            self.mailbox.take(events);
            if events.is_empty() {
                break;
            }
            for event in events.drain(..) {
                self.take_event(event)?;
            }
        }
        let flags = self.mailbox.flags();
        if flags & CONVERSION != 0 {
            self.after_conversion()?;
        }
        if flags & OPTIONS != 0 {
            let interval = self.origin.options().probe_interval;
            self.probe.set_interval(interval.unwrap_or_default());
        }
        if flags & SHUTDOWN != 0 {
            self.ending = true;
        }
        if flags & DISCONNECT != 0 {
            return Err(Ending::Closed(SessionEnd::Server));
        }
        Ok(())
    }

    fn take_event(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Done {
                number,
                results,
                executed,
            } => self.transaction_done(number, results, executed),
            Event::Refused { number, error } => self.transaction_refused(number, error),
            Event::Blocked { number, timeout } => self.transaction_blocked(number, timeout),
            Event::Canceled { number } => self.transaction_canceled(number),
            Event::Converted { number, result } => self.conversion_done(number, result),
            Event::Lock { method, name } => {
                if self.outbox.len() > MAX_OUTBOX_FOR_LOCKS {
                    let why = "too many notifications are unread";
                    return Err(Ending::Because(SessionEnd::TooSlow, why.to_owned()));
                }
                let mut param = Vec::new();
                ovsdb::json::write::string(&mut param, &name);
                self.flush_monitors()?;
                envelope::notification(&mut self.outbox, method, &param);
                Ok(())
            }
        }
    }

    /// The client may only read, at the moment.
    fn is_read_only(&self) -> bool {
        self.origin.options().read_only
    }

    /// A request is answered an error.
    fn count_error(&self, kind: ErrorKind) {
        self.service.counters.errors.count(kind);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let probe = self.probe.next_deadline();
        let waits = self.transactions.next_deadline();
        [probe, waits].into_iter().flatten().min()
    }

    fn on_deadline(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        self.transactions.retry_expired(now, self.id);
        let due = self.probe.next_deadline().is_some_and(|at| now >= at);
        if due && self.wants_input() && !self.end_of_input {
            // What waits in the socket counts, however busy this task was.
            self.read()?;
        } else if self.outbox.is_empty() && !self.wants_input() {
            // It is the server that does not read.
            self.probe.received(now);
        }
        match self.probe.on_deadline(now) {
            Action::Nothing => {}
            Action::SendEcho => {
                self.outbox
                    .copy(b"{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}");
            }
            Action::Disconnect => {
                let why = "no response to inactivity probe";
                return Err(Ending::Because(SessionEnd::ProbeTimeout, why.to_owned()));
            }
        }
        Ok(())
    }
}
