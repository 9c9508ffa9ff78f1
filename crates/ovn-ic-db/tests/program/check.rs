//! `ovn-ic-db check` on files of both kinds, good and bad.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use sha1::{Digest, Sha1};

use crate::program::{OLD_SCHEMAS, Program, old_database, tool};

/// Its exit code, and what it says.
fn check(files: &[&Path]) -> Result<(Option<i32>, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"))
        .arg("check")
        .args(files)
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(said)?))
}

/// A record as a file has it.
fn record(kind: &str, json: &str) -> String {
    let data = format!("{json}\n");
    let mut hash = String::new();
    for byte in Sha1::digest(&data) {
        let _ = write!(hash, "{byte:02x}");
    }
    format!("OVSDB {kind} {} {hash}\n{data}", data.len())
}

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";

#[test]
fn files_of_a_running_server_and_of_the_reference_are_good() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "one"])?;
    let (nb, sb) = (program.database("nb")?, program.database("sb")?);
    let (code, said) = check(&[&nb, &sb])?;
    ensure!(code == Some(0), "{said}");
    ensure!(
        said.contains("good: standalone OVN_IC_Northbound, schema 1.4.0, 2 rows"),
        "{said}"
    );
    let folder = tempfile::tempdir()?;
    let [cluster, joining] = ["cluster", "joining"].map(|name| folder.path().join(name));
    let schema = format!("{OLD_SCHEMAS}/ovn-ic-sb.ovsschema");
    let text = |path: &Path| path.display().to_string();
    tool(
        "ovsdb-tool",
        [
            "create-cluster",
            &text(&cluster),
            &schema,
            "tcp:127.0.0.1:1",
        ],
    )?;
    let arguments = [
        "join-cluster",
        &text(&joining),
        "OVN_IC_Southbound",
        "tcp:127.0.0.1:2",
        "tcp:127.0.0.1:1",
    ];
    tool("ovsdb-tool", arguments)?;
    let (code, said) = check(&[&cluster, &joining])?;
    ensure!(code == Some(0), "{said}");
    ensure!(
        said.contains("good: clustered OVN_IC_Southbound, schema 1.1.1, 0 rows"),
        "{said}"
    );
    ensure!(said.contains("has yet to join a cluster"), "{said}");
    Ok(())
}

#[test]
fn the_first_fault_of_a_standalone_file_has_its_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("f.db");
    let operation = r#"{"op":"insert","table":"Availability_Zone","row":{"name":"z"}}"#;
    old_database(&file, "sb", operation)?;
    let good = fs::read(&file)?;
    let end = good.len();
    let second = good.windows(6).rposition(|part| part == b"OVSDB ");
    let second = second.context("a second record")?;
    let with = |json: &str| [good.as_slice(), record("JSON", json).as_bytes()].concat();
    let zone = |uuid: &str, name: &str| {
        format!(r#"{{"Availability_Zone":{{"{uuid}":{{"name":"{name}"}}}}}}"#)
    };
    let mut flipped = with(&zone(ONE, "y"));
    flipped[second + 80] ^= 1;
    let torn = with(&zone(ONE, "y"));
    let torn = &torn[..torn.len() - 3];
    let mut last_flipped = with(&zone(ONE, "y"));
    let last = last_flipped.len() - 5;
    last_flipped[last] ^= 1;
    let cut = format!("bytes, from offset {end}: ");
    let dangling =
        format!(r#"{{"Gateway":{{"{ONE}":{{"name":"g","availability_zone":["uuid","{TWO}"]}}}}}}"#);
    let enumerated = format!(r#"{{"Encap":{{"{ONE}":{{"type":"nonsense","ip":"x"}}}}}}"#);
    let third = format!("fault: record 2, at offset {end}: ");
    let at_second = format!("fault: record 1, at offset {second}: ");
    for (bytes, code, words) in [
        (good.as_slice(), 0, vec!["1 rows"]),
        (
            torn,
            1,
            vec![
                &cut,
                "before that: standalone",
                "1 rows",
                "take another one",
            ],
        ),
        (&last_flipped, 1, vec![&cut, "SHA-1", "1 rows"]),
        (
            &flipped,
            1,
            vec![&at_second, "SHA-1", "an intact record follows"],
        ),
        (&with("{"), 1, vec![&third]),
        (&with("[]"), 1, vec![&third, "object expected"]),
        (&with(r#"{"No":{}}"#), 1, vec![&third, "No table named No"]),
        (
            &with(&zone(ONE, "z")),
            1,
            vec![&third, "identical values", "index"],
        ),
        (
            &with(&dangling),
            1,
            vec![&third, "references nonexistent row"],
        ),
        (
            &with(&enumerated),
            1,
            vec![&third, "(constraint violation)"],
        ),
        (&good[..30], 1, vec!["fault: record 0, at offset 0: "]),
        (b"", 1, vec!["fault: the file is empty"]),
        (b"hello", 1, vec!["fault: not an OVSDB file"]),
    ] {
        fs::write(&file, bytes)?;
        let (status, said) = check(&[&file])?;
        ensure!(status == Some(code), "{words:?}: {status:?} {said}");
        for word in words {
            ensure!(said.contains(word), "{word}: {said}");
        }
    }
    let (status, said) = check(&[&folder.path().join("none"), &file])?;
    ensure!(status == Some(2), "{said}");
    ensure!(
        said.contains("No such file") && said.contains("not an OVSDB"),
        "{said}"
    );
    let (status, said) = check(&[])?;
    ensure!(status == Some(2), "{said}");
    Ok(())
}

/// Only a server that has the file may be writing it.
#[test]
fn a_torn_end_is_no_fault_while_a_server_has_the_file() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let file = program.database("nb")?;
    let torn = record("JSON", "{}");
    let mut written = fs::File::options().append(true).open(&file)?;
    written.write_all(&torn.as_bytes()[..torn.len() - 2])?;
    let (code, said) = check(&[&file])?;
    ensure!(code == Some(0), "{said}");
    let pid = program.pid().context("it runs")?;
    for words in [
        ": good: standalone OVN_IC_Northbound",
        ": warning: the last ",
        &format!("process {pid} uses the file and may be writing"),
    ] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    program.signal(Signal::KILL)?;
    program.end()?;
    let (code, said) = check(&[&file])?;
    ensure!(code == Some(1), "{said}");
    ensure!(said.contains(": fault: the last "), "{said}");
    Ok(())
}

#[test]
fn what_cannot_be_said_is_no_success() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("f.db");
    old_database(&file, "sb", r#"{"op":"comment","comment":"x"}"#)?;
    let program = || Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"));
    let full = || fs::File::options().write(true).open("/dev/full");
    let output = program().arg("check").arg(&file).stdout(full()?).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.contains("cannot write the output: No space"), "{said}");
    // Nobody is there: that is a failure by itself, and is said once.
    let output = program()
        .args(["status", "--format=json", "--run-dir=/nowhere"])
        .stdout(full()?)
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.matches("cannot write").count() == 1, "{said}");
    // A reader that has gone wanted no more.
    let script = "\"$0\" check \"$1\" | true; exec \"$0\" check \"$1\" >/dev/null";
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", script, env!("CARGO_BIN_EXE_ovn-ic-db")]);
    ensure!(shell.arg(&file).status()?.success());
    Ok(())
}

#[test]
fn the_first_fault_of_a_clustered_file_has_its_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("f.db");
    let text = file.display().to_string();
    let schema = format!("{OLD_SCHEMAS}/ovn-ic-nb.ovsschema");
    tool(
        "ovsdb-tool",
        ["create-cluster", &text, &schema, "tcp:127.0.0.1:1"],
    )?;
    let good = fs::read(&file)?;
    let end = good.len();
    let entry = |index: u64, row: &str| {
        format!(
            r#"{{"term":1,"index":{index},"eid":"{ONE}","data":[null,{{"Transit_Switch":{row}}}]}}"#
        )
    };
    let (ts, twice) = (
        format!(r#"{{"{ONE}":{{"name":"a"}}}}"#),
        format!(r#"{{"{TWO}":{{"name":"a"}}}}"#),
    );
    let committed = r#"{"commit_index":2}"#.to_owned();
    for (records, number, words) in [
        (vec![entry(2, &ts), committed.clone()], None, "1 rows"),
        // What nobody has committed may be replaced, and is not applied.
        (
            vec![entry(2, &ts), entry(3, &twice), entry(2, "{}")],
            None,
            "0 rows",
        ),
        (
            vec![entry(2, &ts), entry(3, &twice)],
            Some(2),
            "the transaction of index 3 fails",
        ),
        (vec![entry(3, &ts)], Some(1), "does not follow"),
        (
            vec![entry(2, &ts), committed.clone(), entry(2, &twice)],
            Some(3),
            "attempts to replace",
        ),
        (
            vec![r#"{"commit_index":9}"#.to_owned()],
            Some(1),
            "advances commit index",
        ),
        (
            vec![
                format!(r#"{{"term":5,"vote":"{ONE}"}}"#),
                format!(r#"{{"term":5,"vote":"{TWO}"}}"#),
            ],
            Some(2),
            "votes for",
        ),
        (
            vec![r#"{"nonsense":1,"term":1}"#.to_owned()],
            Some(1),
            "nonsense",
        ),
    ] {
        let mut bytes = good.clone();
        let mut offset = end;
        for (place, json) in (1..).zip(&records) {
            if number == Some(place) {
                offset = bytes.len();
            }
            bytes.extend_from_slice(record("CLUSTER", json).as_bytes());
        }
        fs::write(&file, bytes)?;
        let (status, said) = check(&[&file])?;
        ensure!(said.contains(words), "{words}: {said}");
        let Some(number) = number else {
            ensure!(status == Some(0), "{said}");
            continue;
        };
        ensure!(status == Some(1), "{said}");
        let place = format!("fault: record {number}, at offset {offset}");
        ensure!(said.contains(&place), "{place}: {said}");
    }
    Ok(())
}
