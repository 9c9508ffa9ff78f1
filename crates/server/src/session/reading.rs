//! What a client sends: bytes, messages, requests.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ovsdb::json::Json;
use ovsdb::message::Message;

use super::ending::Ending;
use super::{Handled, Request, Session};
use crate::counters::SessionEnd;
use crate::input::Input;
use crate::message_log;

/// The most memory that a message may take while it comes in, in bytes: its text and an index of
/// its values, which is larger than the text where those are short.
const MAX_MESSAGE: usize = 256 << 20;
/// From this many bytes on an unfinished message counts as large.
const LARGE_MESSAGE: usize = 64 << 10;
/// The most bytes of large unfinished messages in all sessions of a service.
const MAX_LARGE_INPUT: usize = 1 << 30;
/// Bytes that are read at once.
const READ_SIZE: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

impl Session {
    pub(super) fn read(&mut self) -> Result<(), Ending> {
        let stream = &self.stream;
        let input = &mut self.input;
        let count = SCRATCH.with_borrow_mut(|scratch| {
            let count = stream.try_read(scratch)?;
            input.push(&scratch[..count]);
            Ok(count)
        });
        match count {
            Ok(0) => {
                self.end_of_input = true;
                Ok(())
            }
            Ok(_) => {
                self.probe.received(Instant::now());
                self.count_input(self.input.memory())
                    .then_some(())
                    .ok_or_else(|| {
                        let why = "too much unfinished input";
                        Ending::Because(SessionEnd::TooLarge, why.to_owned())
                    })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err::<_, io::Error>(error) => Err(error.into()),
        }
    }

    /// Keeps the account of large unfinished messages; false if there is no room for this one.
    pub(super) fn count_input(&mut self, length: usize) -> bool {
        let counted = if length > LARGE_MESSAGE { length } else { 0 };
        if counted == self.counted {
            return true;
        }
        let all = &self.service.large_input;
        all.fetch_add(counted, Ordering::Relaxed);
        let before = all.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = counted;
        length <= MAX_MESSAGE && before <= MAX_LARGE_INPUT.saturating_add(self.counted)
    }

    /// Handles the messages that are there; returns how many there were.
    pub(super) async fn handle_input(&mut self) -> Result<usize, Ending> {
        if !self.goes_on() {
            return Ok(0);
        }
        self.stalled = false;
        let mut input = std::mem::take(&mut self.input);
        let result = self.handle_messages(&mut input).await;
        self.input = input;
        if result.is_ok() {
            self.count_input(self.input.memory());
        }
        result
    }

    async fn handle_messages(&mut self, input: &mut Input) -> Result<usize, Ending> {
        let mut handled = 0;
        while self.wants_input() {
            let (available, new) = (input.unhandled(), input.is_new());
            let next = match input.next() {
                Ok(next) => next,
                Err(error) => {
                    self.fail(format!("error parsing stream: {error}"));
                    break;
                }
            };
            let Some((document, length)) = next else {
                break;
            };
            let last = length == available;
            if new {
                message_log::received(&self.service.span, &self.peer, document.root());
            }
            let outcome = self.handle(document.root(), length, last).await?;
            drop(document);
            if outcome == Handled::Later {
                input.put_back();
                self.stalled = true;
                break;
            }
            input.consume(length);
            handled += 1;
        }
        Ok(handled)
    }

    async fn handle(
        &mut self,
        message: Json<'_>,
        length: usize,
        last: bool,
    ) -> Result<Handled, Ending> {
        if !self.has_spoken {
            self.greet();
        }
        match Message::parse(message) {
            Ok(Message::Request { method, params, id }) => {
                let request = Request {
                    method: &method,
                    params,
                    id,
                    length,
                    last,
                };
                self.request(request).await
            }
            Ok(Message::Notification { method, params }) => {
                if method == "cancel" {
                    return self.cancel(params);
                }
                Ok(Handled::Yes)
            }
            Ok(Message::Reply { id, error, .. }) => {
                if error.is_none() && id.is_string("echo") {
                    return Ok(Handled::Yes);
                }
                let kind = if error.is_some() { "error" } else { "reply" };
                self.fail(format!("received unexpected {kind} message"));
                Ok(Handled::Yes)
            }
            Err(why) => {
                self.fail(format!("received bad JSON-RPC message: {why}"));
                Ok(Handled::Yes)
            }
        }
    }

    /// The client does not speak the protocol: its session ends with the answers that it has coming.
    pub(super) fn fail(&mut self, why: String) {
        self.failure = Some(why);
        self.ending = true;
    }
}
