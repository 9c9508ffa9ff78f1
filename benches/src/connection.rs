//! One client's stream: what is still to be sent, and the message that has arrived in part.

use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::contender::Endpoint;
use crate::frame::Framer;
use crate::reply::excerpt;

/// What came from the server.
pub enum Event<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// A message that was counted and not kept ([`Connection::skip`]).
    Skipped,
    /// The server closed the connection.
    Closed,
}

/// A client's connection, not blocking, for one thread.
pub struct Connection {
    stream: Stream,
    framer: Framer,
    /// The beginning of a message whose end is still to come.
    partial: Vec<u8>,
    skip: Option<Skip>,
    /// Bytes that wait to be sent, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    closed: bool,
}

/// A message of known length that is thrown away as it arrives.
struct Skip {
    length: usize,
    arrived: usize,
}

impl Connection {
    /// Connects and makes the stream non-blocking.
    pub fn open(endpoint: &Endpoint) -> Result<Self> {
        let stream =
            Stream::open(endpoint).with_context(|| format!("cannot connect to {endpoint:?}"))?;
        Ok(Self {
            stream,
            framer: Framer::default(),
            partial: Vec::new(),
            skip: None,
            outgoing: Vec::new(),
            sent: 0,
            closed: false,
        })
    }

    /// Where requests are written before [`Connection::flush`].
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Takes the next message, known to be `length` bytes long, as [`Event::Skipped`].
    pub fn skip(&mut self, length: usize) {
        self.skip = Some(Skip { length, arrived: 0 });
    }

    /// Sends as much as the socket takes.
    pub fn flush(&mut self) -> Result<()> {
        while self.sent < self.outgoing.len() {
            match self.stream.as_io().write(&self.outgoing[self.sent..]) {
                Ok(0) => bail!("the server takes no more bytes"),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_gone(&error) => break,
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once into `scratch` and hands on all that is complete. True: there may be more to read.
    ///
    /// An answer to the server's own `echo` is put among the outgoing bytes; the caller does not see the request.
    pub fn read(
        &mut self,
        scratch: &mut [u8],
        mut handle: impl FnMut(Event<'_>, &mut Vec<u8>) -> Result<()>,
    ) -> Result<bool> {
        if self.closed {
            return Ok(false);
        }
        let length = match self.stream.as_io().read(scratch) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) if is_gone(&error) => 0,
            Err(error) => return Err(error).context("cannot read"),
        };
        if length == 0 {
            self.closed = true;
            handle(Event::Closed, &mut self.outgoing)?;
            return Ok(false);
        }
        let mut piece = &scratch[..length];
        while !piece.is_empty() {
            if self.skip.is_some() && self.partial.is_empty() {
                piece = self.count(piece, &mut handle)?;
                continue;
            }
            let Some(end) = self.framer.scan(piece) else {
                self.partial.extend_from_slice(piece);
                break;
            };
            if self.partial.is_empty() {
                deliver(&piece[..end], &mut self.outgoing, &mut handle)?;
            } else {
                self.partial.extend_from_slice(&piece[..end]);
                deliver(&self.partial, &mut self.outgoing, &mut handle)?;
                self.partial.clear();
            }
            piece = &piece[end..];
        }
        // A short read has emptied the socket, and new bytes raise a new event: no need to ask for EAGAIN.
        Ok(length == scratch.len())
    }

    /// Counts bytes of the message being skipped; returns what follows it.
    fn count<'a>(
        &mut self,
        piece: &'a [u8],
        handle: &mut impl FnMut(Event<'_>, &mut Vec<u8>) -> Result<()>,
    ) -> Result<&'a [u8]> {
        let Some(skip) = &mut self.skip else {
            return Ok(piece);
        };
        if skip.arrived == 0
            && (piece[0] != b'{' || memmem::find(head(piece), b"\"error\":{").is_some())
        {
            bail!(
                "expected the answer of {} bytes, got {}",
                skip.length,
                excerpt(piece)
            );
        }
        let taken = piece.len().min(skip.length - skip.arrived);
        skip.arrived += taken;
        if skip.arrived == skip.length {
            let after = piece.get(taken).copied();
            if piece[taken - 1] != b'}' || after.is_some_and(|byte| byte != b'{') {
                bail!("the answer is not {} bytes long", skip.length);
            }
            self.skip = None;
            handle(Event::Skipped, &mut self.outgoing)?;
        }
        Ok(&piece[taken..])
    }
}

impl Source for Connection {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.stream.as_source().register(registry, token, interests)
    }
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.stream
            .as_source()
            .reregister(registry, token, interests)
    }
    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.as_source().deregister(registry)
    }
}

/// Hands a message on, or answers it if it is the server's `echo`.
fn deliver(
    message: &[u8],
    outgoing: &mut Vec<u8>,
    handle: &mut impl FnMut(Event<'_>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    // The server's probes are short; nothing else that is has the word with quotes around it.
    if message.len() < 100 && memmem::find(message, b"\"echo\"").is_some() {
        let probe: serde_json::Value = serde_json::from_slice(message)?;
        if probe["method"] == "echo" {
            let answer =
                serde_json::json!({"id": probe["id"], "result": probe["params"], "error": null});
            outgoing.extend_from_slice(answer.to_string().as_bytes());
            return Ok(());
        }
    }
    handle(Event::Message(message), outgoing)
}

fn head(piece: &[u8]) -> &[u8] {
    &piece[..piece.len().min(64)]
}

/// The peer has closed the connection, whatever the call that found out.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

/// What both kinds of stream can do.
trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

impl Stream {
    fn open(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream =
                    std::net::TcpStream::connect_timeout(address, Duration::from_secs(30))?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Tcp(mio::net::TcpStream::from_std(stream)))
            }
            Endpoint::Unix(path) => {
                let stream = std::os::unix::net::UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(mio::net::UnixStream::from_std(stream)))
            }
        }
    }

    fn as_io(&mut self) -> &mut dyn ReadWrite {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }

    fn as_source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }
}
