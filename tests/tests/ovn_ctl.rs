//! Debian's `ovn-ctl` with ours in place of `ovsdb-server`: what it says, and what comes of it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::keys::Authority;
use ovn_ic_db_tests::process::{Program, executable, free_port, wait_for};
use ovn_ic_db_tests::world::ctl::Ctl;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SCRIPT: &str = "/usr/share/ovn/scripts/ovn-ctl";
const DEADLINE: Duration = Duration::from_secs(30);

/// A machine of its own for the script, as far as its variables make one. Dropping it kills the
/// servers that the script started.
struct Machine {
    folder: TempDir,
    path: OsString,
}

impl Machine {
    /// One where `ovsdb-server` is this program.
    fn new(program: Program) -> Result<Self> {
        ensure!(
            Path::new(SCRIPT).is_file(),
            "{SCRIPT} is missing: apt-get install ovn-common"
        );
        let folder = tempfile::Builder::new().prefix("ovn-ctl-").tempdir()?;
        let programs = folder.path().join("bin");
        fs::create_dir(&programs)?;
        let executable = fs::canonicalize(executable(program)?)?;
        symlink(executable, programs.join("ovsdb-server"))?;
        // The script adds the usual folders behind.
        let mut path = programs.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Ok(Self { folder, path })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the script; what it says on both outputs, with what differs each time left out.
    fn say(&self, arguments: &[&str]) -> Result<String> {
        // A file, as the servers keep what they inherit open.
        let output = self.place("said");
        let file = File::create(&output)?;
        let mut command = Command::new(SCRIPT);
        for (name, place) in [
            ("RUNDIR", "run"),
            ("LOGDIR", "log"),
            ("DBDIR", "db"),
            ("SYSCONFDIR", "etc"),
        ] {
            command.env(format!("OVN_{name}"), self.place(place));
            command.env(format!("OVS_{name}"), self.place(place));
        }
        let status = command
            .args(arguments)
            .env("PATH", &self.path)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()?;
        let said = fs::read_to_string(&output)?;
        let said = said.replace(&self.folder.path().display().to_string(), "FOLDER");
        // What the script's own clients say of a cluster that has no leader yet is a matter of luck.
        let luck =
            |line: &&str| !line.contains("|reconnect|") && !line.contains("connection failed");
        let lines = said
            .lines()
            .filter(luck)
            .map(|line| match line.split_once(" (") {
                // `Exiting` or `Killing`, as the version's number is; then the process' id.
                Some((doing, _))
                    if doing.starts_with("Exiting ") || doing.starts_with("Killing ") =>
                {
                    format!("Stopping {}", doing.split_at(8).1)
                }
                _ => match line.split_once("Z|") {
                    Some((_, message)) => message.to_owned(),
                    None => line.to_owned(),
                },
            });
        let said = lines.collect::<Vec<_>>().join("\n");
        let command = arguments.last().copied().unwrap_or_default();
        Ok(format!("{command}: {status}\n{said}\n"))
    }

    fn pid(&self, stem: &str) -> Result<i32> {
        let text = fs::read_to_string(self.place("run").join(format!("{stem}.pid")))?;
        text.trim().parse().context("a process id")
    }

    fn ctl(&self, program: &str, stem: &str) -> Result<Ctl> {
        let socket = self.place("run").join(format!("{stem}.sock"));
        Ctl::new(program, "ovn-common", &format!("unix:{}", socket.display()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for stem in ["ovn_ic_nb_db", "ovn_ic_sb_db", "ovnnb_db"] {
            // A process whose file is there is one that the script started here, unless a test
            // has failed in an odd moment.
            if let Ok(pid) = self.pid(stem)
                && is_ours(pid, self.folder.path())
                && let Some(pid) = Pid::from_raw(pid)
            {
                // Its monitor ends with it, as nobody starts again what was asked to end.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
}

fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn is_ours(pid: i32, folder: &Path) -> bool {
    command_line(pid).contains(&*folder.to_string_lossy())
}

/// Every process that has the folder in its command line.
fn processes(folder: &Path) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
            && is_ours(pid, folder)
        {
            found.push(pid);
        }
    }
    Ok(found)
}

/// What is done with the script and the tools, and what they say. `demote_ic_nb` fails, as the script
/// of OVN 23.03 names no control socket; its users see that with either program.
fn story(program: Program) -> Result<String> {
    let machine = Machine::new(program)?;
    let port = free_port()?;
    let mut told = String::new();
    told += &machine.say(&["status_ic_ovsdb"])?;
    told += &machine.say(&["start_ic_ovsdb"])?;
    told += &machine.say(&["status_ic_ovsdb"])?;
    let before = machine.pid("ovn_ic_nb_db")?;
    for stem in ["ovn_ic_nb_db", "ovn_ic_sb_db"] {
        let name = fs::read_to_string(format!("/proc/{}/comm", machine.pid(stem)?))?;
        told += &format!("{stem} is {name}");
    }
    told += &machine.say(&["start_ic_ovsdb"])?;
    ensure!(
        machine.pid("ovn_ic_nb_db")? == before,
        "started a second time"
    );

    // A remote that is in the database.
    let nbctl = machine.ctl("ovn-ic-nbctl", "ovn_ic_nb_db")?;
    nbctl.run("ts-add ts1")?;
    nbctl.run(&format!("set-connection ptcp:{port}:127.0.0.1"))?;
    let tcp = Ctl::new(
        "ovn-ic-nbctl",
        "ovn-common",
        &format!("tcp:127.0.0.1:{port}"),
    )?;
    wait_for("the remote of the database", DEADLINE, || {
        Ok(tcp.ask(&["show"])?.output.contains("ts1").then_some(()))
    })?;
    told += &tcp.run("show")?;

    // A server that has crashed is started again, with everything.
    let pid = Pid::from_raw(before).context("a process id")?;
    kill_process(pid, Signal::SEGV)?;
    wait_for("another process", DEADLINE, || {
        let pid = machine.pid("ovn_ic_nb_db").unwrap_or(before);
        Ok((pid != before && nbctl.ask(&["show"])?.status == 0).then_some(()))
    })?;
    told += &nbctl.run("show")?;
    told += &machine.say(&["restart_ic_nb_ovsdb"])?;
    told += &nbctl.run("show")?;
    told += &machine.say(&["--db-ic-nb-sync-from-addr=127.0.0.1", "demote_ic_nb"])?;
    told += &machine.say(&["promote_ic_nb"])?;
    told += &machine.say(&["stop_ic_ovsdb"])?;
    told += &machine.say(&["status_ic_ovsdb"])?;
    told += &machine.say(&["stop_ic_ovsdb"])?;
    wait_for("every process' end", DEADLINE, || {
        Ok(processes(machine.folder.path())?.is_empty().then_some(()))
    })?;
    Ok(told)
}

#[test]
fn it_starts_watches_and_stops_ours_as_the_reference() -> Result<()> {
    compare(story)
}

/// The same lines from both, or the first ones that differ.
fn compare(story: impl Fn(Program) -> Result<String>) -> Result<()> {
    let (expected, found) = (story(Program::Reference)?, story(Program::Ours)?);
    for (expected, found) in expected.lines().zip(found.lines()) {
        ensure!(expected == found, "reference: {expected}\nours: {found}");
    }
    ensure!(expected == found, "{expected}\n---\n{found}");
    println!("{found}");
    Ok(())
}

/// A cluster of two, which is brought to a newer schema when a server starts with that.
fn cluster(program: Program) -> Result<String> {
    let (first, second) = (Machine::new(program)?, Machine::new(program)?);
    let ports = [free_port()?, free_port()?];
    let local = ports.map(|port| format!("--db-ic-nb-cluster-local-port={port}"));
    let address = "--db-ic-nb-cluster-local-addr=127.0.0.1";
    let remote = format!("--db-ic-nb-cluster-remote-port={}", ports[0]);
    let start = "start_ic_nb_ovsdb";
    let mut told = first.say(&[address, &local[0], start])?;
    let nbctl = first.ctl("ovn-ic-nbctl", "ovn_ic_nb_db")?;
    told += &nbctl.run("ts-add ts1 -- show")?;
    let to_first = "--db-ic-nb-cluster-remote-addr=127.0.0.1";
    told += &second.say(&[address, &local[1], to_first, &remote, start])?;
    told += &second
        .ctl("ovn-ic-nbctl", "ovn_ic_nb_db")?
        .run("--no-leader-only show")?;
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let schema = schemas.join("ovn-ic-nb.ovsschema").canonicalize()?;
    let schema = format!("--db-ic-nb-schema={}", schema.display());
    told += &first.say(&[address, &local[0], &schema, "restart_ic_nb_ovsdb"])?;
    told += &nbctl.run("--no-leader-only show")?;
    told += &second.say(&["stop_ic_nb_ovsdb"])?;
    told += &first.say(&["stop_ic_nb_ovsdb"])?;
    Ok(told)
}

#[test]
fn a_cluster_is_made_joined_and_upgraded() -> Result<()> {
    compare(cluster)
}

/// Everything belongs to another user, the processes too, but for the one that watches.
fn other_user(program: Program) -> Result<String> {
    let machine = Machine::new(program)?;
    fs::set_permissions(machine.folder.path(), fs::Permissions::from_mode(0o755))?;
    let user = "--ovn-user=nobody:nogroup";
    let mut told = machine.say(&[user, "start_ic_ovsdb"])?;
    told += &machine
        .say(&["status_ic_sb"])?
        .replace("OVN_IC_Southbound", "active");
    let pid = machine.pid("ovn_ic_sb_db")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    for name in ["Uid:", "Gid:"] {
        let line = status.lines().find(|line| line.starts_with(name));
        told += &format!("{}\n", line.unwrap_or_default());
    }
    let sbctl = machine.ctl("ovn-ic-sbctl", "ovn_ic_sb_db")?;
    sbctl.run("create Availability_Zone name=az1")?;
    told += &sbctl.run("show")?;
    told += &machine.say(&[user, "stop_ic_ovsdb"])?;
    Ok(told)
}

#[test]
fn it_gives_the_servers_to_another_user() -> Result<()> {
    compare(other_user)
}

/// The keys are those that the database names.
fn keys_of_the_database(program: Program) -> Result<String> {
    let machine = Machine::new(program)?;
    let keys = machine.place("keys");
    Authority::new(&keys)?.issue("server")?.put(&keys)?;
    let file = |name: &str| keys.join(name).display().to_string();
    let (key, certificate, authority) = (file("key"), file("cert"), file("cacert"));
    machine.say(&["start_ic_nb_ovsdb"])?;
    let nbctl = machine.ctl("ovn-ic-nbctl", "ovn_ic_nb_db")?;
    let port = free_port()?;
    nbctl.run(&format!(
        "set-ssl {key} {certificate} {authority} -- set-connection pssl:{port}:127.0.0.1 \
         -- ts-add ts1"
    ))?;
    let address = format!("ssl:127.0.0.1:{port}");
    let client = Ctl::new("ovn-ic-nbctl", "ovn-common", &address)?;
    let by_tls = ["-p", &key, "-c", &certificate, "-C", &authority, "show"];
    let mut told = wait_for("the remote with its keys", DEADLINE, || {
        let said = client.ask(&by_tls)?;
        Ok((said.status == 0).then_some(said.output))
    })?;
    told += &machine.say(&["stop_ic_nb_ovsdb"])?;
    Ok(told)
}

#[test]
fn it_has_them_take_keys_from_the_database() -> Result<()> {
    compare(keys_of_the_database)
}

/// A backup gets what the active one has and takes no writes; promoted, it does; and the other one
/// follows it. With the Northbound, as the script of OVN 23.03 has the commands right for that one.
fn backup(program: Program) -> Result<String> {
    let machines = [Machine::new(program)?, Machine::new(program)?];
    let ports = [free_port()?, free_port()?];
    let listen = ports.map(|port| format!("--db-nb-port={port}"));
    let follow = ports.map(|port| format!("--db-nb-sync-from-port={port}"));
    let (tcp, here) = (
        "--db-nb-create-insecure-remote=yes",
        "--db-nb-addr=127.0.0.1",
    );
    let (active, start) = ("--db-nb-sync-from-addr=127.0.0.1", "start_nb_ovsdb");
    let [first, second] = &machines;
    let mut told = first.say(&[tcp, here, &listen[0], start])?;
    let nbctls = [
        first.ctl("ovn-nbctl", "ovnnb_db")?,
        second.ctl("ovn-nbctl", "ovnnb_db")?,
    ];
    nbctls[0].run("ls-add sw1")?;
    told += &second.say(&[tcp, here, &listen[1], active, &follow[0], start])?;
    let shows = |number: usize, name: &str| {
        wait_for(name, DEADLINE, || {
            let said = nbctls[number].ask(&["ls-list"])?;
            Ok(said.output.contains(name).then_some(()))
        })
    };
    shows(1, "sw1")?;
    let refused = nbctls[1].ask(&["ls-add", "sw2"])?;
    told += &format!("{} {}", refused.status, refused.error);
    told += &first.say(&["stop_nb_ovsdb"])?;
    told += &second.say(&["promote_ovnnb"])?;
    nbctls[1].run("ls-add sw2")?;
    shows(1, "sw1")?;
    told += &first.say(&[tcp, here, &listen[0], start])?;
    told += &first.say(&[active, &follow[1], "demote_ovnnb"])?;
    shows(0, "sw2")?;
    let refused = nbctls[0].ask(&["ls-add", "sw3"])?;
    told += &format!("{} {}", refused.status, refused.error);
    told += &first.say(&["stop_nb_ovsdb"])?;
    told += &second.say(&["stop_nb_ovsdb"])?;
    Ok(told)
}

#[test]
fn backups_are_promoted_and_demoted() -> Result<()> {
    compare(backup)
}
