//! One connection: bytes in and out, the probe, and the talk over it.

use std::io;
use std::time::Instant;

use ovsdb::message::Message;
use tokio::io::Interest;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::settings::Settings;
use super::talk::{Leave, Outgoing, Talk};
use crate::input::Input;
use crate::message_log;
use crate::probe::{Action, Probe};
use crate::stream::Stream;

/// Bytes that are read at once.
const READ_SIZE: usize = 64 << 10;
/// Longer messages are worked on where that does not hold up other tasks.
const LARGE: usize = 64 << 10;
/// The most bytes that the other side may leave unread of what it has caused.
const MAX_UNREAD: usize = 64 << 20;
/// Above this many bytes that wait to be sent nothing is added.
pub(super) const HIGH_WATER: usize = 256 << 10;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// This side leaves.
    Left(Leave),
    /// The other side has closed it.
    Closed,
    /// It has failed.
    Failed(io::Error),
    /// Nobody answered the probe.
    Silent,
    /// What came is no message.
    Wrong(String),
    /// This side stops.
    Stopped,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => End::Closed,
            _ => End::Failed(error),
        }
    }
}

impl From<Leave> for End {
    fn from(leave: Leave) -> End {
        End::Left(leave)
    }
}

pub(super) struct Link<'a, T> {
    /// The other side, in the log.
    name: &'a str,
    span: Span,
    pub(super) stream: Stream,
    pub(super) talk: &'a mut T,
    out: Outgoing,
    /// So much was said only because of what the other side has said, since all was sent.
    replied: usize,
    input: Input,
    pub(super) probe: Probe,
    buffer: Vec<u8>,
    max_message: usize,
    begun: Instant,
    heard: Instant,
}

impl<'a, T: Talk> Link<'a, T> {
    pub(super) fn new(
        name: &'a str,
        stream: Stream,
        talk: &'a mut T,
        settings: &Settings,
    ) -> Link<'a, T> {
        let now = Instant::now();
        let interval = match settings.probe {
            Some(interval) if !stream.is_unix() => interval,
            _ => std::time::Duration::ZERO,
        };
        Link {
            name,
            span: Span::current(),
            stream,
            talk,
            out: Outgoing::default(),
            replied: 0,
            input: Input::default(),
            probe: Probe::new(interval, now),
            buffer: vec![0; READ_SIZE],
            max_message: settings.max_message,
            begun: now,
            heard: now,
        }
    }

    /// How long the other side was heard of.
    pub(super) fn alive(&self) -> std::time::Duration {
        self.heard.duration_since(self.begun)
    }

    /// Talks until the connection is over, or `changed` says that settings have changed.
    pub(super) async fn run(
        &mut self,
        wake: &Notify,
        stop: &CancellationToken,
        mut changed: impl FnMut(&mut Probe) -> bool,
    ) -> End {
        self.out.listen(message_log::is_on());
        self.talk.begin(&mut self.out);
        let end = loop {
            if let Err(end) = self.step() {
                break end;
            }
            let deadline = self.probe.next_deadline();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let interest = match (self.talk.listens(), self.out.is_empty()) {
                (true, true) => Interest::READABLE,
                (true, false) => Interest::READABLE | Interest::WRITABLE,
                (false, false) => Interest::WRITABLE,
                (false, true) => Interest::ERROR,
            };
            let read = tokio::select! {
                ready = self.stream.ready(interest) => match ready {
                    Ok(ready) => ready.is_readable() || ready.is_read_closed(),
                    Err(error) => break error.into(),
                },
                () = wake.notified() => false,
                () = timer => match self.on_deadline() {
                    Ok(()) => false,
                    Err(end) => break end,
                },
                () = stop.cancelled() => break End::Stopped,
            };
            if !changed(&mut self.probe) {
                break End::Left(Leave::AtOnce(
                    "it is not among the remotes any more".to_owned(),
                ));
            }
            if read
                && self.talk.listens()
                && let Err(end) = self.read()
            {
                break end;
            }
        };
        self.talk.end();
        end
    }

    /// Does all that can be done without waiting.
    fn step(&mut self) -> Result<(), End> {
        self.take_messages()?;
        if self.out.len() < HIGH_WATER {
            self.talk.look(&mut self.out)?;
        }
        message_log::sent(&self.span, self.name, &mut self.out);
        if self.out.send(&self.stream)? {
            self.probe.drained(Instant::now());
        }
        if self.out.is_empty() {
            self.replied = 0;
        }
        self.input.tidy();
        Ok(())
    }

    fn read(&mut self) -> Result<(), End> {
        match self.stream.try_read(&mut self.buffer) {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.heard = Instant::now();
                self.probe.received(self.heard);
                self.input.push(&self.buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn take_messages(&mut self) -> Result<(), End> {
        while self.talk.listens() {
            let next = match self.input.next() {
                Ok(next) => next,
                Err(error) => return Err(End::Wrong(format!("error parsing stream: {error}"))),
            };
            let Some((document, length)) = next else {
                if self.input.memory() > self.max_message {
                    return Err(End::Wrong("its message is too large".to_owned()));
                }
                return Ok(());
            };
            message_log::received(&self.span, self.name, document.root());
            let message = match Message::parse(document.root()) {
                Ok(message) => message,
                Err(why) => {
                    return Err(End::Wrong(format!("received bad JSON-RPC message: {why}")));
                }
            };
            let waiting = self.out.len();
            match &message {
                Message::Request { method, params, id } if *method == "echo" => {
                    self.out.copy(b"{\"id\":");
                    self.out.copy(id.source());
                    self.out.copy(b",\"result\":");
                    self.out.copy(params.source());
                    self.out.copy(b",\"error\":null}");
                }
                Message::Reply { id, .. } if id.is_string("echo") => {}
                message if length >= LARGE => {
                    tokio::task::block_in_place(|| self.talk.hear(message, &mut self.out))?;
                }
                message => self.talk.hear(message, &mut self.out)?,
            }
            // Who asks, or has this side ask, again and again and does not read that is of no use. What
            // clients have passed on does not count.
            self.replied += self.out.len() - waiting;
            if self.replied.min(self.out.len()) > MAX_UNREAD {
                return Err(End::Wrong("it does not read answers".to_owned()));
            }
            drop(document);
            self.input.consume(length);
        }
        Ok(())
    }

    fn on_deadline(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if !self.talk.listens() {
            // It is this side that does not read.
            self.probe.received(now);
            return Ok(());
        }
        // What waits in the socket counts.
        self.read()?;
        match self.probe.on_deadline(now) {
            Action::Nothing => Ok(()),
            Action::SendEcho => {
                self.out
                    .copy(b"{\"id\":\"echo\",\"method\":\"echo\",\"params\":[]}");
                Ok(())
            }
            Action::Disconnect => Err(End::Silent),
        }
    }
}
