//! The least of an HTTP client: one GET on one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The lines before the body.
    pub head: String,
    /// What is behind them.
    pub body: String,
}

/// Asks for a path.
///
/// # Errors
/// If there is no answer.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    say(address, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

/// Says anything, and reads until the server closes.
///
/// # Errors
/// If there is no answer.
pub fn say(address: SocketAddr, request: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| text.clone())?;
    let status = head.split(' ').nth(1).with_context(|| head.to_owned())?;
    Ok(Answer {
        status: status.parse()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
