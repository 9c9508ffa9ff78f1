//! `ovn-ic-db backup`, `restore` and `compact`, with servers of both kinds.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Options, Program as Which, Server, Source, free_port};
use serde_json::{Value, json};

use crate::program::{OLD_SCHEMAS, Program, tool};

const DATABASES: [(&str, &str); 2] = [("nb", "OVN_IC_Northbound"), ("sb", "OVN_IC_Southbound")];

fn command<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-ic-db"));
    Ok(command.args(arguments).output()?)
}

/// What a command says that succeeds.
fn says(arguments: &[&str]) -> Result<String> {
    let output = command(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    ensure!(errors.is_empty(), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What one says that fails.
fn fails(arguments: &[&str]) -> Result<String> {
    let output = command(arguments)?;
    ensure!(output.status.code() == Some(1), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stderr)?)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}

/// An availability zone, and a gateway that refers to it and to its encapsulation.
fn zone(name: &str) -> [Value; 3] {
    [
        json!({"op": "insert", "table": "Availability_Zone", "uuid-name": "az", "row": {"name": name}}),
        json!({"op": "insert", "table": "Encap", "uuid-name": "e", "row": {"type": "geneve", "ip": "10.0.0.1"}}),
        json!({"op": "insert", "table": "Gateway", "row": {
            "name": name, "availability_zone": ["named-uuid", "az"], "encaps": ["named-uuid", "e"],
            "external_ids": ["map", [["a b", "c\"d"]]]
        }}),
    ]
}

/// All rows of these tables, without their versions.
fn rows(client: &mut Client, database: &str, tables: &[&str]) -> Result<Value> {
    let mut all = Vec::new();
    for table in tables {
        let select = json!({"op": "select", "table": table, "where": []});
        let results = client.transact(database, &[select])?;
        let mut rows = results[0]["rows"].as_array().context("rows")?.clone();
        for row in &mut rows {
            row.as_object_mut().context("a row")?.remove("_version");
        }
        rows.sort_by_key(Value::to_string);
        all.push(Value::Array(rows));
    }
    Ok(Value::Array(all))
}

const SOUTH: [&str; 3] = ["Availability_Zone", "Encap", "Gateway"];

#[test]
fn a_copy_of_ours_is_a_database_for_everybody() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "one"])?;
    let mut south = program.client("sb")?;
    south.transact("OVN_IC_Southbound", &zone("z"))?;
    let before = rows(&mut south, "OVN_IC_Southbound", &SOUTH)?;
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    let said = says(&["backup", "--run-dir", run, folder])?;
    ensure!(
        said.contains("OVN_IC_Southbound: schema 2.7.0, 3 rows, "),
        "{said}"
    );
    ensure!(said.lines().count() == 2, "{said}");

    let refused = fails(&["backup", "--run-dir", run, folder])?;
    ensure!(refused.contains("exists already; --overwrite"), "{refused}");
    program.ctl("nb", &["ts-add", "two"])?;
    let said = says(&[
        "backup",
        "--run-dir",
        run,
        "--overwrite",
        "--only=nb",
        folder,
    ])?;
    ensure!(
        said.contains("Northbound") && said.lines().count() == 1,
        "{said}"
    );
    // Never onto the files of a server that runs.
    let databases = program.path("db");
    let refused = fails(&["backup", "--run-dir", run, "--overwrite", text(&databases)?])?;
    ensure!(refused.contains("is locked by process"), "{refused}");

    for (side, name) in DATABASES {
        let file = copies.join(format!("ovn_ic_{side}_db.db"));
        ensure!(tool("ovsdb-tool", ["db-name", text(&file)?])?.trim() == name);
    }
    let file = Source::File(copies.join("ovn_ic_sb_db.db"));
    let reference = Server::start(Which::Reference, &file, &Options::default())?;
    let read = rows(&mut reference.client()?, "OVN_IC_Southbound", &SOUTH)?;
    ensure!(read == before, "{read}\n{before}");
    drop(reference);

    let mut other = Program::new()?;
    let new = other.path("db");
    let said = says(&["restore", "--to", text(&new)?, folder])?;
    ensure!(said.contains("3 rows"), "{said}");
    let refused = fails(&["restore", "--to", text(&new)?, folder])?;
    ensure!(
        refused.contains("exists already; nothing was changed"),
        "{refused}"
    );
    other.start()?;
    let read = rows(&mut other.client("sb")?, "OVN_IC_Southbound", &SOUTH)?;
    ensure!(read == before, "{read}");
    let shown = other.ctl("nb", &["ts-list"])?;
    ensure!(shown.contains("one") && shown.contains("two"), "{shown}");
    Ok(())
}

/// Servers of the reference for both databases: alone, or each a cluster of one.
fn reference(folder: &Path, clustered: bool) -> Result<[Server; 2]> {
    let [nb, sb] = DATABASES.map(|(side, _)| {
        let schema = format!("{OLD_SCHEMAS}/ovn-ic-{side}.ovsschema");
        let source = match clustered {
            false => Source::Schema(schema.into()),
            true => {
                let file = folder.join(side);
                let address = format!("tcp:127.0.0.1:{}", free_port()?);
                tool(
                    "ovsdb-tool",
                    ["-voff", "create-cluster", text(&file)?, &schema, &address],
                )?;
                Source::File(file)
            }
        };
        Server::start(Which::Reference, &source, &Options::default())
    });
    Ok([nb?, sb?])
}

#[test]
fn the_reference_is_copied_and_restored_alone_and_clustered() -> Result<()> {
    for clustered in [false, true] {
        let temporary = tempfile::tempdir()?;
        let [north, south] = reference(temporary.path(), clustered)?;
        let remote = |server: &Server| format!("unix:/nowhere,unix:{}", server.socket().display());
        let (nb, sb) = (remote(&north), remote(&south));
        let copies = temporary.path().join("copies");
        let folder = text(&copies)?;
        let mut client = south.client()?;
        client.transact("OVN_IC_Southbound", &zone("z"))?;
        let before = rows(&mut client, "OVN_IC_Southbound", &SOUTH)?;
        says(&["backup", "--nb", &nb, "--sb", &sb, folder])?;

        let change = [
            json!({"op": "delete", "table": "Gateway", "where": []}),
            json!({"op": "update", "table": "Availability_Zone", "where": [], "row": {"name": "other"}}),
        ];
        client.transact("OVN_IC_Southbound", &change)?;
        client.transact("OVN_IC_Southbound", &zone("new"))?;
        let changed = rows(&mut client, "OVN_IC_Southbound", &SOUTH)?;
        let shown = says(&["restore", "--dry-run", "--nb", &nb, "--sb", &sb, folder])?;
        for line in [
            "OVN_IC_Northbound: holds what the copy holds already",
            "OVN_IC_Southbound: 2 rows would be inserted, 3 deleted, 1 changed",
            "  name: other -> z",
            r#"external_ids={"a b"="c\"d"}"#,
        ] {
            ensure!(shown.contains(line), "{line}: {shown}");
        }
        ensure!(rows(&mut client, "OVN_IC_Southbound", &SOUTH)? == changed);
        let done = says(&["restore", "--nb", &nb, "--sb", &sb, folder])?;
        ensure!(done == shown.replace("would be ", ""), "{done}");
        let after = rows(&mut client, "OVN_IC_Southbound", &SOUTH)?;
        ensure!(after == before, "{after}");
    }
    Ok(())
}

#[test]
fn a_restore_among_writers_does_what_it_shows() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    for number in 0..50 {
        program.ctl("nb", &["ts-add", &format!("s{number}")])?;
    }
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    says(&["backup", "--run-dir", run, folder])?;
    let (over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut writer = program.client("nb")?;
    let said = std::thread::scope(|scope| -> Result<String> {
        let writing = scope.spawn(|| -> Result<Vec<Value>> {
            let mut added = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let row = json!({"name": format!("w{}", added.len())});
                let insert = json!({"op": "insert", "table": "Transit_Switch", "row": row});
                let results = writer.transact("OVN_IC_Northbound", &[insert])?;
                added.push(results[0]["uuid"][1].clone());
                written.store(added.len(), Ordering::Relaxed);
                // Others write now and then, not all the time.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Ok(added)
        });
        let begun = program.wait("some rows", |_| {
            Ok((written.load(Ordering::Relaxed) > 3).then_some(()))
        });
        let said = begun.and_then(|()| says(&["restore", "--run-dir", run, "--only=nb", folder]));
        over.store(true, Ordering::Relaxed);
        let added = writing.join().expect("no panic")?;
        let said = said?;
        // What was there at that moment is gone, and all of it was shown.
        let mut client = program.client("nb")?;
        let left = rows(&mut client, "OVN_IC_Northbound", &["Transit_Switch"])?.to_string();
        for uuid in added {
            let uuid = uuid.as_str().context("a UUID")?;
            ensure!(said.contains(uuid) != left.contains(uuid), "{uuid}: {said}");
        }
        Ok(said)
    })?;
    ensure!(said.contains(" 0 rows inserted, "), "{said}");
    Ok(())
}

#[test]
fn bad_copies_change_nothing() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.ctl("nb", &["ts-add", "one"])?;
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    says(&["backup", "--run-dir", run, folder])?;
    program.ctl("nb", &["ts-add", "two"])?;
    let south = copies.join("ovn_ic_sb_db.db");
    let good = fs::read(&south)?;
    let mut damaged = good.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    let north = fs::read(copies.join("ovn_ic_nb_db.db"))?;
    let second = |bytes: &[u8]| bytes.windows(6).rposition(|part| part == b"OVSDB ");
    let schema_alone = &good[..second(&good).context("a second record")?];
    for (bytes, words) in [
        (&good[..good.len() - 10], "cut short or damaged"),
        (&damaged, "cut short or damaged"),
        (schema_alone, "cut short"),
        (&good[..10], "fault"),
        (&north, "holds the database OVN_IC_Northbound, not"),
        (b"", "the file is empty"),
        (b"{}", "not an OVSDB file"),
    ] {
        fs::write(&south, bytes)?;
        let said = fails(&["restore", "--run-dir", run, folder])?;
        let words = if words == "fault" {
            "at offset 0"
        } else {
            words
        };
        ensure!(said.contains(words), "{words}: {said}");
        ensure!(said.contains("nothing was changed"), "{said}");
    }
    fs::remove_file(&south)?;
    let said = fails(&["restore", "--run-dir", run, folder])?;
    ensure!(said.contains("No such file"), "{said}");
    let shown = program.ctl("nb", &["ts-list"])?;
    ensure!(shown.contains("two"), "{shown}");
    Ok(())
}

#[test]
fn a_copy_of_a_newer_schema_is_refused_where_it_would_lose_something() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let router = json!({"op": "insert", "table": "Transit_Router", "row": {"name": "r"}});
    let mut client = program.client("nb")?;
    client.transact("OVN_IC_Northbound", &[router])?;
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    says(&["backup", "--run-dir", run, folder])?;
    let temporary = tempfile::tempdir()?;
    let [north, south] = reference(temporary.path(), false)?;
    let remote = |server: &Server| format!("unix:{}", server.socket().display());
    let (nb, sb) = (remote(&north), remote(&south));
    let said = fails(&["restore", "--nb", &nb, "--sb", &sb, folder])?;
    ensure!(said.contains("1 rows of Transit_Router"), "{said}");
    ensure!(said.contains("nothing was changed"), "{said}");

    // Without it, the copy fits; and an old one fits a new server.
    let delete = json!({"op": "delete", "table": "Transit_Router", "where": []});
    client.transact("OVN_IC_Northbound", &[delete])?;
    program.ctl("nb", &["ts-add", "one"])?;
    says(&["backup", "--run-dir", run, "--overwrite", folder])?;
    says(&["restore", "--nb", &nb, "--sb", &sb, folder])?;
    let old = temporary.path().join("old");
    says(&["backup", "--nb", &nb, "--sb", &sb, text(&old)?])?;
    let said = says(&["restore", "--run-dir", run, text(&old)?])?;
    ensure!(
        said.matches("holds what the copy holds already").count() == 2,
        "{said}"
    );
    Ok(())
}

#[test]
fn a_file_is_made_short() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    for name in ["one", "two", "three"] {
        program.ctl("nb", &["ts-add", name])?;
        program.ctl("nb", &["ts-del", name])?;
    }
    let run = program.path("run");
    let said = says(&["compact", "--run-dir", text(&run)?, "--only=nb"])?;
    let size = fs::metadata(program.database("nb")?)?.len();
    ensure!(said.contains(&format!(" to {size} bytes")), "{said}");
    program.stop()?;
    let said = fails(&["compact", "--run-dir", text(&run)?])?;
    ensure!(said.matches("ovn_ic_").count() == 2, "{said}");
    let said = fails(&[
        "backup",
        "--timeout=1",
        "--run-dir",
        text(&run)?,
        text(&run)?,
    ])?;
    ensure!(said.contains("no server that leads within 1 s"), "{said}");
    Ok(())
}
