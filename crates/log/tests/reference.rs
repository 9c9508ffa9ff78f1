//! Our files and the real programs' files, each read by the other, locks both ways, damage, group commit.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ovsdb_log::{
    Appender, Batch, Disk, Holder, Lock, Log, LogError, Magic, Options, Reader, SyncPolicy,
};

const SCHEMA: &str = r#"{"name":"d","tables":{"t":{"columns":{"n":{"type":"integer"}},"isRoot":true}},"version":"1.0.0"}"#;
const WAIT: Duration = Duration::from_secs(20);

fn tool(args: &[&str]) -> (bool, String) {
    let output = Command::new("ovsdb-tool")
        .args(args)
        .output()
        .expect("ovsdb-tool: install Debian's openvswitch-common");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn transaction(n: u32) -> String {
    format!(
        r#"{{"_date":1700000000000,"_is_diff":true,"t":{{"00000000-0000-4000-8000-{n:012}":{{"n":{n}}}}}}}"#
    )
}

fn create(path: &Path) -> Appender {
    Appender::create(
        Arc::new(Disk),
        Lock::acquire(path).unwrap(),
        Magic::Json,
        |writer| writer.record(|text| text.extend_from_slice(SCHEMA.as_bytes())),
    )
    .unwrap()
}

fn batch(n: u32, durable: bool, done: mpsc::Sender<(u32, bool)>) -> Batch {
    let text = transaction(n);
    Batch {
        size_hint: text.len(),
        encode: Box::new(move |buffer| buffer.record(|out| out.extend_from_slice(text.as_bytes()))),
        durable,
        done: Box::new(move |result| done.send((n, result.is_ok())).unwrap()),
    }
}

fn read(path: &Path) -> Result<Vec<String>, LogError> {
    let mut reader = Reader::open(&Disk, path, None)?;
    let mut all = Vec::new();
    while let Some(record) = reader.next_record()? {
        all.push(String::from_utf8_lossy(record.json).into_owned());
    }
    Ok(all)
}

fn run(policy: SyncPolicy) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let log = Arc::new(
        Log::start(
            create(&path),
            Options {
                sync: policy,
                ..Options::default()
            },
        )
        .unwrap(),
    );
    let (sender, receiver) = mpsc::channel();
    for n in 0..200 {
        log.try_submit(batch(n, n % 7 == 0, sender.clone()))
            .unwrap();
    }
    // The snapshot stands for the first 200.
    let (compacted, compaction) = mpsc::channel();
    log.begin_compaction(
        |writer| {
            writer.record(|text| text.extend_from_slice(SCHEMA.as_bytes()))?;
            (0..200).try_for_each(|n| {
                writer.record(|text| text.extend_from_slice(transaction(n).as_bytes()))
            })
        },
        move |result| compacted.send(result).unwrap(),
    )
    .unwrap();
    for n in 200..400 {
        log.try_submit(batch(n, n % 7 == 0, sender.clone()))
            .unwrap();
    }
    for n in 0..400 {
        assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (n, true), "in order");
    }
    let report = compaction.recv_timeout(WAIT).unwrap().unwrap();
    assert_eq!(report.new_size, report.old_size);
    assert!(
        Command::new("ovsdb-tool")
            .arg("compact")
            .arg(&path)
            .output()
            .unwrap()
            .status
            .code()
            != Some(0),
        "locked"
    );
    log.close().unwrap();
    drop(log);
    let all = read(&path).unwrap();
    assert_eq!(all.len(), 401);
    assert!((0..400).all(|n| all[n as usize + 1] == transaction(n)));
    assert!(!folder.path().join("a.db.tmp").exists());
    let name = path.to_str().unwrap();
    let (ok, text) = tool(&[
        "query",
        name,
        r#"["d",{"op":"select","table":"t","where":[],"columns":["n"]}]"#,
    ]);
    assert!(ok && text.matches("{\"n\":").count() == 400, "{text}");
    let (ok, text) = tool(&["show-log", name]);
    assert!(ok && text.contains("record 400"), "{text}");
}

#[test]
fn always() {
    run(SyncPolicy::Always);
}

#[test]
fn asked() {
    run(SyncPolicy::Asked);
}

#[test]
fn reads_and_continues_what_the_reference_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let schema = folder.path().join("schema");
    std::fs::write(&schema, SCHEMA).unwrap();
    let name = path.to_str().unwrap();
    assert!(tool(&["create", name, schema.to_str().unwrap()]).0);
    assert!(
        tool(&[
            "transact",
            name,
            r#"["d",{"op":"insert","table":"t","row":{"n":5}}]"#
        ])
        .0
    );
    let end = Reader::open(&Disk, &path, Some(Magic::Json))
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!((end.records, end.torn), (2, None));
    let wrong = Reader::open(&Disk, &path, Some(Magic::Cluster)).unwrap_err();
    assert!(matches!(wrong, LogError::OtherKind { .. }), "{wrong}");
    // A torn end is cut off, and the file goes on.
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&good[..], b"OVSDB JSON 50 12\0\0\0\0"].concat()).unwrap();
    let end = Reader::open(&Disk, &path, None).unwrap().finish().unwrap();
    assert_eq!(
        end.torn.as_ref().map(|torn| (torn.offset, torn.length)),
        Some((good.len() as u64, 20))
    );
    let appender = Appender::open(Arc::new(Disk), Lock::acquire(&path).unwrap(), &end).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), good);
    let log = Log::start(appender, Options::default()).unwrap();
    let (sender, receiver) = mpsc::channel();
    log.try_submit(batch(7, true, sender)).unwrap();
    assert_eq!(receiver.recv_timeout(WAIT).unwrap(), (7, true));
    drop(log);
    let (_, text) = tool(&[
        "query",
        name,
        r#"["d",{"op":"select","table":"t","where":[]}]"#,
    ]);
    assert_eq!(text.matches("\"n\":").count(), 2, "{text}");
}

#[test]
fn truncated_and_flipped_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut appender = create(&path);
    let mut offsets = vec![0, appender.len()];
    for n in 0..2 {
        let mut buffer = ovsdb_log::RecordBuffer::new(Magic::Json);
        buffer.record(|text| text.extend_from_slice(transaction(n).as_bytes()));
        appender.append(&buffer).unwrap();
        offsets.push(appender.len());
    }
    appender.sync().unwrap();
    drop(appender);
    let good = std::fs::read(&path).unwrap();
    for cut in 0..good.len() {
        std::fs::write(&path, &good[..cut]).unwrap();
        let end = Reader::open(&Disk, &path, None).and_then(Reader::finish);
        let whole = *offsets.iter().rfind(|&&o| o <= cut as u64).unwrap();
        match end {
            Ok(end) => assert_eq!(
                (end.offset, end.torn.is_some()),
                (whole, whole != cut as u64)
            ),
            Err(_) => assert_eq!(whole, 0, "cut at {cut}"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), &good[..cut]);
    }
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            std::fs::write(&path, &bad).unwrap();
            let end = Reader::open(&Disk, &path, None).and_then(Reader::finish);
            let record = *offsets.iter().rfind(|&&o| o <= at as u64).unwrap();
            match end {
                // Flipping the case of a hash's digit changes nothing.
                Ok(end) if end.torn.is_some() => {
                    assert_eq!((end.offset, record), (offsets[2], offsets[2]))
                }
                Ok(end) => assert_eq!(end.records, 3),
                Err(LogError::Damaged { offset, .. }) => {
                    assert!(offset == record && record < offsets[2])
                }
                Err(error) => assert!(record == 0, "{error}"),
            }
            assert_eq!(std::fs::read(&path).unwrap(), bad);
        }
    }
}

#[test]
fn refuses_what_is_not_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Reader::open(&Disk, &folder.path().join(name), None).unwrap_err();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    std::fs::write(folder.path().join("text"), "hello\n").unwrap();
    assert!(matches!(open("empty"), LogError::Empty { .. }));
    assert!(matches!(open("text"), LogError::NotOvsdb { .. }));
    assert!(matches!(open("none"), LogError::Io { .. }));
    assert!(matches!(open("."), LogError::Io { .. }));
    let error = Appender::create(
        Arc::new(Disk),
        Lock::acquire(&folder.path().join("text")).unwrap(),
        Magic::Json,
        |_| Ok(()),
    );
    assert!(matches!(error, Err(LogError::Exists { .. })));
}

/// A server that ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_of_a_running_reference_server_is_refused_with_its_pid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(create(&path));
    let socket = folder.path().join("s");
    let server = Command::new("ovsdb-server")
        .arg(&path)
        .arg(format!("--remote=punix:{}", socket.display()))
        .arg(format!("--unixctl={}", folder.path().join("ctl").display()))
        .env("OVS_RUNDIR", folder.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("ovsdb-server: install Debian's openvswitch-switch");
    let server = Killed(server);
    let deadline = std::time::Instant::now() + WAIT;
    while !socket.exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    match Lock::acquire(&path) {
        Err(LogError::Locked { holder, .. }) => assert_eq!(holder, Holder::Process(server.0.id())),
        other => panic!("{other:?}"),
    }
}
