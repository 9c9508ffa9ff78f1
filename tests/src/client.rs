//! A raw JSON-RPC client: any bytes out, whole messages in, never longer than
//! a deadline. It adds nothing to what it sends, so it can say wrong things.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long the blocking calls wait when nothing else is said.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    received: Vec<u8>,
    scanner: Scanner,
    notifications: VecDeque<Value>,
    next_id: u64,
    /// Answer the server's `echo` requests (its probes of a silent client)
    /// instead of handing them out. On by default.
    pub answer_echo: bool,
    /// The limit of [`Client::receive`], [`Client::reply`] and [`Client::call`].
    pub deadline: Duration,
}

/// What came next on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// A whole message.
    Message(Value),
    /// The server closed the connection.
    Closed,
    /// Nothing in time.
    Nothing,
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Finds the end of a JSON object or array without looking at a byte twice.
#[derive(Debug, Default)]
struct Scanner {
    position: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Client {
    /// Connects over a Unix socket.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::new(Stream::Unix(UnixStream::connect(path)?)))
    }

    /// Connects over TCP.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        Ok(Self::new(Stream::Tcp(stream)))
    }

    /// A connection that somebody else has made.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn accepted(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::new(Stream::Tcp(stream)))
    }

    fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            scanner: Scanner::default(),
            notifications: VecDeque::new(),
            next_id: 1,
            answer_echo: true,
            deadline: DEADLINE,
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the connection is gone or does not take them in time.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Unix(stream) => {
                stream.set_write_timeout(Some(DEADLINE))?;
                stream.write_all(bytes)
            }
            Stream::Tcp(stream) => {
                stream.set_write_timeout(Some(DEADLINE))?;
                stream.write_all(bytes)
            }
        }
    }

    /// Says that nothing more will be sent; receiving goes on.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        match &self.stream {
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// As [`Client::send_bytes`].
    pub fn send(&mut self, message: &Value) -> io::Result<()> {
        self.send_bytes(message.to_string().as_bytes())
    }

    /// Sends a request under an id of its own, which it gives.
    ///
    /// # Errors
    /// As [`Client::send_bytes`].
    pub fn request(&mut self, method: &str, params: Value) -> io::Result<Value> {
        let id = json!(self.next_id);
        self.next_id += 1;
        self.send(&json!({"method": method, "params": params, "id": id}))?;
        Ok(id)
    }

    /// The next message of any kind, a notification kept by
    /// [`Client::reply`] first.
    ///
    /// # Errors
    /// If none comes before the deadline, the connection is closed, or what
    /// comes is not JSON.
    pub fn receive(&mut self) -> Result<Value> {
        if let Some(message) = self.notifications.pop_front() {
            return Ok(message);
        }
        self.next_message(self.deadline)
    }

    /// The reply to the request with this id. What comes before it that has
    /// another id or none is kept for [`Client::notifications`].
    ///
    /// # Errors
    /// As [`Client::receive`].
    pub fn reply(&mut self, id: &Value) -> Result<Value> {
        let until = Instant::now() + self.deadline;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self
                .next_message(left)
                .with_context(|| format!("the reply to {id}"))?;
            if message.get("method").is_none() && message.get("id") == Some(id) {
                return Ok(message);
            }
            self.notifications.push_back(message);
        }
    }

    /// Sends a request and gives the `result` of its reply.
    ///
    /// # Errors
    /// As [`Client::receive`], and if the reply carries an `error`.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.request(method, params)?;
        let mut reply = self.reply(&id)?;
        if let Some(error) = reply.get("error")
            && !error.is_null()
        {
            bail!("{method}: {error}");
        }
        reply
            .get_mut("result")
            .map(Value::take)
            .with_context(|| format!("{method}: a reply without a result"))
    }

    /// Executes operations on a database and gives their results.
    ///
    /// # Errors
    /// As [`Client::call`]; errors inside the results are results.
    pub fn transact(&mut self, database: &str, operations: &[Value]) -> Result<Vec<Value>> {
        let mut params = vec![json!(database)];
        params.extend_from_slice(operations);
        match self.call("transact", Value::Array(params))? {
            Value::Array(results) => Ok(results),
            other => bail!("transact: not an array but {other}"),
        }
    }

    /// Takes what [`Client::reply`] kept.
    pub fn notifications(&mut self) -> Vec<Value> {
        self.notifications.drain(..).collect()
    }

    fn next_message(&mut self, limit: Duration) -> Result<Value> {
        match self.receive_within(limit)? {
            Received::Message(message) => Ok(message),
            Received::Closed => bail!("the server closed the connection"),
            Received::Nothing => bail!("no message within {limit:?}"),
        }
    }

    /// Waits for a message at most this long. Messages that
    /// [`Client::reply`] kept are not looked at.
    ///
    /// # Errors
    /// If what comes is not JSON.
    pub fn receive_within(&mut self, limit: Duration) -> Result<Received> {
        let until = Instant::now() + limit;
        loop {
            if let Some(end) = self.scanner.find_end(&self.received) {
                let message: Value = serde_json::from_slice(&self.received[..end])
                    .with_context(|| String::from_utf8_lossy(&self.received[..end]).into_owned())
                    .context("the server sent what is not JSON")?;
                self.received.drain(..end);
                self.scanner = Scanner::default();
                if self.answer_echo && message["method"] == "echo" {
                    let reply =
                        json!({"result": message["params"], "error": null, "id": message["id"]});
                    // If it is gone, reading says so.
                    let _ = self.send(&reply);
                    continue;
                }
                return Ok(Received::Message(message));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Received::Nothing);
            }
            match self.read(left) {
                Ok(0) => return Ok(Received::Closed),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                        return Ok(Received::Closed);
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }

    fn read(&mut self, limit: Duration) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        let count = match &mut self.stream {
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.read(&mut chunk)?
            }
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.read(&mut chunk)?
            }
        };
        self.received.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

impl Scanner {
    /// The number of bytes of the first complete text, if it is there.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.position) {
            self.position += 1;
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                } else if byte == b'\\' {
                    self.escaped = true;
                } else if byte == b'"' {
                    self.in_string = false;
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.position);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_their_ends() {
        let text = br#"{"a":"}\"]"} [1,{"b":[]}]{"c":"#;
        let mut scanner = Scanner::default();
        assert_eq!(scanner.find_end(&text[..5]), None);
        assert_eq!(scanner.find_end(text), Some(12));
        let rest = &text[12..];
        let mut scanner = Scanner::default();
        assert_eq!(scanner.find_end(rest), Some(13));
        let mut scanner = Scanner::default();
        assert_eq!(scanner.find_end(&rest[13..]), None);
    }
}
