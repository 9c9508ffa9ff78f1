//! The real programs read our files, and we read theirs; each keeps the other off.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ovsdb_log::{LogError, SyncPolicy};
use ovsdb_server::standalone::{File, OpenError};

use crate::failing_disk::FailingDisk;
use crate::writer::{SCHEMA, Writer, contents, in_file, options, select, sorted_rows, wait_until};

const SELECTS: [&str; 2] = [
    r#"{"op":"select","table":"t","where":[],"columns":["_uuid","n","set","map","refs"]}"#,
    r#"{"op":"select","table":"u","where":[],"columns":["_uuid","n"]}"#,
];

fn run(program: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn good(program: &str, args: &[&str]) -> String {
    let (good, text) = run(program, args);
    assert!(good, "{program} {args:?}: {text}");
    text
}

/// Debian's server on a file; ends with the test.
pub struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn command(path: &Path, more: &[&str]) -> (Command, PathBuf) {
        let folder = path.parent().unwrap();
        let socket = folder.join("socket");
        let mut command = Command::new("ovsdb-server");
        command
            .args(more)
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg(format!("--unixctl={}", folder.join("ctl").display()))
            .arg(path)
            .env("OVS_RUNDIR", folder)
            .stderr(Stdio::piped());
        (command, socket)
    }

    pub fn start(path: &Path, more: &[&str]) -> Server {
        let (mut command, socket) = Server::command(path, more);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let server = Server { child, socket };
        wait_until("the server listens", || {
            std::os::unix::net::UnixStream::connect(&server.socket).is_ok()
        });
        server
    }

    fn transact(&self, operations: &str) -> String {
        let remote = format!("unix:{}", self.socket.display());
        let reply = good(
            "ovsdb-client",
            &["transact", &remote, &format!(r#"["d",{operations}]"#)],
        );
        assert!(!reply.contains("\"error\""), "{reply}");
        reply
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn assert_same_rows(path: &Path, ask: impl Fn(&str) -> String) {
    let file = File::open(path).unwrap();
    for operation in SELECTS {
        let ours = select(file.version(), operation);
        assert!(!ours.is_empty());
        assert_eq!(ours, sorted_rows(ask(operation).as_bytes()));
    }
}

/// Ask `ovsdb-tool` about a copy, as the file is locked.
fn ask_tool(path: &Path) -> impl Fn(&str) -> String {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    move |operation| {
        good(
            "ovsdb-tool",
            &[
                "query",
                copy.to_str().unwrap(),
                &format!(r#"["d",{operation}]"#),
            ],
        )
    }
}

const CHANGES: [&str; 5] = [
    r#"{"op":"mutate","table":"t","where":[["n","<",4]],
        "mutations":[["set","insert",["set",["x","y"]]],["map","insert",["map",[["new","1"]]]]]}"#,
    r#"{"op":"mutate","table":"t","where":[["n","<",2]],
        "mutations":[["set","delete","s0"],["map","delete",["set",["k"]]]]}"#,
    r#"{"op":"update","table":"t","where":[["n","==",5]],
        "row":{"map":["map",[["k","changed"],["z","z"]]],"set":["set",[]],"n":55}}"#,
    r#"{"op":"delete","table":"t","where":[["n","==",6]]}"#,
    r#"{"op":"update","table":"t","where":[["n","==",7]],"row":{"refs":["set",[]],"seen":3}}"#,
];

fn insert(n: u32) -> String {
    format!(
        r#"{{"op":"insert","table":"u","row":{{"n":{n}}},"uuid-name":"u"}},
           {{"op":"insert","table":"t","row":{{"n":{n},"seen":1,"refs":["named-uuid","u"],
             "set":["set",["s{n}","ü\"\\"]],"map":["map",[["k","{n}"],["l",""]]]}}}}"#
    )
}

#[test]
fn the_reference_reads_what_we_write() {
    for policy in crate::writer::POLICIES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let name = path.to_str().unwrap();
        let mut writer = Writer::create(&FailingDisk::default(), &path, options(policy));
        (0..10).for_each(|n| {
            writer.propose(&insert(n));
        });
        CHANGES.iter().for_each(|change| {
            writer.propose(change);
        });
        writer.propose(&format!(
            r#"{},{{"op":"comment","comment":"the last one"}}"#,
            insert(10)
        ));
        writer.keeper.close().unwrap();
        let expected = contents(&writer.head);
        drop(writer);
        assert_eq!(good("ovsdb-tool", &["db-version", name]).trim(), "1.0.0");
        assert_eq!(good("ovsdb-tool", &["db-name", name]).trim(), "d");
        assert_same_rows(&path, ask_tool(&path));
        let log = good("ovsdb-tool", &["show-log", "-mm", name]);
        assert!(
            log.contains("record 16:") && log.contains("the last one"),
            "{log}"
        );
        assert_eq!(in_file(&path), expected);
        let server = Server::start(&path, &[]);
        let rows = server.transact(SELECTS[0]);
        assert_eq!(rows.matches("\"n\":").count(), 10, "{rows}");
    }
}

#[test]
fn we_read_and_go_on_with_what_the_reference_writes() {
    for more in [&[][..], &["--disable-file-column-diff"]] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let name = path.to_str().unwrap();
        let schema = folder.path().join("schema");
        std::fs::write(&schema, SCHEMA).unwrap();
        good("ovsdb-tool", &["create", name, schema.to_str().unwrap()]);
        let ours = folder.path().join("ours.db");
        drop(File::create(&ours, crate::writer::schema()).unwrap());
        let length = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert_eq!(
            length(&ours),
            length(&path),
            "the members' order alone differs"
        );

        let server = Server::start(&path, more);
        for n in 0..10 {
            server.transact(&insert(n));
        }
        for change in CHANGES {
            server.transact(change);
        }
        // Ours is kept off.
        let error = File::open(&path).unwrap_err();
        assert!(
            matches!(error, OpenError::Log(LogError::Locked { .. })),
            "{error}"
        );
        let replies = SELECTS.map(|operation| server.transact(operation));
        drop(server);
        assert_same_rows(&path, |operation| {
            let place = SELECTS
                .iter()
                .position(|other| *other == operation)
                .unwrap();
            replies[place].clone()
        });

        let mut writer = Writer::start(File::open(&path).unwrap(), options(SyncPolicy::Always));
        writer.propose(&insert(20));
        writer.propose(&CHANGES[0].replace("<", ">"));
        writer.wait_for(2);
        // The reference is kept off while we have the file.
        let (mut command, _) = Server::command(&path, &[]);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("lock"), "{text}");
        writer.keeper.close().unwrap();
        drop(writer);
        assert_same_rows(&path, ask_tool(&path));
        let server = Server::start(&path, more);
        server.transact(&insert(30));
        drop(server);
        let rows = select(File::open(&path).unwrap().version(), SELECTS[0]);
        assert_eq!(rows.len(), 11);
        good("ovsdb-tool", &["compact", name]);
        assert_eq!(
            select(File::open(&path).unwrap().version(), SELECTS[0]),
            rows
        );
    }
}
