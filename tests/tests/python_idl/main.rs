//! The Python IDL (`ovs`) on ours: everything that it does, in all the ways that it can wait, through
//! restarts, and as it follows a cluster's leader. Debian's, of the version of the other programs, and
//! PyPI's newest.

mod interpreter;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options as ClusterOptions, Wiring, run};
use ovn_ic_db_tests::keys::Authority;
use ovn_ic_db_tests::process::{Options, Program, Server, Source, free_port, wait_for};
use ovn_ic_db_tests::world::ctl::Ctl;
use ovn_ic_db_tests::world::daemon::Daemon;
use ovn_ic_db_tests::world::interconnect::{Side, debian_schema};
use serde_json::json;

use interpreter::Python;

const SCHEMA: &str = include_str!("things.ovsschema");

/// How long one who has lost a server may take to find one again, with pauses of up to 8 s.
const DEADLINE: Duration = Duration::from_secs(40);

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

/// What a program says about a new server, with words before those that tell of it.
fn hear(python: Python, name: &str, words: &[&str], on: Program) -> Result<String> {
    let server = start(on)?;
    hear_of(&server, &remote(&server), python, name, words, &[])
}

/// The same about this server, with words behind those that tell of it.
fn hear_of(
    server: &Server,
    remote: &str,
    python: Python,
    name: &str,
    words: &[&str],
    more: &[PathBuf],
) -> Result<String> {
    let schema = server.folder().join("schema");
    std::fs::write(&schema, SCHEMA)?;
    let output = Command::new(python.executable()?)
        .arg("-B")
        .arg(program(name))
        .args(words)
        .arg(remote)
        .arg(schema)
        .args(more)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{name} {words:?} of {python:?} at {remote}: {}\n{said}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        server.said()
    );
    Ok(said)
}

/// It says the same on both servers, in this many lines at least.
fn compare(python: Python, name: &str, words: &[&str], lines: usize) -> Result<()> {
    let expected = hear(python, name, words, Program::Reference)?;
    let found = hear(python, name, words, Program::Ours)?;
    ensure!(expected.lines().count() >= lines, "too short: {expected}");
    for (expected, found) in expected.lines().zip(found.lines()) {
        ensure!(
            expected == found,
            "{python:?} {words:?}\nreference: {expected}\nours: {found}"
        );
    }
    ensure!(expected == found, "{expected}\n---\n{found}");
    Ok(())
}

#[test]
fn the_idl_does_and_hears_the_same_on_both_servers() -> Result<()> {
    for python in Python::BOTH {
        compare(python, "story.py", &[], 30)?;
    }
    Ok(())
}

#[test]
fn it_comes_by_tls_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(&folder.path().join("authority"))?;
    let [own, clients] = ["server", "client"].map(|name| authority.issue(name));
    let (own, clients) = (own?, clients?);
    let port = free_port()?;
    let mut arguments = own.options().to_vec();
    arguments.push(format!("--remote=pssl:{port}:127.0.0.1"));
    let options = Options {
        arguments: arguments.into_iter().map(Into::into).collect(),
        ..Options::default()
    };
    let keys = [clients.key, clients.certificate, clients.authority];
    for python in Python::BOTH {
        let source = Source::SchemaText(SCHEMA.to_owned());
        let server = Server::start(Program::Ours, &source, &options)?;
        let remote = format!("ssl:127.0.0.1:{port}");
        let found = hear_of(&server, &remote, python, "story.py", &[], &keys)?;
        let expected = hear(python, "story.py", &[], Program::Reference)?;
        ensure!(expected == found, "{python:?}: {expected}\n---\n{found}");
    }
    Ok(())
}

/// However it waits for several things at once.
#[test]
fn two_of_one_process_do_not_hold_each_other_up() -> Result<()> {
    for (python, mode) in [
        (Python::Debian, "threads"),
        (Python::PyPi, "threads"),
        (Python::PyPi, "eventlet"),
        (Python::PyPi, "asyncio"),
    ] {
        // The answers in one line, and a line for each row.
        compare(python, "asynchronous.py", &[mode], 82)?;
    }
    Ok(())
}

/// `follow.py` and what it has said.
struct Follower {
    mark: &'static str,
    daemon: Daemon,
    output: PathBuf,
}

impl Follower {
    fn start(
        python: Python,
        folder: &Path,
        remotes: &str,
        schema: &Path,
        table: &str,
    ) -> Result<Self> {
        let mark = python.name();
        let output = folder.join(format!("{mark}.out"));
        let words = ["-B".into(), program("follow.py").into(), remotes.into()];
        let mut arguments = words.to_vec();
        arguments.extend([schema.into(), table.into(), mark.into()]);
        let mut daemon = Daemon::new(python.executable()?, arguments, output.clone());
        daemon.start()?;
        Ok(Self {
            mark,
            daemon,
            output,
        })
    }

    /// One of each, at the same time.
    fn start_both(folder: &Path, remotes: &str, schema: &Path, table: &str) -> Result<[Self; 2]> {
        let [debian, pypi] =
            Python::BOTH.map(|python| Self::start(python, folder, remotes, schema, table));
        Ok([debian?, pypi?])
    }

    fn wait_line(&mut self, line: &str) -> Result<()> {
        let waited = wait_for(line, DEADLINE, || {
            self.daemon.check_alive()?;
            let said = std::fs::read_to_string(&self.output)?;
            Ok(said.lines().any(|said| said == line).then_some(()))
        });
        waited.with_context(|| {
            let said = std::fs::read_to_string(&self.output).unwrap_or_default();
            format!("{}: {said}", self.mark)
        })
    }

    /// Waits until it has heard of a row and of what it has written about that.
    fn wait_answered(&mut self, row: &str) -> Result<()> {
        self.wait_line(&format!("create {row}"))?;
        self.wait_line(&format!("create {}-got-{row}", self.mark))
    }
}

#[test]
fn it_comes_back_after_restarts_and_has_missed_nothing() -> Result<()> {
    let mut server = start(Program::Ours)?;
    let schema = server.folder().join("schema");
    std::fs::write(&schema, SCHEMA)?;
    let remote = remote(&server);
    let mut followers = Follower::start_both(server.folder(), &remote, &schema, "Item")?;
    let mut each =
        |what: &dyn Fn(&mut Follower) -> Result<()>| followers.iter_mut().try_for_each(what);
    each(&|follower| follower.wait_line("connected"))?;
    let insert = |server: &Server, name: &str| -> Result<()> {
        let insert = json!({"op": "insert", "table": "Item", "row": {"name": name}});
        server.client()?.transact("Things", &[insert])?;
        Ok(())
    };
    insert(&server, "ask-1")?;
    each(&|follower| follower.wait_answered("ask-1"))?;
    server.kill9()?;
    server.start_again()?;
    insert(&server, "ask-2")?;
    each(&|follower| follower.wait_answered("ask-2"))?;
    server.restart()?;
    let delete = json!({"op": "delete", "table": "Item", "where": [["name", "==", "ask-1"]]});
    server.client()?.transact("Things", &[delete])?;
    insert(&server, "ask-3")?;
    // They have begun anew without the row that is gone, and without a word about that.
    each(&|follower| {
        follower.wait_line(
            "rows ask-2 ask-3 debian-got-ask-1 debian-got-ask-2 debian-got-ask-3 \
             pypi-got-ask-1 pypi-got-ask-2 pypi-got-ask-3",
        )
    })
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
            let mut followers = Follower::start_both(folder.path(), &remotes, &schema, table)?;
            let mut each = |what: &dyn Fn(&mut Follower) -> Result<()>| {
                followers.iter_mut().try_for_each(what)
            };
            each(&|follower| follower.wait_line("connected"))?;
            switches(cluster)?.run("ts-add ask-1")?;
            each(&|follower| follower.wait_answered("ask-1"))?;
            let leader = cluster.wait_for_leader(Side::Northbound, |_| true)?;
            cluster.node_mut(leader).kill9()?;
            cluster.wait_for_leader(Side::Northbound, |new| new != leader)?;
            switches(cluster)?.run("--timeout=40 ts-add ask-2")?;
            each(&|follower| follower.wait_answered("ask-2"))?;
            each(&|follower| {
                let said = std::fs::read_to_string(&follower.output)?;
                let told = said.lines().filter(|line| *line == "create ask-1").count();
                ensure!(told == 1, "the new leader has begun from the start: {said}");
                Ok(())
            })?;
            cluster.start(leader)?;
            cluster.wait_until_whole()
        },
    )
}
