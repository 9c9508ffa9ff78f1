//! Files of all kinds, and what becomes of them.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ovsdb::json::Document;
use ovsdb::{Schema, Uuid};
use ovsdb_cluster::file::record::LEFT;
use ovsdb_cluster::file::{Origin, Snapshot, Standing};
use ovsdb_log::Options;

use super::*;
use crate::advice::making;
use crate::command_line::RunFlags;
use crate::founding::Past;
use crate::schemas::Side;
use crate::settings::{ClusterSettings, Settings};

const SIDE: Side = Side::Northbound;
const STAMP: &str = "20260726T101112Z";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_785_060_672)
}

/// The node `own` of those in `nodes`.
fn cluster(own: &str, nodes: &str) -> ClusterSettings {
    let variables = [
        ("LOCAL_IP", own),
        ("NODE_IPS", nodes),
        ("OVN_IC_DB_ELECTION_TIMER", "2000"),
    ];
    let environment = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.into())
    };
    let settings = Settings::resolve(&RunFlags::default(), &environment).expect("settings");
    settings.cluster.expect("a cluster")
}

/// One node's folder and settings.
struct Node {
    folder: tempfile::TempDir,
    cluster: ClusterSettings,
}

impl Node {
    fn new() -> Result<Node> {
        Ok(Node {
            folder: tempfile::tempdir()?,
            cluster: cluster("10.0.0.1", "10.0.0.1,10.0.0.2,10.0.0.3"),
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ovn_ic_nb_db.db")
    }

    fn look(&self) -> Result<OwnFile> {
        look(SIDE, &self.path(), Some(&self.cluster))
    }

    fn maker(&self) -> Maker<'_> {
        Maker {
            side: SIDE,
            cluster: &self.cluster,
            now: now(),
        }
    }

    fn found(&self) -> Result<ovsdb_cluster::file::ClusterFile> {
        found(self.maker(), self.look()?)
    }

    fn join(&self) -> Result<ovsdb_cluster::file::ClusterFile> {
        let own = self.look()?;
        let id = own.candidate_id();
        let file = join(self.maker(), own, id)?;
        assert_eq!(file.replayed().header.identity.server_id, id);
        Ok(file)
    }

    /// Names in the folder, without the lock's.
    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// A standalone database with an old schema and a row.
    fn make_standalone(&self) -> Result<()> {
        let schema = r#"{"name":"OVN_IC_Northbound","version":"1.0.0","cksum":"45589876 3383","tables":{"Transit_Switch":{"columns":{"name":{"type":"string"},"gone":{"type":"integer"}},"isRoot":true}}}"#;
        let row = r#"{"Transit_Switch":{"6f6ce6a8-2f9c-4a4a-a4f8-8d3a4b3f0d10":{"name":"kept"}},"_date":1}"#;
        let mut text = Vec::new();
        for record in [schema, row] {
            text.extend(framed(record));
        }
        Ok(fs::write(self.path(), text)?)
    }
}

fn framed(record: &str) -> Vec<u8> {
    let mut buffer = ovsdb_log::RecordBuffer::new(ovsdb_log::Magic::Json);
    buffer.record(|out| out.extend_from_slice(record.as_bytes()));
    buffer.as_bytes().to_vec()
}

fn tool(arguments: &[&str], path: &Path) -> Result<String> {
    let output = Command::new("ovsdb-tool")
        .args(arguments)
        .arg(path)
        .output()
        .context("ovsdb-tool")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{arguments:?}: {said}{errors}");
    Ok(said.trim().to_owned())
}

fn text(result: Result<impl std::fmt::Debug>) -> String {
    format!("{:#}", result.expect_err("an error"))
}

#[test]
fn nothing_becomes_a_new_cluster() -> Result<()> {
    let node = Node::new()?;
    let own = node.look()?;
    assert_eq!(own.past(), Past::Nothing);
    assert_eq!(node.files()?, Vec::<String>::new());
    let file = found(node.maker(), own)?;
    let said = file.replayed();
    assert_eq!(said.standing(), Standing::Member);
    assert_eq!(said.header.identity.local_address, "tcp:10.0.0.1:6647");
    // No client of another cluster goes on with nothing.
    assert_eq!(said.entries.last().index, 2);
    // Only what is committed counts, and nothing is yet.
    assert_eq!(said.entries.election_timer_at(u64::MAX), Some(2000));
    let cluster = said.header.identity.cluster_id.context("a cluster")?;
    drop(file);
    assert_eq!(tool(&["check-cluster"], &node.path())?, "");
    assert_eq!(tool(&["db-cid"], &node.path())?, cluster.to_string());
    let address = tool(&["db-local-address"], &node.path())?;
    assert_eq!(address, "tcp:10.0.0.1:6647");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db"]);
    assert_eq!(node.look()?.past(), Past::Member);
    Ok(())
}

#[test]
fn a_standalone_database_becomes_a_cluster_and_is_kept() -> Result<()> {
    let node = Node::new()?;
    node.make_standalone()?;
    let before = fs::read(node.path())?;
    let own = node.look()?;
    assert_eq!(own.past(), Past::Nothing);
    let file = found(node.maker(), own)?;
    let kept = "ovn_ic_nb_db.db.backup1.0.0-45589876";
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db", kept]);
    assert_eq!(fs::read(node.folder.path().join(kept))?, before);
    let Origin::Snapshot(Snapshot { data, meta }) = &file.replayed().header.origin else {
        anyhow::bail!("no contents");
    };
    // Behind whatever the database may be a copy of.
    assert_eq!((meta.term, meta.index), (1, 1_785_060_672_001));
    let document = Document::parse(data.clone())?;
    let schema = Schema::parse(document.root().element(0).context("a schema")?)?;
    let newest = Schema::from_text(SIDE.schema().as_bytes())?;
    assert_eq!(schema.version, newest.version);
    assert!(String::from_utf8_lossy(data).contains(r#""name":"kept""#));
    drop(file);
    tool(&["check-cluster"], &node.path())?;
    Ok(())
}

#[test]
fn nothing_and_a_standalone_database_become_a_joining_server() -> Result<()> {
    let node = Node::new()?;
    let file = node.join()?;
    let Origin::Joining { remote_addresses } = &file.replayed().header.origin else {
        anyhow::bail!("not joining");
    };
    let others = ["tcp:10.0.0.2:6647", "tcp:10.0.0.3:6647"];
    assert_eq!(*remote_addresses, others);
    assert_eq!(file.replayed().header.identity.cluster_id, None);
    let id = file.replayed().header.identity.server_id;
    drop(file);
    assert_eq!(tool(&["db-sid"], &node.path())?, id.to_string());
    // Stopped before it has joined, it goes on under the same id.
    assert_eq!(node.look()?.past(), Past::Joining);
    let again = node.join()?;
    assert_eq!(again.replayed().header.identity.server_id, id);
    drop(again);
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db"]);

    let node = Node::new()?;
    node.make_standalone()?;
    let before = fs::read(node.path())?;
    drop(node.join()?);
    let kept = format!("ovn_ic_nb_db.db.standalone-{STAMP}");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db", &kept]);
    assert_eq!(fs::read(node.folder.path().join(&kept))?, before);
    assert_eq!(node.look()?.past(), Past::Joining);
    Ok(())
}

#[test]
fn who_was_joining_may_found_after_all() -> Result<()> {
    let node = Node::new()?;
    let before = node.join()?.replayed().header.identity.server_id;
    let file = node.found()?;
    assert_eq!(file.replayed().standing(), Standing::Member);
    assert_ne!(file.replayed().header.identity.server_id, before);
    Ok(())
}

#[test]
fn a_damaged_file_stays_until_there_is_a_cluster_to_join() -> Result<()> {
    let node = Node::new()?;
    let old = node.found()?.replayed().header.identity.server_id;
    let mut bytes = fs::read(node.path())?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(node.path(), &bytes)?;
    let own = node.look()?;
    assert_eq!(own.past(), Past::Damaged);
    let refused = text(found(node.maker(), own));
    assert!(refused.contains("damaged at offset 0"), "{refused}");
    assert_eq!(fs::read(node.path())?, bytes);
    let file = node.join()?;
    // Never under the id that may have given a vote.
    assert_ne!(file.replayed().header.identity.server_id, old);
    let kept = format!("ovn_ic_nb_db.db.damaged-{STAMP}");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db", &kept]);
    assert_eq!(fs::read(node.folder.path().join(&kept))?, bytes);
    drop(file);
    assert_eq!(node.look()?.past(), Past::Joining);
    Ok(())
}

#[test]
fn what_is_no_database_is_damaged() -> Result<()> {
    for contents in ["", "hello\n", "OVSDB JSON 5 0000"] {
        let node = Node::new()?;
        fs::write(node.path(), contents)?;
        assert_eq!(node.look()?.past(), Past::Damaged, "{contents}");
    }
    // A record that is whole and cannot be applied.
    let node = Node::new()?;
    node.make_standalone()?;
    let mut bytes = fs::read(node.path())?;
    bytes.extend(framed(r#"{"Nothing":{}}"#));
    fs::write(node.path(), bytes)?;
    assert_eq!(node.look()?.past(), Past::Damaged);
    Ok(())
}

#[test]
fn with_nobody_to_join_damage_is_an_error() -> Result<()> {
    let mut node = Node::new()?;
    node.cluster = cluster("10.0.0.1", "10.0.0.1");
    fs::write(node.path(), "hello\n")?;
    let error = text(node.look());
    assert!(error.contains("not an OVSDB file"), "{error}");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db"]);
    Ok(())
}

#[test]
fn a_member_stays_and_one_that_has_left_starts_over() -> Result<()> {
    let node = Node::new()?;
    let old = node.found()?.replayed().header.identity.server_id;
    let error = text(node.join_again());
    assert!(error.contains("is a member already"), "{error}");
    let error = text(node.found());
    assert!(error.contains("belongs to a cluster"), "{error}");

    let OwnFile::Clustered(file) = node.look()? else {
        anyhow::bail!("no cluster's file");
    };
    let (store, _) = file.start(Options::default())?;
    let (sender, done) = std::sync::mpsc::channel();
    let noted = store.note(
        LEFT,
        None,
        Box::new(move |result| {
            let _ = sender.send(result.is_ok());
        }),
    );
    assert!(noted.is_ok() && done.recv()?);
    store.close()?;
    drop(store);
    assert_eq!(node.look()?.past(), Past::Left);
    let error = text(node.found());
    assert!(error.contains("belongs to a cluster"), "{error}");
    let file = node.join()?;
    assert_ne!(file.replayed().header.identity.server_id, old);
    let kept = format!("ovn_ic_nb_db.db.left-{STAMP}");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db", &kept]);
    Ok(())
}

impl Node {
    fn join_again(&self) -> Result<ovsdb_cluster::file::ClusterFile> {
        join(self.maker(), self.look()?, Uuid::new_v4())
    }
}

#[test]
fn a_cluster_that_gives_way_is_kept() -> Result<()> {
    let node = Node::new()?;
    let lock = node.found()?.into_lock();
    let before = fs::read(node.path())?;
    let id = Uuid::new_v4();
    let file = start_over(node.maker(), lock, Aside::GivesWay, id)?;
    assert_eq!(file.replayed().header.identity.server_id, id);
    let kept = format!("ovn_ic_nb_db.db.gave-way-{STAMP}");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db", &kept]);
    assert_eq!(fs::read(node.folder.path().join(&kept))?, before);
    Ok(())
}

/// Or else every start on a full disk would leave one more copy.
#[test]
fn what_cannot_be_replaced_is_not_kept_twice() -> Result<()> {
    let node = Node::new()?;
    node.make_standalone()?;
    let before = fs::read(node.path())?;
    let in_the_way = node.path().with_extension("db.tmp");
    fs::create_dir(&in_the_way)?;
    let error = node.join().expect_err("not made");
    let said = making(error, &node.path()).to_string();
    let advice = "; move that folder away, ";
    assert!(said.contains("db.tmp") && said.contains(advice), "{said}");
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db", "ovn_ic_nb_db.db.tmp"]);
    assert_eq!(fs::read(node.path())?, before);
    fs::remove_dir(in_the_way)?;
    drop(node.join()?);
    Ok(())
}

#[test]
fn wrong_files_are_refused_and_stay() -> Result<()> {
    let node = Node::new()?;
    drop(node.found()?);
    let before = fs::read(node.path())?;
    // Of the other database.
    let error = text(look(Side::Southbound, &node.path(), Some(&node.cluster)));
    let words = "holds the database OVN_IC_Northbound, not OVN_IC_Southbound";
    assert!(error.contains(words), "{error}");
    // Of another node.
    let other = cluster("10.0.0.2", "10.0.0.1,10.0.0.2,10.0.0.3");
    let error = text(look(SIDE, &node.path(), Some(&other)));
    let words = "is the file of the member at tcp:10.0.0.1:6647, but this node's address is tcp:10.0.0.2:6647";
    assert!(error.contains(words), "{error}");
    // Without variables it is the member that it says.
    let own = look(SIDE, &node.path(), None)?;
    assert_eq!(own.past(), Past::Member);
    // In use.
    let error = text(node.look());
    assert!(error.contains("is locked by this process"), "{error}");
    drop(own);
    assert_eq!(fs::read(node.path())?, before);
    assert_eq!(node.files()?, ["ovn_ic_nb_db.db"]);
    Ok(())
}

#[test]
fn the_references_files_are_known_by_their_address_in_any_notation() -> Result<()> {
    for address in ["tcp:10.0.0.1:6647", "tcp:[10.0.0.1]:6647"] {
        let node = Node::new()?;
        let path = node.path().display().to_string();
        let remote = "tcp:[10.0.0.2]:6647";
        tool(
            &["join-cluster", &path, SIDE.database(), address],
            Path::new(remote),
        )?;
        let own = node.look()?;
        assert_eq!(own.past(), Past::Joining);
        let asked: Vec<IpAddr> = own.remotes();
        assert_eq!(asked, ["10.0.0.2".parse::<IpAddr>()?]);
    }
    Ok(())
}
