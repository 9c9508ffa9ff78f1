//! What several of these tests need.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb::json::{Document, Kind};
use ovsdb::{Schema, Uuid};
use ovsdb_cluster::entry::{Entry, Payload, Servers};
use ovsdb_cluster::file::{
    Header, Identity, Origin, Record, Replay, Replayed, Snapshot, SnapshotMeta,
};
use ovsdb_engine::Version;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_log::{Appender, Disk, Done, Lock, LogError, Magic, Reader};

pub const SCHEMA: &str = r#"{"name":"d","tables":{"t":{"columns":{"n":{"type":"integer"},"s":{"type":"string"}},"isRoot":true}},"version":"1.0.0"}"#;
pub const WAIT: Duration = Duration::from_secs(40);

/// Runs a program; whether it succeeded, and its output.
pub fn run(program: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; install Debian's openvswitch-switch"));
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).trim_end().to_owned(),
    )
}

/// Runs a program that has to succeed.
pub fn must(program: &str, args: &[&str]) -> String {
    let (succeeded, text) = run(program, args);
    assert!(succeeded, "{program} {args:?}: {text}");
    text
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < WAIT, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn uuid(n: u64) -> Uuid {
    Uuid::from_u64_pair(n << 32 | 0x4000, 0x8000_0000_0000_0000 | n)
}

pub fn schema() -> Arc<Schema> {
    Arc::new(Schema::from_text(SCHEMA.as_bytes()).unwrap())
}

pub fn servers(of: &[u64]) -> Servers {
    of.iter()
        .map(|n| (uuid(*n), format!("tcp:127.0.0.{n}:6647")))
        .collect()
}

/// A member's file that starts at `index`, in term 2; the member is server 1.
pub fn header(index: u64, of: &[u64]) -> Header {
    Header {
        identity: Identity {
            server_id: uuid(1),
            cluster_id: Some(uuid(99)),
            name: "d".to_owned(),
            local_address: "tcp:127.0.0.1:6647".to_owned(),
        },
        origin: Origin::Snapshot(Snapshot {
            meta: SnapshotMeta {
                index,
                term: 2,
                eid: uuid(1000 + index),
                servers: servers(of),
                election_timer: None,
            },
            data: Bytes::from(format!("[{SCHEMA},{{\"_is_diff\":true}}]")),
        }),
    }
}

/// A transaction that inserts a row.
pub fn data(index: u64) -> Payload {
    let row = uuid(index);
    Payload::Data {
        eid: uuid(1000 + index),
        data: Bytes::from(format!(
            r#"[null,{{"_date":1700000000000,"_is_diff":true,"t":{{"{row}":{{"n":{index}}}}}}}]"#
        )),
    }
}

pub fn entry(term: u64, index: u64, payload: Payload) -> Arc<Entry> {
    Arc::new(Entry {
        term,
        index,
        payload,
    })
}

pub fn parse_record(text: impl AsRef<[u8]>) -> Result<Record, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    Record::parse(document.root()).map_err(|error| error.details.unwrap_or_default())
}

pub fn parse_header(text: impl AsRef<[u8]>) -> Result<Header, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    Header::parse(document.root()).map_err(|error| error.details.unwrap_or_default())
}

/// A file of these texts.
pub fn write_texts(path: &Path, texts: &[&str]) {
    let _ = std::fs::remove_file(path);
    let lock = Lock::acquire(path).unwrap();
    Appender::create(Arc::new(Disk), lock, Magic::Cluster, |writer| {
        texts
            .iter()
            .try_for_each(|text| writer.record(|out| out.extend_from_slice(text.as_bytes())))
    })
    .unwrap();
}

/// Replays a file without changing it.
pub fn replay(path: &Path) -> Result<Replayed, LogError> {
    let mut reader = Reader::open(&Disk, path, Some(Magic::Cluster))?;
    Replay::read(&mut reader, path)
}

/// All records of a file.
pub fn read_all(path: &Path) -> (Header, Vec<Record>) {
    let mut reader = Reader::open(&Disk, path, Some(Magic::Cluster)).unwrap();
    let mut header = None;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        match header {
            None => header = Some(parse_header(record.json).unwrap()),
            Some(_) => records.push(parse_record(record.json).unwrap()),
        }
    }
    (header.unwrap(), records)
}

/// The contents that a file's snapshot and entries make.
pub fn contents(state: &Replayed) -> String {
    let Origin::Snapshot(snapshot) = &state.header.origin else {
        panic!("no snapshot");
    };
    let entries: Vec<Arc<Entry>> = state.entries.iter().cloned().collect();
    dump(&version_of(snapshot, &entries))
}

/// The same as a snapshot's data.
pub fn data_of(snapshot: &Snapshot, entries: &[Arc<Entry>]) -> Vec<u8> {
    let mut out = Vec::new();
    let version = version_of(snapshot, entries);
    ovsdb_cluster::file::create::write_data(&mut out, &version, 1_700_000_000_000, None);
    out
}

fn version_of(snapshot: &Snapshot, entries: &[Arc<Entry>]) -> Version {
    let mut version = Version::empty(schema());
    let entries = entries.iter().filter_map(|entry| match &entry.payload {
        Payload::Data { data, .. } => Some(data),
        _ => None,
    });
    for data in [&snapshot.data].into_iter().chain(entries) {
        version = apply(version, data);
    }
    version
}

fn apply(version: Version, data: &Bytes) -> Version {
    let document = Document::parse(data).unwrap();
    let (new, change) = (
        document.root().element(0).unwrap(),
        document.root().element(1).unwrap(),
    );
    let version = match new.kind() {
        Kind::Null => version,
        _ => Version::empty(Arc::new(Schema::parse(new).unwrap())),
    };
    match change.kind() {
        Kind::Null => version,
        _ => {
            record::replay(version, change, Strictness::Exact, &mut Uuid::new_v4)
                .unwrap()
                .0
        }
    }
}

/// The contents of a standalone file.
pub fn standalone_contents(path: &Path) -> String {
    let mut reader = Reader::open(&Disk, path, Some(Magic::Json)).unwrap();
    let mut version = None;
    while let Some(record) = reader.next_record().unwrap() {
        version = Some(match version {
            None => Version::empty(Arc::new(Schema::from_text(record.json).unwrap())),
            Some(version) => {
                let document = Document::parse(record.json).unwrap();
                let replayed = record::replay(
                    version,
                    document.root(),
                    Strictness::Exact,
                    &mut Uuid::new_v4,
                );
                replayed.unwrap().0
            }
        });
    }
    dump(&version.unwrap())
}

pub fn dump(version: &Version) -> String {
    let mut out = Vec::new();
    record::write_contents(&mut out, version, 0, None);
    let mut out = String::from_utf8(out).unwrap();
    out.push_str(&version.schema().to_json());
    out
}

/// A callback, and where it reports to.
pub fn done() -> (Done, mpsc::Receiver<Result<(), String>>) {
    let (sender, receiver) = mpsc::channel();
    let done: Done = Box::new(move |result| {
        let _ = sender.send(result.map_err(|error| error.to_string()));
    });
    (done, receiver)
}
