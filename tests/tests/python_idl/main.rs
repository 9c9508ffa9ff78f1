//! The Python IDL (`ovs`) on ours: everything that it does, through restarts, and as it follows a
//! cluster's leader.
//!
//! It is that of Debian's python3-openvswitch: the tests need no network, and the bindings are of
//! the same version as the other programs. `OVN_IC_DB_PYTHON` names another interpreter, as that of
//! a virtual environment with `ovs` from PyPI.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options as ClusterOptions, Wiring, run};
use ovn_ic_db_tests::process::{Options, Program, Server, Source, wait_for};
use ovn_ic_db_tests::world::ctl::Ctl;
use ovn_ic_db_tests::world::daemon::Daemon;
use ovn_ic_db_tests::world::interconnect::{Side, debian_schema};
use serde_json::json;

const SCHEMA: &str = include_str!("things.ovsschema");

/// How long one who has lost a server may take to find one again, with pauses of up to 8 s.
const DEADLINE: Duration = Duration::from_secs(40);

/// The interpreter that has `ovs`. Another one on `PATH` need not have it.
fn python() -> Result<PathBuf> {
    let named = std::env::var_os("OVN_IC_DB_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| "/usr/bin/python3".into());
    let output = Command::new(&python)
        .args(["-c", "import ovs.db.idl"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} does not start", python.display()))?;
    ensure!(
        output.status.success(),
        "{} has no ovs: apt-get install python3-openvswitch",
        python.display()
    );
    Ok(python)
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python_idl")
        .join(name)
}

fn start(program: Program) -> Result<Server> {
    let source = Source::SchemaText(SCHEMA.to_owned());
    Server::start(program, &source, &Options::default())
}

fn remote(server: &Server) -> String {
    format!("unix:{}", server.socket().display())
}

/// What the story says on a server.
fn story(on: Program) -> Result<String> {
    let server = start(on)?;
    let schema = server.folder().join("schema");
    std::fs::write(&schema, SCHEMA)?;
    let output = Command::new(python()?)
        .arg("-B")
        .arg(program("story.py"))
        .arg(remote(&server))
        .arg(schema)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{on:?}: {}\n{said}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        server.said()
    );
    Ok(said)
}

#[test]
fn the_idl_does_and_hears_the_same_on_both_servers() -> Result<()> {
    let (expected, found) = (story(Program::Reference)?, story(Program::Ours)?);
    ensure!(expected.lines().count() > 30, "a short story: {expected}");
    for (expected, found) in expected.lines().zip(found.lines()) {
        ensure!(expected == found, "reference: {expected}\nours: {found}");
    }
    ensure!(expected == found, "{expected}\n---\n{found}");
    Ok(())
}

/// `follow.py` and what it has said.
struct Follower {
    daemon: Daemon,
    output: PathBuf,
}

impl Follower {
    fn start(folder: &Path, remotes: &str, schema: &Path, table: &str) -> Result<Self> {
        let output = folder.join("follow.out");
        let words = ["-B".into(), program("follow.py").into(), remotes.into()];
        let mut arguments = words.to_vec();
        arguments.extend([schema.into(), table.into()]);
        let mut daemon = Daemon::new(python()?, arguments, output.clone());
        daemon.start()?;
        Ok(Self { daemon, output })
    }

    fn wait_line(&mut self, line: &str) -> Result<()> {
        let waited = wait_for(line, DEADLINE, || {
            self.daemon.check_alive()?;
            let said = std::fs::read_to_string(&self.output)?;
            Ok(said.lines().any(|said| said == line).then_some(()))
        });
        waited.with_context(|| std::fs::read_to_string(&self.output).unwrap_or_default())
    }
}

#[test]
fn it_comes_back_after_restarts_and_has_missed_nothing() -> Result<()> {
    let mut server = start(Program::Ours)?;
    let schema = server.folder().join("schema");
    std::fs::write(&schema, SCHEMA)?;
    let mut follower = Follower::start(server.folder(), &remote(&server), &schema, "Item")?;
    follower.wait_line("connected")?;
    let insert = |server: &Server, name: &str| -> Result<()> {
        let insert = json!({"op": "insert", "table": "Item", "row": {"name": name}});
        server.client()?.transact("Things", &[insert])?;
        Ok(())
    };
    insert(&server, "ask-1")?;
    follower.wait_line("create got-ask-1")?;
    server.kill9()?;
    server.start_again()?;
    insert(&server, "ask-2")?;
    follower.wait_line("create ask-2")?;
    follower.wait_line("create got-ask-2")?;
    server.restart()?;
    let delete = json!({"op": "delete", "table": "Item", "where": [["name", "==", "ask-1"]]});
    server.client()?.transact("Things", &[delete])?;
    insert(&server, "ask-3")?;
    // It has begun anew without the row that is gone, and without a word about that.
    follower.wait_line("rows ask-2 ask-3 got-ask-1 got-ask-2 got-ask-3")
}

fn switches(cluster: &Cluster) -> Result<Ctl> {
    let remotes = cluster.remotes(Side::Northbound);
    Ctl::new("ovn-ic-nbctl", "ovn-common", &remotes)
}

#[test]
fn it_follows_a_clusters_leader() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let schema = debian_schema(Side::Northbound.schema())?;
    run(
        &ClusterOptions::three(Kind::under_test()?, Wiring::Loopback),
        |cluster| {
            let remotes = cluster.remotes(Side::Northbound);
            let table = "Transit_Switch";
            let mut follower = Follower::start(folder.path(), &remotes, &schema, table)?;
            follower.wait_line("connected")?;
            switches(cluster)?.run("ts-add ask-1")?;
            follower.wait_line("create got-ask-1")?;
            let leader = cluster.wait_for_leader(Side::Northbound, |_| true)?;
            cluster.node_mut(leader).kill9()?;
            cluster.wait_for_leader(Side::Northbound, |new| new != leader)?;
            switches(cluster)?.run("--timeout=40 ts-add ask-2")?;
            follower.wait_line("create ask-2")?;
            follower.wait_line("create got-ask-2")?;
            let said = std::fs::read_to_string(&follower.output)?;
            let told = said.lines().filter(|line| *line == "create ask-1").count();
            ensure!(told == 1, "the new leader has begun from the start: {said}");
            cluster.start(leader)?;
            cluster.wait_until_whole()
        },
    )
}
