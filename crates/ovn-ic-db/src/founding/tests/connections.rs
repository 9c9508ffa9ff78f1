//! Nodes on loopback addresses that look for a cluster, among themselves and beside `ovsdb-server`.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use ovn_ic_db_tests::process::require;
use ovsdb::Uuid;
use ovsdb_cluster::wire::Announcement;

use super::super::seek::{Seeker, Seeking, Step};
use super::super::*;
use super::scripts::settings;
use crate::membership::{Maker, OwnFile, found, look};
use crate::schemas::Side;
use crate::settings::ClusterSettings;

const SIDE: Side = Side::Northbound;
const PATIENCE: Duration = Duration::from_secs(30);

/// Nodes at 127.0.N.1 to 127.0.N.3, at a port that was free a moment ago.
struct Nodes {
    prefix: String,
    port: u16,
}

impl Nodes {
    fn new(number: u8) -> Result<Nodes> {
        let prefix = format!("127.0.{number}");
        let listener = TcpListener::bind((format!("{prefix}.1"), 0))?;
        let port = listener.local_addr()?.port();
        Ok(Nodes { prefix, port })
    }

    fn ip(&self, node: u8) -> String {
        format!("{}.{node}", self.prefix)
    }

    fn cluster(&self, node: u8, leader: Option<u8>) -> ClusterSettings {
        let nodes: Vec<String> = (1..=3).map(|node| self.ip(node)).collect();
        settings(&|name| match name {
            "LOCAL_IP" => Some(self.ip(node)),
            "NODE_IPS" => Some(nodes.join(" ")),
            "LEADER_IP" => leader.map(|leader| self.ip(leader)),
            "OVN_IC_DB_NB_RAFT_PORT" => Some(self.port.to_string()),
            _ => None,
        })
    }

    fn seek(&self, node: u8, leader: Option<u8>) -> Result<Seeker> {
        let seeking = Seeking {
            wire: ovsdb_cluster::wire::stream::Settings::default(),
            side: SIDE,
            server: Uuid::new_v4(),
            past: Past::Nothing,
            remotes: Vec::new(),
            announcement: Announcement::new([]),
        };
        Ok(Seeker::start(seeking, &self.cluster(node, leader))?)
    }
}

/// Goes on until a decision is as asked; other steps are passed by.
async fn decides(seeker: &mut Seeker, is: impl Fn(&Decision) -> bool) -> Result<()> {
    let search = async {
        loop {
            match seeker.next().await {
                Step::Decided(decision) if is(&decision) => return,
                _ => {}
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.with_context(|| format!("it {}", seeker.decision()))
}

/// A process of the reference, killed when dropped.
struct Reference(Child);

impl Reference {
    fn start(database: &Path) -> Result<Reference> {
        let child = Command::new(require("ovsdb-server", "openvswitch-common")?)
            .args(["--no-chdir", "-vconsole:off", "--unixctl=none"])
            .arg(database)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Reference(child))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn three_at_once_have_one_founder_whose_file_the_reference_takes() -> Result<()> {
    let nodes = Nodes::new(71)?;
    let mut first = nodes.seek(1, None)?;
    let mut second = nodes.seek(2, None)?;
    let mut third = nodes.seek(3, None)?;
    let waits = |decision: &Decision| matches!(decision, Decision::Wait(Reason::Founder(_)));
    let (a, b, c) = tokio::join!(
        decides(&mut first, |decision| *decision == Decision::Found),
        decides(&mut second, waits),
        decides(&mut third, waits),
    );
    a.and(b).and(c)?;

    // The founder's part goes to `ovsdb-server`: its file is one of ours.
    drop(first);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ovn_ic_nb_db.db");
    let cluster = nodes.cluster(1, None);
    let maker = Maker {
        side: SIDE,
        cluster: &cluster,
        now: SystemTime::now(),
    };
    let file = found(maker, look(SIDE, &path, Some(&cluster))?)?;
    let id = file.replayed().header.identity.cluster_id;
    drop(file);
    let _reference = Reference::start(&path)?;
    let joins =
        |decision: &Decision| matches!(decision, Decision::Join { cluster, .. } if *cluster == id);
    for seeker in [&mut second, &mut third] {
        decides(seeker, joins).await?;
    }
    // What it begins with is not lost, early as it comes.
    for seeker in [&mut second, &mut third] {
        let taken = async {
            loop {
                if let Step::Taken { cluster, .. } = seeker.next().await {
                    return cluster;
                }
            }
        };
        let cluster = tokio::time::timeout(PATIENCE, taken).await?;
        ensure!(Some(cluster) == id, "another cluster");
    }
    Ok(())
}

#[tokio::test]
async fn a_follower_of_the_reference_makes_a_founder_of_whom_it_calls() -> Result<()> {
    let nodes = Nodes::new(72)?;
    let mut second = nodes.seek(2, None)?;
    let waits = |decision: &Decision| matches!(decision, Decision::Wait(Reason::Expects { .. }));
    decides(&mut second, waits).await?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("follower.db");
    let address = |node: u8| format!("tcp:[{}]:{}", nodes.ip(node), nodes.port);
    let made = Command::new(require("ovsdb-tool", "openvswitch-common")?)
        .arg("join-cluster")
        .arg(&path)
        .args([SIDE.database(), &address(3), &address(2)])
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    let _follower = Reference::start(&path)?;
    decides(&mut second, |decision| *decision == Decision::Found).await
}

#[tokio::test]
async fn one_alone_founds_soon_and_the_others_hear_of_it_later() -> Result<()> {
    let nodes = Nodes::new(73)?;
    let mut first = nodes.seek(1, None)?;
    decides(&mut first, |decision| *decision == Decision::Found).await?;
    let mut third = nodes.seek(3, Some(1))?;
    let founder = |decision: &Decision| matches!(decision, Decision::Wait(Reason::Founder(_)));
    // A node that has decided to found goes on saying so.
    tokio::select! {
        heard = decides(&mut third, founder) => heard,
        _ = first.next() => anyhow::bail!("the last decision was not the last"),
    }
}

#[test]
fn a_node_with_nothing_uses_a_new_id_each_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = look(SIDE, &folder.path().join("ovn_ic_nb_db.db"), None)?;
    assert!(matches!(own, OwnFile::Missing(_)));
    assert_ne!(own.candidate_id(), own.candidate_id());
    Ok(())
}
