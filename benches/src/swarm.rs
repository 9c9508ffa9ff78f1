//! Many connections on one thread and one epoll.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token};

use crate::connection::{Connection, Event};
use crate::contender::Endpoint;
use crate::reply::{self, Expect};

/// Bytes read from a connection at once.
const SCRATCH: usize = 256 << 10;

/// Nothing at all from the server for so long: the run is broken.
const SILENCE: Duration = Duration::from_secs(180);

/// The connections to one server.
pub struct Swarm {
    poll: Poll,
    events: Events,
    endpoint: Endpoint,
    connections: Vec<Connection>,
    scratch: Vec<u8>,
    /// Connections that may have more to read although epoll will not say so again.
    unfinished: Vec<usize>,
    heard: Instant,
}

impl Swarm {
    /// No connection yet.
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            endpoint,
            connections: Vec::new(),
            scratch: vec![0; SCRATCH],
            unfinished: Vec::new(),
            heard: Instant::now(),
        })
    }

    /// Opens one more connection and returns its number. Its server has answered an `echo`, so that a crowd of them
    /// does not overrun the queue of a listening socket.
    pub fn add(&mut self) -> Result<usize> {
        let mut connection = Connection::open(&self.endpoint)?;
        let number = self.connections.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut connection, Token(number), interest)?;
        self.connections.push(connection);
        self.call(
            number,
            br#"{"method":"echo","params":[],"id":0}"#,
            Expect::Anything,
        )?;
        Ok(number)
    }

    /// Opens `count` more connections.
    pub fn add_many(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.add().map(drop))
    }

    /// Puts a new connection in the place of one that was closed.
    pub fn reconnect(&mut self, number: usize) -> Result<()> {
        let mut connection = Connection::open(&self.endpoint)?;
        let _ = self
            .poll
            .registry()
            .deregister(&mut self.connections[number]);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut connection, Token(number), interest)?;
        self.connections[number] = connection;
        Ok(())
    }

    /// Connection `number`.
    pub fn connection(&mut self, number: usize) -> &mut Connection {
        &mut self.connections[number]
    }

    /// Sends a request on connection `number`, answer to follow.
    pub fn send(&mut self, number: usize, request: &[u8]) -> Result<()> {
        let connection = &mut self.connections[number];
        connection.outgoing().extend_from_slice(request);
        connection.flush()
    }

    /// Sends a request and waits for the answer, which must be a success; every other message meanwhile is an error.
    /// Returns the answer.
    pub fn call(&mut self, number: usize, request: &[u8], expect: Expect) -> Result<Vec<u8>> {
        self.send(number, request)?;
        let mut answer = None;
        while answer.is_none() {
            self.turn(None, |from, event, _| match event {
                Event::Message(message) if from == number => {
                    reply::check(message, expect)?;
                    answer = Some(message.to_vec());
                    Ok(())
                }
                Event::Message(message) => {
                    bail!("connection {from} got {}", reply::excerpt(message))
                }
                Event::Skipped => Ok(()),
                Event::Closed => bail!("the server closed connection {from}"),
            })?;
        }
        answer.context("no answer")
    }

    /// Waits until something arrives, or until `timeout` is over, and hands on all that has. What `handle` writes to
    /// the buffer it is given is sent on the same connection.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut handle: impl FnMut(usize, Event<'_>, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let wait = if self.unfinished.is_empty() {
            timeout.or(Some(SILENCE))
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other.context("cannot poll")?,
        }
        let mut ready = std::mem::take(&mut self.unfinished);
        let known = ready.len();
        for event in &self.events {
            let number = event.token().0;
            if event.is_writable() {
                self.connections[number].flush()?;
            }
            if event.is_readable() && !ready[..known].contains(&number) {
                ready.push(number);
            }
        }
        if !ready.is_empty() {
            self.heard = Instant::now();
        } else if self.heard.elapsed() >= SILENCE {
            bail!("nothing from the server for {SILENCE:?}");
        }
        for number in ready.drain(..) {
            let connection = &mut self.connections[number];
            let more =
                connection.read(&mut self.scratch, |event, out| handle(number, event, out))?;
            connection.flush()?;
            if more {
                self.unfinished.push(number);
            }
        }
        Ok(())
    }
}
