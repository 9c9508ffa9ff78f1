//! `ovn-ic-db backup`, `restore` and `compact`, with servers of both kinds.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{Options, Program as Which, Server, Source, free_port};
use ovn_ic_db_tests::relay::{Afterwards, Moment, Relay};
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
fn a_connection_that_is_lost_each_time_is_no_writers_fault() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    says(&["backup", "--run-dir", run, folder])?;
    program.ctl("nb", &["ts-add", "wrong"])?;
    let server = ([127, 0, 0, 1], program.port("nb")?).into();
    let (moment, again) = (Moment::InRequest, Afterwards::CutAgain);
    let relay = Relay::start(server, "ovn-ic-db restore", moment, again)?;
    let remote = relay.remote();
    let line = ["restore", "--only=nb", "--nb", &remote, "--sb", &remote];
    let said = fails(&[&line[..], &[folder]].concat())?;
    let words = "of 20 attempts 20 lost the connection before the answer: everything or nothing";
    ensure!(said.contains(words), "{said}");
    ensure!(program.ctl("nb", &["ts-list"])?.contains("wrong"), "{said}");
    // It has arrived, and is seen to have.
    let relay = Relay::start(server, "ovn-ic-db restore", Moment::BeforeAnswer, again)?;
    let remote = relay.remote();
    let line = ["restore", "--only=nb", "--nb", &remote, "--sb", &remote];
    let said = says(&[&line[..], &[folder]].concat())?;
    ensure!(said.contains("  name=wrong"), "{said}");
    ensure!(
        !program.ctl("nb", &["ts-list"])?.contains("wrong"),
        "{said}"
    );
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
    let hint = "--only nb restores the other database";
    ensure!(said.contains(hint), "{said}");
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
    Ok(())
}

/// A server elsewhere may come, one of this machine is there or not.
#[test]
fn nobody_at_the_socket_is_told_at_once() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let (run, copies) = (temporary.path().join("run"), temporary.path().join("c"));
    fs::create_dir(&run)?;
    let (run, copies) = (text(&run)?, text(&copies)?);
    let start = Instant::now();
    let said = fails(&["backup", "--run-dir", run, copies])?;
    ensure!(said.contains("no server is there"), "{said}");
    ensure!(said.contains("ovn_ic_nb_db.sock: No such file"), "{said}");
    // One that has been left behind.
    drop(UnixListener::bind(
        temporary.path().join("run/ovn_ic_nb_db.sock"),
    )?);
    let said = fails(&["backup", "--run-dir", run, copies])?;
    ensure!(
        said.contains("ovn_ic_nb_db.sock: Connection refused"),
        "{said}"
    );
    ensure!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    let away = format!("tcp:127.0.0.1:{}", free_port()?);
    let line = ["--timeout=2", "--nb", &away, "--sb", &away, copies];
    let said = fails(&[&["backup"], &line[..]].concat())?;
    ensure!(said.contains("no server that leads within 2 s"), "{said}");
    Ok(())
}

/// What stands in the way of the second file is said with what has become of the first one.
#[test]
fn half_of_the_work_is_told() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    says(&["backup", "--run-dir", run, folder])?;
    let [north, south] = ["nb", "sb"].map(|side| copies.join(format!("ovn_ic_{side}_db.db")));
    // Nobody can write to a file of this name then.
    fs::create_dir(copies.join("ovn_ic_sb_db.db.tmp"))?;
    let said = fails(&["backup", "--run-dir", run, "--overwrite", folder])?;
    let words = format!("{} is written, but not the other one", north.display());
    ensure!(said.contains(&words), "{said}");
    let to = program.path("new");
    fs::create_dir_all(to.join("ovn_ic_sb_db.db.tmp"))?;
    let said = fails(&["restore", "--to", text(&to)?, folder])?;
    let words = format!("{}/ovn_ic_nb_db.db is written, but not", to.display());
    ensure!(said.contains(&words), "{said}");
    ensure!(said.contains("ovn_ic_sb_db.db.tmp"), "{said}");
    ensure!(
        to.join("ovn_ic_nb_db.db").exists() && south.exists(),
        "{said}"
    );
    Ok(())
}

/// Root makes files for the server's user.
#[test]
fn new_files_have_the_owner_of_their_folder() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let mut program = Program::new()?;
    program.start()?;
    let (run, copies) = (program.path("run"), program.path("copies"));
    let (run, folder) = (text(&run)?, text(&copies)?);
    says(&["backup", "--run-dir", run, folder])?;
    let owner = |path: &Path| -> Result<(u32, u32)> {
        let found = fs::symlink_metadata(path)?;
        Ok((found.uid(), found.gid()))
    };
    let own = owner(&copies)?;
    ensure!(owner(&copies.join("ovn_ic_nb_db.db"))? == own);
    let home = program.path("home");
    fs::create_dir(&home)?;
    chown(&home, Some(65534), Some(65533))?;
    let to = home.join("etc/ovn");
    says(&["restore", "--to", text(&to)?, folder])?;
    for name in ["", "ovn_ic_nb_db.db", ".ovn_ic_sb_db.db.~lock~"] {
        ensure!(owner(&to.join(name))? == (65534, 65533), "{name}");
    }
    // In another file's place, its owner stays.
    let file = copies.join("ovn_ic_nb_db.db");
    chown(&file, Some(7), Some(8))?;
    chown(&copies, Some(65534), Some(65533))?;
    says(&["backup", "--run-dir", run, "--overwrite", folder])?;
    ensure!(owner(&file)? == (7, 8));
    let south = owner(&copies.join("ovn_ic_sb_db.db"))?;
    ensure!(south == own, "{south:?}");
    Ok(())
}
