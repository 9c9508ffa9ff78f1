//! What keeps the program from starting: each is said, and nothing is touched.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ovn_ic_db_tests::process::{Options, Program as Which, Server, Source, require};
use std::process::Command;

use crate::program::{OLD_SCHEMAS, Program, old_database, tool};

const SWITCH: &str = r#"{"op":"insert","table":"Transit_Switch","row":{"name":"old"}}"#;

/// The start fails with these words, leaves the file alone, and leaves nothing in the run folder.
fn refuses(program: &mut Program, file: &Path, words: &[&str]) -> Result<()> {
    let before = fs::read(file)?;
    let (status, said) = program.fails()?;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains(&file.display().to_string()), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(fs::read(file)? == before, "the file is touched");
    assert_eq!(program.run_folder()?, Vec::<String>::new());
    // The other side's file was not made either.
    for entry in fs::read_dir(program.path("db"))? {
        let name = entry?.file_name();
        let of_file = name.to_string_lossy().contains("ovn_ic_nb_db.db");
        assert!(of_file || name == ".ovn_ic_sb_db.db.~lock~", "{name:?}");
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_used() -> Result<()> {
    let mut program = Program::new()?;
    let file = program.database("nb")?;
    old_database(&file, "nb", SWITCH)?;
    let good = fs::read(&file)?;

    // One flipped byte before the last record.
    let mut damaged = good.clone();
    damaged[200] ^= 1;
    fs::write(&file, damaged)?;
    let check = format!("`ovn-ic-db check {}`", file.display());
    refuses(
        &mut program,
        &file,
        &["damaged at offset 0", &check, "move it away"],
    )?;

    fs::write(&file, "")?;
    refuses(
        &mut program,
        &file,
        &["empty", "put a good copy in its place"],
    )?;

    fs::write(&file, "no database\n")?;
    refuses(&mut program, &file, &["not an OVSDB file", &check])?;

    let path = file.to_str().context("UTF-8")?;
    fs::remove_file(&file)?;
    tool(
        "ovsdb-tool",
        ["create", path, &format!("{OLD_SCHEMAS}/ovn-nb.ovsschema")],
    )?;
    refuses(
        &mut program,
        &file,
        &[
            "OVN_Northbound, not OVN_IC_Northbound; put the right file",
            "OVN_DBDIR",
        ],
    )?;

    // And the good one is still good.
    fs::write(&file, good)?;
    program.start()?;
    assert!(program.ctl("nb", &["show"])?.contains("old"));
    Ok(())
}

#[test]
fn a_second_server_of_ours() -> Result<()> {
    let mut first = Program::new()?;
    first.start()?;
    first.ctl("nb", &["ts-add", "kept"])?;
    let in_folders = |db: &Program, run: &Program| -> Result<Program> {
        Ok(Program::new()?
            .set("OVN_DBDIR", &db.path("db").display().to_string())
            .set("OVN_RUNDIR", &run.path("run").display().to_string()))
    };
    let pid = first.pid().context("a process")?;

    // The same run folder: the pid file.
    let (status, said) = in_folders(&first, &first)?.fails()?;
    assert_eq!(status, 1);
    assert!(
        said.contains(&format!(
            "already running as pid {pid}, aborting; stop that server first"
        )),
        "{said}"
    );

    // The same files: the lock.
    let mut second = Program::new()?;
    second = second.set("OVN_DBDIR", &first.path("db").display().to_string());
    let (status, said) = second.fails()?;
    assert_eq!(status, 1);
    assert!(
        said.contains(&format!(
            "is locked by process {pid}; stop that server first"
        )),
        "{said}"
    );
    assert_eq!(second.run_folder()?, Vec::<String>::new());

    // The same port.
    let port = format!("--nb-port={}", first.port("nb")?);
    let mut second = Program::new()?.arguments(&["run", &port, "--sb-port=0"]);
    let (status, said) = second.fails()?;
    assert_eq!(status, 1);
    assert!(said.contains("ptcp:") && said.contains("in use"), "{said}");
    for words in ["`ss -ltnp sport = :", "OVN_IC_DB_NB_PORT or --nb-port"] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(second.run_folder()?, Vec::<String>::new());

    // The port for other members.
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = taken.local_addr()?.port().to_string();
    let mut second = Program::new()?
        .set("LOCAL_IP", "127.0.0.1")
        .set("NODE_IPS", "127.0.0.1")
        .set("OVN_IC_DB_SB_RAFT_PORT", &port);
    let nb = ovn_ic_db_tests::process::free_port()?.to_string();
    second = second.set("OVN_IC_DB_NB_RAFT_PORT", &nb);
    let (status, said) = second.fails()?;
    assert_eq!(status, 1);
    for words in ["127.0.0.1", "in use", "OVN_IC_DB_SB_RAFT_PORT"] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(second.run_folder()?, Vec::<String>::new());

    // The first one has noticed nothing.
    assert!(first.ctl("nb", &["show"])?.contains("kept"));
    assert_eq!(first.run_folder()?.len(), 6);
    first.stop()
}

#[test]
fn the_replaced_server_and_ours_keep_each_other_off() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    let file = program.database("nb")?;
    let mut command = Command::new(require("ovsdb-server", "openvswitch-common")?);
    let output = command
        .args(["--no-chdir", "--unixctl=none", "--log-file=/dev/null"])
        .arg(&file)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("lock"), "{said}");
    assert!(tool("ovsdb-tool", [OsStr::new("compact"), file.as_os_str()]).is_err());
    program.stop()?;

    let server = Server::start(Which::Reference, &Source::File(file), &Options::default())?;
    let (status, said) = program.fails()?;
    assert_eq!(status, 1);
    let pid = server.pid().context("a process")?;
    assert!(
        said.contains(&format!("is locked by process {pid}")),
        "{said}"
    );
    assert_eq!(program.run_folder()?, Vec::<String>::new());
    drop(server);
    program.start()
}

#[test]
fn a_stale_run_folder_is_no_hindrance() -> Result<()> {
    let mut program = Program::new()?;
    program.start()?;
    program.signal(rustix::process::Signal::KILL)?;
    program.end()?;
    assert_eq!(program.run_folder()?.len(), 6);
    program.start()?;
    program.stop()?;
    assert_eq!(program.run_folder()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn wrong_settings_end_it_with_status_2() -> Result<()> {
    for (name, value, words) in [
        ("TS_NUM", "many", "TS_NUM=many: must be a number"),
        ("OVN_IC_DB_DURABLE", "maybe", "must be always or asked"),
        ("ENABLE_SSL", "1", "must be true or false"),
        ("OVN_IC_DB_PLAINTEXT", "refuse", "set ENABLE_SSL=true"),
        (
            "NODE_IPS",
            "10.0.0.1,10.0.0.2",
            "neither LOCAL_IP nor POD_IP",
        ),
        ("LOCAL_IP", "10.0.0.1", "needs NODE_IPS, too"),
        ("POD_IP", "10.0.0.1", "needs NODE_IPS, too"),
        ("LEADER_IP", "10.0.0.1", "needs LOCAL_IP and NODE_IPS, too"),
    ] {
        let mut program = Program::new()?.set(name, value);
        let (status, said) = program.fails()?;
        assert_eq!(status, 2, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!program.path("db").exists() && !program.path("run").exists());
    }
    let nodes = "192.0.2.1,192.0.2.2,192.0.2.3";
    let mut program = Program::new()?
        .set("NODE_IPS", nodes)
        .set("LOCAL_IP", "192.0.2.1");
    let (status, said) = program.fails()?;
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains("LOCAL_IP=192.0.2.1: is not an address of this machine"),
        "{said}"
    );
    assert!(!program.path("db").exists() && !program.path("run").exists());
    // 192.0.2.0/24 is nobody's (RFC 5737).
    let words = "=192.0.2.1: is not an address of this machine";
    for (name, value) in [
        ("OVN_IC_DB_LISTEN", "127.0.0.1,192.0.2.1"),
        ("OVN_IC_DB_HTTP", "192.0.2.1:6649"),
        ("POD_IP", "192.0.2.1"),
    ] {
        let mut program = Program::new()?.set(name, value);
        if name == "POD_IP" {
            program = program
                .set("LOCAL_IP", "127.0.0.1")
                .set("NODE_IPS", "127.0.0.1");
        }
        let (status, said) = program.fails()?;
        assert_eq!(status, 2, "{said}");
        assert!(said.contains(&format!("{name}{words}")), "{said}");
        assert!(!program.path("db").exists() && !program.path("run").exists());
    }
    let (status, said) = Program::new()?.arguments(&["run", "--bogus"]).fails()?;
    assert_eq!(status, 2);
    assert!(said.contains("--bogus"), "{said}");
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_used() -> Result<()> {
    // Nobody, not even root, makes a folder in a file.
    let mut program = Program::new()?;
    let file = program.path("file");
    fs::write(&file, "")?;
    program = program.set("OVN_DBDIR", &file.join("db").display().to_string());
    let (status, said) = program.fails()?;
    assert_eq!(status, 1);
    assert!(
        said.contains("OVN_DBDIR") && said.contains("file/db"),
        "{said}"
    );
    Ok(())
}

#[test]
fn what_is_not_known_is_a_warning() -> Result<()> {
    let mut program = Program::new()?
        .set("OVN_IC_DB_NB_PROT", "1")
        .set("OVN_IC_DB_CA_CERT", "/x");
    program.start()?;
    let said = program.said();
    let warned = |word: &str| {
        let mut lines = said.lines().filter(|line| line.contains("|WARN|"));
        lines.any(|line| line.contains(word))
    };
    assert!(
        warned("OVN_IC_DB_NB_PROT") && warned("has no effect without ENABLE_SSL=true"),
        "{said}"
    );
    Ok(())
}
