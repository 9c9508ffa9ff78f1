//! Sessions under pressure: many requests at once, clients that read late.

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
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{TcpStream, UnixStream};

const SCHEMA: &str = r#"{"name":"D","version":"1.0.0","tables":{
    "T":{"isRoot":true,"columns":{"n":{"type":"integer"},"text":{"type":"string"}}}}}"#;
const MONITOR: &str = r#"{"method":"monitor_cond","params":["D","m",{"T":{}}],"id":"monitor"}"#;
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    service: Arc<Service>,
    socket: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

fn start() -> Server {
    let folder = tempfile::tempdir().expect("folder");
    let socket = folder.path().join("db.sock");
    let listener = Listener::open(&Remote::Unix(socket.clone())).expect("listen");
    let options = SessionOptions::default();
    let service = Service::new().expect("service");
    let schema = Schema::from_text(SCHEMA.as_bytes()).expect("schema");
    let version = Version::empty(Arc::new(schema));
    service.add(version, Box::new(Unbacked)).expect("added");
    let origin = Origin::new("", options);
    tokio::spawn(service.clone().accept(Arc::new(listener), origin));
    Server {
        service,
        socket,
        _folder: folder,
    }
}

struct Messages {
    stream: OwnedReadHalf,
    scanner: Scanner,
    input: Vec<u8>,
    start: usize,
}

impl Messages {
    fn of(stream: OwnedReadHalf) -> Messages {
        Messages {
            stream,
            scanner: Scanner::new(),
            input: Vec::new(),
            start: 0,
        }
    }

    /// The next message, its members in alphabetical order.
    async fn next(&mut self) -> String {
        loop {
            let rest = &self.input[self.start..];
            if let Some(length) = self.scanner.scan(rest).expect("JSON") {
                let text = &self.input[self.start..self.start + length];
                let document = Document::from_scanned(&mut self.scanner, text).expect("JSON");
                let text = document.root().canonical();
                self.start += length;
                return text;
            }
            self.input.drain(..self.start);
            self.start = 0;
            let read = self.stream.read_buf(&mut self.input);
            let count = tokio::time::timeout(PATIENCE, read).await.expect("in time");
            assert_ne!(count.expect("read"), 0, "the connection ended");
        }
    }
}

fn insert(n: usize, text: &str) -> String {
    format!(
        r#"{{"method":"transact","params":["D",{{"op":"insert","table":"T","row":{{"n":{n},"text":"{text}"}}}}],"id":{n}}}"#
    )
}

/// Every kind of request in one stream, written without reading: all are answered in order, and
/// each transaction's update comes before its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    const COUNT: usize = 4000;
    let server = start();
    let stream = UnixStream::connect(&server.socket).await.expect("connect");
    let (reader, mut writer) = stream.into_split();
    let mut requests = MONITOR.to_owned();
    let text = "x".repeat(300);
    for n in 0..COUNT {
        requests += &match n % 4 {
            0 | 1 => insert(n, &text),
            2 => format!(
                r#"{{"method":"transact","params":["D",{{"op":"select","table":"T","where":[["n","==",{}]],"columns":["n"]}}],"id":{n}}}"#,
                n - 1
            ),
            _ => format!(r#"{{"method":"list_dbs","params":[],"id":{n}}}"#),
        };
    }
    let write = tokio::spawn(async move {
        writer.write_all(requests.as_bytes()).await.expect("write");
        writer
    });
    let mut messages = Messages::of(reader);
    assert!(messages.next().await.contains(r#""id":"monitor""#));
    let mut seen = 0;
    for n in 0..COUNT {
        let answer = loop {
            let message = messages.next().await;
            if !message.contains(r#""method":"update2""#) {
                break message;
            }
            seen += message.matches(r#""insert""#).count();
        };
        assert!(
            answer.contains(&format!(r#""error":null,"id":{n},"#)),
            "{answer}"
        );
        let inserted = n / 4 * 2 + (n % 4 + 1).min(2);
        assert!(
            seen >= inserted,
            "{n} is answered, {seen} of {inserted} inserts are told"
        );
        if n % 4 == 2 {
            let row = format!(r#"[{{"rows":[{{"n":{}}}]}}]"#, n - 1);
            assert!(answer.contains(&row), "{answer}");
        }
    }
    assert_eq!(seen, COUNT / 2);
    drop(write.await.expect("written"));
    server.service.close().await;
}

/// A client that does not read is held in bounds, holds nobody up, and ends with the right view.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_reader_catches_up() {
    const COUNT: usize = 3000;
    let server = start();
    let late = UnixStream::connect(&server.socket).await.expect("connect");
    let (late_reader, mut late_writer) = late.into_split();
    late_writer
        .write_all(MONITOR.as_bytes())
        .await
        .expect("write");
    let mut late = Messages::of(late_reader);
    late.next().await;

    let writer = UnixStream::connect(&server.socket).await.expect("connect");
    let (reader, mut writer) = writer.into_split();
    let mut answers = Messages::of(reader);
    let text = "y".repeat(2000);
    for n in 0..COUNT {
        writer
            .write_all(insert(n, &text).as_bytes())
            .await
            .expect("write");
        answers.next().await;
    }
    // Six megabytes were written; what the late one gets is merged, and whole.
    let mut inserted = 0;
    let mut messages = 0;
    while inserted < COUNT {
        let message = late.next().await;
        inserted += message.matches(r#""insert""#).count();
        messages += 1;
    }
    assert_eq!(inserted, COUNT);
    assert!(messages < COUNT, "{messages} messages: nothing was merged");
    server.service.close().await;
}

/// Who says that it has nothing more to ask still hears the answers; a wait keeps nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_closed_connections_are_answered() {
    const COUNT: usize = 500;
    let server = start();
    let mut stream = UnixStream::connect(&server.socket).await.expect("connect");
    let wait = r#"{"method":"transact","params":["D",{"op":"wait","table":"T","where":[],"columns":["n"],"until":"==","rows":[{"n":-1}]}],"id":"w"}"#;
    let mut requests = wait.to_owned();
    for n in 0..COUNT {
        requests += &insert(n, "z");
        requests += &format!(r#"{{"method":"echo","params":[{n}],"id":"e{n}"}}"#);
    }
    let (mut reader, mut writer) = stream.split();
    let mut heard = String::new();
    let write = async {
        writer.write_all(requests.as_bytes()).await.expect("write");
        writer.shutdown().await.expect("half close");
    };
    let read = reader.read_to_string(&mut heard);
    let both = async { tokio::join!(write, read) };
    let (_, end) = tokio::time::timeout(PATIENCE, both).await.expect("in time");
    end.expect("the end");
    assert_eq!(heard.matches(r#"{"uuid":"#).count(), COUNT);
    assert_eq!(heard.matches(r#""id":"e"#).count(), COUNT);
    server.service.close().await;
}

/// A silent TCP client is asked, and left when it does not answer; one that answers stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_are_probed() {
    const INTERVAL: Duration = Duration::from_millis(500);
    const ECHO: &str = r#"{"id":"echo","method":"echo","params":[]}"#;
    let address = "127.0.0.1:0".parse().expect("address");
    let listener = Listener::open(&Remote::Tcp(address)).expect("listen");
    let port = listener.port().expect("port");
    let options = SessionOptions {
        probe_interval: Some(INTERVAL),
        ..SessionOptions::default()
    };
    let service = Service::new().expect("service");
    let origin = Origin::new("", options);
    tokio::spawn(service.clone().accept(Arc::new(listener), origin));
    let start = std::time::Instant::now();
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let mut silent = connect().await.expect("connect");
    let mut lively = connect().await.expect("connect");
    let lively = tokio::spawn(async move {
        let mut echoes = 0;
        let mut buffer = [0; ECHO.len()];
        while echoes < 3 {
            lively.read_exact(&mut buffer).await.expect("an echo");
            assert_eq!(std::str::from_utf8(&buffer), Ok(ECHO));
            echoes += 1;
            let answer = br#"{"id":"echo","result":[],"error":null}"#;
            lively.write_all(answer).await.expect("answer");
        }
    });
    let mut heard = String::new();
    let end = silent.read_to_string(&mut heard);
    tokio::time::timeout(PATIENCE, end)
        .await
        .expect("in time")
        .expect("the end");
    assert_eq!(heard, ECHO);
    assert!(start.elapsed() >= 2 * INTERVAL);
    lively.await.expect("the one that answers stays");
    service.close().await;
}

/// Conversions while clients write: each request is answered or its connection ended, and what
/// was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversions_amid_writes_lose_nothing() {
    const CLIENTS: usize = 4;
    const EACH: usize = 300;
    let server = start();
    let mut writers = tokio::task::JoinSet::new();
    // Who is not known to understand conversions would be cut off by one.
    let ready = Arc::new(tokio::sync::Barrier::new(CLIENTS + 1));
    for client in 0..CLIENTS {
        let socket = server.socket.clone();
        let ready = ready.clone();
        writers.spawn(async move {
            let stream = UnixStream::connect(socket).await.expect("connect");
            let (reader, mut writer) = stream.into_split();
            let aware = r#"{"method":"set_db_change_aware","params":[true],"id":"aware"}"#;
            writer.write_all(aware.as_bytes()).await.expect("write");
            writer.write_all(MONITOR.as_bytes()).await.expect("write");
            let mut messages = Messages::of(reader);
            assert!(messages.next().await.contains(r#""id":"aware""#));
            ready.wait().await;
            let mut acknowledged = 0;
            let mut canceled = 0;
            for n in 0..EACH {
                writer
                    .write_all(insert(client * EACH + n, "").as_bytes())
                    .await
                    .expect("write");
                loop {
                    let message = messages.next().await;
                    if message.contains(&format!(r#""id":{}"#, client * EACH + n)) {
                        acknowledged += usize::from(message.contains(r#""uuid""#));
                        canceled += usize::from(message.contains("canceled"));
                        break;
                    }
                }
            }
            assert_eq!(acknowledged + canceled, EACH);
            acknowledged
        });
    }
    let stream = UnixStream::connect(&server.socket).await.expect("connect");
    let (reader, mut writer) = stream.into_split();
    let mut messages = Messages::of(reader);
    let aware = r#"{"method":"set_db_change_aware","params":[true],"id":"aware"}"#;
    writer.write_all(aware.as_bytes()).await.expect("write");
    messages.next().await;
    ready.wait().await;
    for i in 0..20 {
        let schema = SCHEMA.replace("1.0.0", &format!("1.0.{}", i + 1));
        let convert = format!(r#"{{"method":"convert","params":["D",{schema}],"id":{i}}}"#);
        writer.write_all(convert.as_bytes()).await.expect("write");
        let answer = messages.next().await;
        assert!(answer.contains(r#""result":{}"#), "{answer}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let mut acknowledged = 0;
    while let Some(each) = writers.join_next().await {
        acknowledged += each.expect("a writer");
    }
    let database = server.service.database("D").expect("database");
    let commit = database.committed();
    assert_eq!(commit.version.row_count(), acknowledged);
    assert_eq!(commit.version.schema().version, "1.0.20");
    server.service.close().await;
}
