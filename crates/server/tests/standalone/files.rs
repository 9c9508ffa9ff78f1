//! Opening, making and rewriting files.

use std::path::Path;
use std::sync::Arc;

use ovsdb::Schema;
use ovsdb_engine::convert::convert;
use ovsdb_log::{Disk, LogError, Magic, RecordBuffer};
use ovsdb_server::standalone::{File, OpenError};

use crate::failing_disk::{FailingDisk, Switches};
use crate::writer::{POLICIES, SCHEMA, Writer, contents, in_file, options, schema};

#[test]
fn what_was_kept_is_there_after_opening_again() {
    for policy in POLICIES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = Writer::create(&FailingDisk::default(), &path, options(policy));
        for n in 0..50 {
            writer.propose(&format!(
                r#"{{"op":"insert","table":"u","row":{{"n":{n}}},"uuid-name":"u"}},
                   {{"op":"insert","table":"t","row":{{"n":{n},"seen":7,
                     "set":["set",["a","b{n}"]],"map":["map",[["k","{n}"],["l","x"]]],
                     "refs":["named-uuid","u"]}}}},{{"op":"comment","comment":"number {n}"}}"#
            ));
        }
        writer.propose(
            r#"{"op":"mutate","table":"t","where":[["n","<",20]],
                "mutations":[["set","insert","c"],["map","delete",["set",["k"]]]]},
               {"op":"update","table":"t","where":[["n",">",40]],"row":{"n":99}}"#,
        );
        writer.propose(r#"{"op":"delete","table":"t","where":[["n","==",3]]}"#);
        let before = writer.wait_for(52).len();
        // Changes of what does not last leave no record.
        writer.propose(r#"{"op":"update","table":"t","where":[],"row":{"seen":8}}"#);
        writer.wait_for(before + 1);
        let expected = contents(&writer.head);
        writer.keeper.close().unwrap();
        assert_eq!(writer.keeper.status().records, 53);
        drop(writer);
        let file = File::open(&path).unwrap();
        assert_eq!(contents(file.version()), expected);
        assert_eq!(file.version().row_count(), 98, "49 rows and what they hold");
        assert_eq!(file.path(), std::fs::canonicalize(&path).unwrap());
    }
}

#[test]
fn a_new_file_does_not_overwrite_an_old_one_and_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let file = File::create(&path, schema()).unwrap();
    for result in [File::open(&path), File::create(&path, schema())] {
        assert!(
            matches!(result, Err(OpenError::Log(LogError::Locked { .. }))),
            "{result:?}"
        );
    }
    drop(file);
    let before = std::fs::read(&path).unwrap();
    let result = File::create(&path, schema());
    assert!(
        matches!(result, Err(OpenError::Log(LogError::Exists { .. }))),
        "{result:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(File::open(&path).unwrap().version().row_count(), 0);
}

fn records(texts: &[&str]) -> Vec<u8> {
    let mut buffer = RecordBuffer::new(Magic::Json);
    for text in texts {
        buffer.record(|out| out.extend_from_slice(text.as_bytes()));
    }
    buffer.as_bytes().to_vec()
}

fn refusal(path: &Path, bytes: &[u8]) -> OpenError {
    std::fs::write(path, bytes).unwrap();
    let error = File::open(path).unwrap_err();
    assert_eq!(std::fs::read(path).unwrap(), bytes, "unchanged");
    error
}

#[test]
fn a_record_that_makes_no_sense_is_refused_with_its_offset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let good = r#"{"t":{"00000000-0000-4000-8000-000000000001":{"n":1}}}"#;
    let behind = records(&[SCHEMA, good]).len() as u64;
    for bad in [
        "{",
        "[1]",
        r#"{"nowhere":{}}"#,
        r#"{"t":{"00000000-0000-4000-8000-000000000001":{"nothing":1}}}"#,
        r#"{"t":{"00000000-0000-4000-8000-000000000002":null}}"#,
        r#"{"t":{"00000000-0000-4000-8000-000000000001":{"n":"x"}}}"#,
        r#"{"t":{"00000000-0000-4000-8000-000000000003":{"refs":["uuid","00000000-0000-4000-8000-000000000009"]}}}"#,
    ] {
        match refusal(&path, &records(&[SCHEMA, good, bad, good])) {
            OpenError::Record { offset, .. } => assert_eq!(offset, behind, "{bad}"),
            error => panic!("{bad}: {error}"),
        }
    }
    let error = refusal(&path, &records(&["{}", good]));
    assert!(
        matches!(error, OpenError::Record { offset: 0, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("a.db: record at offset 0: "),
        "{error}"
    );
    let error = refusal(&path, b"");
    assert!(
        matches!(error, OpenError::Log(LogError::Empty { .. })),
        "{error}"
    );
    let cluster = String::from_utf8(records(&["{}"]))
        .unwrap()
        .replace("JSON", "CLUSTER");
    let error = refusal(&path, cluster.as_bytes());
    assert!(
        matches!(error, OpenError::Log(LogError::OtherKind { .. })),
        "{error}"
    );
}

#[test]
fn a_torn_end_is_told_and_dropped_by_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let good = records(&[
        SCHEMA,
        r#"{"t":{"00000000-0000-4000-8000-000000000001":{"n":1}}}"#,
    ]);
    std::fs::write(&path, [&good[..], b"OVSDB JSON 7 00"].concat()).unwrap();
    let file = File::open(&path).unwrap();
    let torn = file.torn().unwrap();
    assert_eq!((torn.offset, torn.length), (good.len() as u64, 15));
    assert_eq!(
        std::fs::metadata(&path).unwrap().len(),
        good.len() as u64 + 15
    );
    let said = file.save_torn().unwrap();
    let copy = format!("{}.torn-{}", path.display(), good.len());
    assert!(
        said.contains("the last 15 bytes") && said.contains(&copy),
        "{said}"
    );
    assert_eq!(std::fs::read(copy).unwrap(), b"OVSDB JSON 7 00");
    let mut writer = Writer::start(file, options(POLICIES[0]));
    writer.insert(2);
    writer.wait_for(1);
    assert_eq!(writer.head.row_count(), 2);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
}

#[test]
fn a_rewritten_file_has_the_other_schema_and_a_failed_one_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let disk = FailingDisk::default();
    let mut writer = Writer::create(&disk, &path, options(POLICIES[0]));
    for n in 0..100 {
        writer.insert(n);
    }
    writer.wait_for(100);
    writer.keeper.close().unwrap();
    drop(writer);
    let newer = SCHEMA
        .replace("1.0.0", "2.0.0")
        .replace("\"seen\"", "\"looked\"");
    let newer = Arc::new(Schema::from_text(newer.as_bytes()).unwrap());
    let mut file = File::open_on(Arc::new(disk.clone()), &path).unwrap();
    let converted = convert(file.version(), newer, &mut ovsdb::Uuid::new_v4).unwrap();
    let before = (std::fs::read(&path).unwrap(), contents(file.version()));
    for switch in [&disk.0.full, &disk.0.sync_fails, &disk.0.rename_fails] {
        Switches::set(switch, true);
        let error = file.rewrite(converted.clone()).unwrap_err();
        assert!(
            matches!(error, OpenError::Log(LogError::Io { .. })),
            "{error}"
        );
        Switches::set(switch, false);
        assert_eq!(std::fs::read(&path).unwrap(), before.0);
        assert_eq!(contents(file.version()), before.1);
        assert!(!folder.path().join("a.db.tmp").exists());
    }
    file.rewrite(converted.clone()).unwrap();
    assert_eq!(contents(file.version()), contents(&converted));
    let mut writer = Writer::start(file, options(POLICIES[0]));
    writer.insert(100);
    writer.wait_for(1);
    let expected = contents(&writer.head);
    writer.keeper.close().unwrap();
    drop(writer);
    assert_eq!(in_file(&path), expected);
    assert!(expected.contains("2.0.0"));
    assert!(std::fs::metadata(&path).unwrap().len() < before.0.len() as u64);
    drop(File::open_on(Arc::new(Disk), &path).unwrap());
}
