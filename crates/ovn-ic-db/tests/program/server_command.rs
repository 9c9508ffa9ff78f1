//! `ovn-ic-db ovsdb-server`, with the replaced program's command line.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::client::Client;
use ovn_ic_db_tests::process::{free_port, require, wait_for};
use serde_json::json;

use crate::program::{DEADLINE, OLD_SCHEMAS, Program, tool};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ovn-ic-db");

fn create(file: &Path, schema: &str) -> Result<()> {
    let schema = format!("{OLD_SCHEMAS}/{schema}.ovsschema");
    tool(
        "ovsdb-tool",
        ["create".as_ref(), file.as_os_str(), schema.as_ref()],
    )?;
    Ok(())
}

fn output(program: &Path, arguments: &[&str], folder: &Path) -> Result<Output> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    Ok(command.env("OVS_RUNDIR", folder).output()?)
}

#[test]
fn any_databases_are_served_together() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    create(&folder.path().join("a.db"), "ovn-nb")?;
    create(&folder.path().join("b.db"), "ovn-ic-sb")?;
    let port = free_port()?;
    let remotes = [
        format!("ptcp:{port}:127.0.0.1"),
        format!("punix:{}", at("db.sock")),
    ];
    let (first, second) = (
        format!("--remote={}", remotes[0]),
        format!("--remote={}", remotes[1]),
    );
    let (control, pid) = (
        format!("--unixctl={}", at("db.ctl")),
        format!("--pidfile={}", at("db.pid")),
    );
    let (log, a, b) = (
        format!("--log-file={}", at("db.log")),
        at("a.db"),
        at("b.db"),
    );
    let arguments = [
        "ovsdb-server",
        "--no-chdir",
        &first,
        &second,
        &control,
        &pid,
        &log,
        "-vconsole:off",
        "--durable=always",
        &a,
        &b,
    ];
    let mut program = Program::new()?.arguments(&arguments);
    program.launch()?;
    let mut client = program.wait("an answer", |_| {
        let Ok(mut client) = Client::tcp(([127, 0, 0, 1], port).into()) else {
            return Ok(None);
        };
        client.call("list_dbs", json!([]))?;
        Ok(Some(client))
    })?;
    let names = client.call("list_dbs", json!([]))?;
    assert_eq!(
        names,
        json!(["OVN_IC_Southbound", "OVN_Northbound", "_Server"])
    );
    let appctl = |command: &str| tool("ovs-appctl", ["-t", &at("db.ctl"), command]);
    assert_eq!(
        appctl("ovsdb-server/list-remotes")?,
        remotes.join("\n") + "\n"
    );
    assert!(appctl("version")?.starts_with("ovsdb-server (ovn-ic-db) "));
    let socket = format!("unix:{}", at("db.sock"));
    assert_eq!(
        tool("ovsdb-client", ["list-dbs", &socket])?.lines().count(),
        3
    );
    let insert = json!({"op": "insert", "table": "Logical_Switch", "row": {"name": "sw"}});
    client.transact("OVN_Northbound", &[insert])?;
    assert!(Path::new(&at("db.pid")).exists());
    let log = fs::read_to_string(at("db.log"))?;
    assert!(
        log.contains("OVN_Northbound: ") && log.contains("OVN_IC_Southbound: "),
        "{log}"
    );
    program.stop()?;
    assert_eq!(program.said(), "", "nothing on the console");
    for gone in ["db.pid", "db.ctl", "db.sock"] {
        assert!(!Path::new(&at(gone)).exists(), "{gone}");
    }
    // Its schema is nobody's business: nothing was converted.
    assert_eq!(
        fs::read_dir(folder.path())?.count(),
        5,
        "two databases, their locks, the log"
    );
    Ok(())
}

#[test]
fn what_it_cannot_do_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    create(&folder.path().join("a.db"), "ovn-ic-nb")?;
    fs::copy(folder.path().join("a.db"), folder.path().join("b.db"))?;
    let before = fs::read(folder.path().join("a.db"))?;
    for (arguments, words) in [
        (&["--bogus"][..], "unrecognized option '--bogus'"),
        (&["--replay", "a.db"], "'--replay' is not supported"),
        (
            &["-vnothing", "a.db"],
            "no destination, level, or module \"nothing\"",
        ),
        (&["none.db"], "I/O error: none.db: open failed"),
        (
            &["a.db", "b.db"],
            "ovsdb error: OVN_IC_Northbound: duplicate database name",
        ),
        (&["a.db", "./a.db"], "a.db: already open"),
        (
            &["--remote=db:OVN_IC_Northbound,None,connections", "a.db"],
            "no table named None",
        ),
        (&["--config-file=none.json"], "none.json"),
        (
            &["--config-file=c", "a.db"],
            "Databases should be specified in a config file",
        ),
        (&["--unixctl=/proc/none/a.ctl", "a.db"], "/proc/none/a.ctl"),
        (&["--detach", "none.db"], "none.db"),
    ] {
        let all = [&["ovsdb-server", "-vconsole:warn"], arguments].concat();
        let output = output(Path::new(PROGRAM), &all, folder.path())?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("ovsdb-server: "), "{said}");
    }
    assert_eq!(fs::read(folder.path().join("a.db"))?, before);
    for entry in fs::read_dir(folder.path())? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        ensure!(
            name.ends_with(".db") || name.ends_with("~lock~"),
            "{name} is left"
        );
    }
    Ok(())
}

/// A log that was asked for by name and cannot be written ends both programs with one line.
#[test]
fn a_log_file_that_cannot_be_opened_ends_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    create(&folder.path().join("a.db"), "ovn-ic-nb")?;
    let reference = require("ovsdb-server", "openvswitch-common")?;
    let usual = [
        "--no-chdir",
        "--unixctl=none",
        "--log-file=/proc/none/a.log",
        "a.db",
    ];
    let said = |program: &Path, before: &[&str]| -> Result<String> {
        let output = output(program, &[before, &usual].concat(), folder.path())?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        // Without the time.
        let line = said
            .trim_end()
            .split_once('|')
            .context("a line of the log")?;
        Ok(line.1.to_owned())
    };
    assert_eq!(
        said(Path::new(PROGRAM), &["ovsdb-server"])?,
        said(&reference, &[])?
    );
    Ok(())
}

#[test]
fn it_goes_by_its_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let link = folder.path().join("ovsdb-server");
    symlink(PROGRAM, &link)?;
    let version = output(&link, &["--version"], folder.path())?;
    let version = String::from_utf8(version.stdout)?;
    assert!(
        version.starts_with("ovsdb-server (ovn-ic-db) "),
        "{version}"
    );
    let help = String::from_utf8(output(&link, &["--help"], folder.path())?.stdout)?;
    assert!(
        help.contains("--remote=REMOTE") && help.contains("--durable="),
        "{help}"
    );
    Ok(())
}

#[test]
fn it_goes_to_the_background_when_it_serves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    create(&folder.path().join("a.db"), "ovn-ic-nb")?;
    let link = folder.path().join("ovsdb-server");
    symlink(PROGRAM, &link)?;
    let arguments = [
        "--detach",
        "--pidfile=a.pid",
        "--unixctl=a.ctl",
        "--remote=punix:a.sock",
        "a.db",
    ];
    // Reads its output to the end: the process in the background must have let go of it.
    let output = output(&link, &arguments, folder.path())?;
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let mut client = Client::unix(&folder.path().join("a.sock"))?;
    client.deadline = Duration::from_secs(10);
    let pid: i32 = fs::read_to_string(folder.path().join("a.pid"))?
        .trim()
        .parse()?;
    let pid = rustix::process::Pid::from_raw(pid).context("a process")?;
    let working = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()));
    let names = client.call("list_dbs", json!([]));
    let exit = Client::unix(&folder.path().join("a.ctl"))?.call("exit", json!([]));
    wait_for("its end", DEADLINE, || {
        Ok((!folder.path().join("a.pid").exists()).then_some(()))
    })?;
    assert_eq!(names?, json!(["OVN_IC_Northbound", "_Server"]));
    assert_eq!(working?, Path::new("/"));
    exit?;
    Ok(())
}
