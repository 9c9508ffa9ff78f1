//! As much of HTTP/1.1 as a client of the API needs.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// No request of a client of ours is longer.
const LONGEST: usize = 64 * 1024;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, with what follows a question mark.
    pub(super) target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A header's value, empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Reads a request; none when the client closes or `over` says so. The stream's reads end after a
/// moment, so that `over` is asked now and then.
pub(super) fn read(stream: &mut impl Read, over: impl Fn() -> bool) -> Result<Option<Request>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(stream, &mut bytes, &over)? {
            ensure!(bytes.is_empty(), "a request that is cut short");
            return Ok(None);
        }
    };
    let text = std::str::from_utf8(&bytes[..head])?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next(), first.next());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let mut request = Request {
        method: method.context("no method")?.to_owned(),
        target: target.context("no path")?.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let length = match request.header("content-length") {
        "" => 0,
        length => length.parse()?,
    };
    while bytes.len() < head + length {
        ensure!(more(stream, &mut bytes, &over)?, "a body that is cut short");
    }
    request.body = bytes.split_off(head);
    Ok(Some(request))
}

/// Reads on; false at the end.
fn more(stream: &mut impl Read, bytes: &mut Vec<u8>, over: impl Fn() -> bool) -> Result<bool> {
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return Ok(false),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                match over() {
                    true => return Ok(false),
                    false => continue,
                }
            }
            // Clients need not say goodbye.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        match bytes.len() > LONGEST {
            true => bail!("a request that is too long"),
            false => return Ok(true),
        }
    }
}

/// Answers with a status and a JSON text.
pub(super) fn answer(stream: &mut impl Write, code: u16, body: &Value) -> Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {code} Whatever\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(stream.flush()?)
}
