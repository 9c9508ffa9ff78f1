//! Runs the conversations in `testdata`: what clients say, and everything that all clients hear
//! then, in order.
//!
//! `A> TEXT` sends bytes as client A, which connects with its first line. What came after it is
//! told by lines `A< TEXT`, for each client, by name. `A.` waits for A's next message, `A!` for the
//! end of its connection. UUIDs that were drawn are told as `<N>` in the order in which they
//! appear, and can be sent so. Client R comes by a remote that is only for reading, client S by one
//! whose clients have a role. `REWRITE=1` writes what came into the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ovsdb::Schema;
use ovsdb::json::{Document, Scanner};
use ovsdb_engine::Version;
use ovsdb_server::listener::Listener;
use ovsdb_server::ordering::Unbacked;
use ovsdb_server::origin::{Origin, SessionOptions};
use ovsdb_server::remote::Remote;
use ovsdb_server::service::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const SCHEMA: &str = r#"{"name":"D","version":"1.0.0","cksum":"1 1","tables":{
    "T":{"isRoot":true,"indexes":[["name"]],"columns":{
        "name":{"type":"string"},
        "n":{"type":"integer"},
        "set":{"type":{"key":"integer","min":0,"max":"unlimited"}}}},
    "U":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}"#;
const PATIENCE: Duration = Duration::from_secs(20);
/// The id of the requests by which the test learns that a client has heard everything.
const SYNC: &str = "sync";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conversation_goes_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("testdata")
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no conversations");
    let rewrite = std::env::var_os("REWRITE").is_some();
    let mut wrong = String::new();
    for path in paths {
        let told = std::fs::read_to_string(&path).expect("conversation");
        let came = Conversation::start().await.run(&told).await;
        if rewrite {
            std::fs::write(&path, came).expect("rewrite");
        } else if came != told {
            let _ = write!(
                wrong,
                "{}:\n{}",
                path.display(),
                first_difference(&told, &came)
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn first_difference(told: &str, came: &str) -> String {
    let line = told
        .lines()
        .zip(came.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let rest = |text: &str| {
        text.lines()
            .skip(line)
            .take(4)
            .collect::<Vec<_>>()
            .join("\n")
    };
    format!(
        "line {}, told:\n{}\ncame:\n{}\n",
        line + 1,
        rest(told),
        rest(came)
    )
}

struct Client {
    stream: UnixStream,
    scanner: Scanner,
    input: Vec<u8>,
    /// What was said last, for failures.
    last: String,
}

struct Conversation {
    service: Arc<Service>,
    /// Has a socket for each remote.
    folder: tempfile::TempDir,
    clients: BTreeMap<String, Client>,
    uuids: Vec<String>,
}

impl Conversation {
    async fn start() -> Conversation {
        let folder = tempfile::tempdir().expect("folder");
        let service = Service::new().expect("service");
        let schema = Schema::from_text(SCHEMA.as_bytes()).expect("schema");
        let version = Version::empty(Arc::new(schema));
        service.add(version, Box::new(Unbacked)).expect("added");
        let reading = SessionOptions {
            read_only: true,
            ..SessionOptions::default()
        };
        let limited = SessionOptions {
            role: Some("role".to_owned()),
            ..SessionOptions::default()
        };
        for (name, options) in [
            ("free", SessionOptions::default()),
            ("R", reading),
            ("S", limited),
        ] {
            let remote = Remote::Unix(folder.path().join(name));
            let listener = Listener::open(&remote).expect("listen");
            let origin = Origin::new(name, options);
            tokio::spawn(service.clone().accept(Arc::new(listener), origin));
        }
        Conversation {
            service,
            folder,
            clients: BTreeMap::new(),
            uuids: Vec::new(),
        }
    }

    async fn run(&mut self, told: &str) -> String {
        let mut came = String::new();
        for line in told.lines() {
            if let Some((_, "<")) = line.split_once(' ').map(|(head, _)| head.split_at(1)) {
                continue;
            }
            let _ = writeln!(came, "{line}");
            let name = line.chars().next().unwrap_or('#').to_string();
            match line.get(1..2) {
                _ if name == "#" => {}
                Some(">") => {
                    let text = self.insert_uuids(line[2..].trim_start());
                    self.send(&name, &text).await;
                    self.hear_all(&name, &mut came).await;
                }
                Some(".") => self.hear_one(&name, &mut came).await,
                Some("!") => {
                    let client = self.clients.remove(&name);
                    let end = client.expect("connected").next().await;
                    assert_eq!(end, None, "{name} should hear nothing more");
                }
                _ => panic!("what is {line:?}?"),
            }
        }
        self.service.close().await;
        assert_eq!(self.service.session_count(), 0);
        came
    }

    async fn send(&mut self, name: &str, text: &str) {
        if !self.clients.contains_key(name) {
            let remote = if matches!(name, "R" | "S") {
                name
            } else {
                "free"
            };
            let socket = self.folder.path().join(remote);
            let stream = UnixStream::connect(socket).await.expect("connect");
            let client = Client {
                stream,
                scanner: Scanner::new(),
                input: Vec::new(),
                last: String::new(),
            };
            self.clients.insert(name.to_owned(), client);
        }
        let client = self.clients.get_mut(name).expect("client");
        client.last = format!("{name} said {text} and");
        client
            .stream
            .write_all(text.as_bytes())
            .await
            .expect("send");
    }

    /// Everything that the clients hear, the one who has spoken first.
    async fn hear_all(&mut self, speaker: &str, came: &mut String) {
        let mut names: Vec<_> = self.clients.keys().cloned().collect();
        names.sort_by_key(|name| name != speaker);
        for name in names {
            let client = self.clients.get_mut(&name).expect("client");
            let sync = format!(r#"{{"method":"list_dbs","params":[],"id":"{SYNC}"}}"#);
            // A connection that was closed is told by `!`, but what came before is heard.
            let _ = client.stream.write_all(sync.as_bytes()).await;
            while let Some(message) = self.clients.get_mut(&name).expect("client").next().await {
                if message.contains(&format!(r#""id":"{SYNC}""#)) {
                    break;
                }
                let _ = writeln!(came, "{name}< {}", self.name_uuids(&message));
            }
        }
    }

    async fn hear_one(&mut self, name: &str, came: &mut String) {
        let message = self.clients.get_mut(name).expect("client").next().await;
        let message = message.expect("a message");
        let _ = writeln!(came, "{name}< {}", self.name_uuids(&message));
    }

    /// Names what is another in each run: drawn UUIDs, and how long a wait took.
    fn name_uuids(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let candidate = rest.get(..36).filter(|c| !c.starts_with("00000000-"));
            if let Some(uuid) = candidate.filter(|c| ovsdb::atom::parse_uuid(c).is_some()) {
                let known = self.uuids.iter().position(|known| known == uuid);
                let place = known.unwrap_or_else(|| {
                    self.uuids.push(uuid.to_owned());
                    self.uuids.len() - 1
                });
                let _ = write!(out, "<{place}>");
                rest = &rest[36..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        if let Some((before, after)) = out.split_once(" timed out after ")
            && let Some((_, after)) = after.split_once(' ')
        {
            return format!("{before} timed out after N {after}");
        }
        out
    }

    fn insert_uuids(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (place, uuid) in self.uuids.iter().enumerate() {
            text = text.replace(&format!("<{place}>"), uuid);
        }
        text
    }
}

impl Client {
    /// The next message, its members in alphabetical order; none at the connection's end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(length) = self.scanner.scan(&self.input).expect("JSON") {
                let rest = self.input.split_off(length);
                let text = std::mem::replace(&mut self.input, rest);
                let document = Document::from_scanned(&mut self.scanner, text).expect("JSON");
                return Some(document.root().canonical());
            }
            let read = self.stream.read_buf(&mut self.input);
            let read = tokio::time::timeout(PATIENCE, read).await;
            match read.unwrap_or_else(|_| panic!("{} hears nothing", self.last)) {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
