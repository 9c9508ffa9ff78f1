//! A client that says and hears JSON, and a few real ones.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a program; its output, or what it complains about.
pub fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{program} (openvswitch-common): {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// All rows, as `ovsdb-client` prints them.
pub fn dump(socket: &Path) -> Result<String, String> {
    let remote = format!("unix:{}", socket.display());
    run("ovsdb-client", &["--timeout=5", "dump", &remote, "D"])
}

/// Waits until two servers have the same rows.
pub fn wait_for_same(a: &Path, b: &Path) -> String {
    wait_for("the same rows", || {
        let (a, b) = (dump(a).ok()?, dump(b).ok()?);
        (a == b).then_some(a)
    })
}

/// A connection with a server.
pub struct Client {
    stream: UnixStream,
    buffer: Vec<u8>,
    unread: VecDeque<Value>,
    last: u64,
}

impl Client {
    pub fn connect(socket: &Path) -> Client {
        let stream = wait_for("the server listens", || UnixStream::connect(socket).ok());
        stream.set_read_timeout(Some(PATIENCE)).expect("socket");
        Client {
            stream,
            buffer: Vec::new(),
            unread: VecDeque::new(),
            last: 0,
        }
    }

    /// Sends a request; its id.
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        let request = json!({"id": self.last, "method": method, "params": params});
        let text = request.to_string();
        self.stream.write_all(text.as_bytes()).expect("sent");
        self.last
    }

    /// The next message; none at the end of the connection.
    pub fn next(&mut self) -> Option<Value> {
        if let Some(value) = self.unread.pop_front() {
            return Some(value);
        }
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
            if let Some(Ok(value)) = values.next() {
                let length = values.byte_offset();
                self.buffer.drain(..length);
                return Some(value);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) => panic!("nothing comes: {error}"),
            }
        }
    }

    /// The answer to a request; notifications before it are kept.
    pub fn answer(&mut self, id: u64) -> Value {
        let mut others = VecDeque::new();
        loop {
            let message = self.next().expect("an answer");
            if message["id"] == id {
                others.append(&mut self.unread);
                self.unread = others;
                return message;
            }
            others.push_back(message);
        }
    }

    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// The results of a transaction on D.
    pub fn transact(&mut self, operations: &Value) -> Value {
        let id = self.begin(operations);
        self.answer(id)["result"].clone()
    }

    /// Sends a transaction on D.
    pub fn begin(&mut self, operations: &Value) -> u64 {
        let mut params = vec![json!("D")];
        params.extend(operations.as_array().expect("operations").iter().cloned());
        self.send("transact", Value::Array(params))
    }

    /// The row of D in `_Server`.
    pub fn server_row(&mut self) -> Value {
        let select = json!(["_Server", {"op": "select", "table": "Database",
            "where": [["name", "==", "D"]],
            "columns": ["model", "connected", "leader", "schema", "cid", "sid", "index"]}]);
        self.call("transact", select)["result"][0]["rows"][0].clone()
    }
}

/// The text with each UUID as its number among all.
pub fn without_uuids(text: &str) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = (0..rest.len()).find(|place| is_uuid(rest, *place)) {
        let uuid = &rest[place..place + 36];
        let number = seen.iter().position(|other| *other == uuid);
        let number = number.unwrap_or_else(|| {
            seen.push(uuid);
            seen.len() - 1
        });
        out.push_str(&rest[..place]);
        out.push_str(&format!("<{number}>"));
        rest = &rest[place + 36..];
    }
    out + rest
}

fn is_uuid(text: &str, place: usize) -> bool {
    let Some(bytes) = text.as_bytes().get(place..place + 36) else {
        return false;
    };
    bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
