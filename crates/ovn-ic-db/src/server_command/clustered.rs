//! A clustered database: the member that its file says, whatever its schema.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ovsdb_cluster::file::{Address, ClusterFile, Origin, Replayed, Standing};
use ovsdb_cluster::node;
use ovsdb_cluster::wire::stream::{self, Listen};
use ovsdb_log::{Disk, Lock, LogError, Magic, Reader};
use ovsdb_server::clustered::Clustered;
use tracing::Instrument as _;

use crate::cluster_member::announcement;
use crate::control_commands::Subject;

/// A member that has nobody to ask leads before clients come in, unless that takes longer.
const LEADING: Duration = Duration::from_secs(2);

/// Whether a file is of a cluster's member. Blocks.
///
/// # Errors
/// If it cannot be read, or is no database.
pub fn is_clustered(path: &Path) -> Result<bool, LogError> {
    let reader = Reader::open(&Disk, path, None)?;
    Ok(reader.magic() == Magic::Cluster)
}

/// Locks and reads a member's file. Nothing on disk is changed. Blocks.
fn load(path: &Path) -> anyhow::Result<ClusterFile> {
    let lock = Lock::acquire(path)?;
    let file = ClusterFile::open(Arc::new(Disk), lock)?;
    if file.replayed().standing() == Standing::Left {
        bail!(
            "{}: the server has left the cluster; it cannot be added back (use \"ovsdb-tool join-cluster\" to add a new server)",
            path.display()
        );
    }
    Ok(file)
}

/// Takes a member's file into use.
async fn add(
    file: ClusterFile,
    subject: &Arc<Subject>,
    wire: stream::Settings,
) -> anyhow::Result<Arc<Clustered>> {
    let replayed = file.replayed();
    let identity = &replayed.header.identity;
    let name = identity.name.clone();
    if subject.databases.get(&name).is_some() || subject.service.database(&name).is_some() {
        bail!("{name}: duplicate database name");
    }
    let address = &identity.local_address;
    let listen = places(address, &wire)
        .await
        .with_context(|| format!("{address}: members cannot be listened for"))?;
    let alone = is_alone(replayed);
    let settings = node::Settings {
        db: name,
        listen,
        wire,
        log: ovsdb_log::Options::default(),
        announcement: announcement(),
        also: Vec::new(),
    };
    let identity = identity.clone();
    let path = file.path().to_owned();
    let member = subject.add_member(file, settings, None).await?;
    if alone {
        let mut place = member.place();
        let leads = place.wait_for(|place| place.leading.is_some());
        // It may have to wait for its disk.
        let _ = tokio::time::timeout(LEADING, leads).await;
    }
    let leaving = remove_when_left(member.clone(), identity.name.clone(), subject.clone());
    tokio::spawn(leaving.in_current_span());
    let cluster = match identity.cluster_id {
        Some(cluster) => format!("cluster {cluster}"),
        None => "a cluster that it is yet to join".to_owned(),
    };
    tracing::info!(
        db = identity.name,
        "{}: {}, server {} at {} of {cluster}",
        identity.name,
        path.display(),
        identity.server_id,
        identity.local_address,
    );
    Ok(member)
}

/// Begins to be the member that a file says, and offers its database; a server that has yet to join a
/// cluster has one without contents. `wire` has the folder of relative `unix:` addresses and the keys for
/// `ssl:` ones.
///
/// # Errors
/// If the file is in use or damaged, its server has left the cluster, there is a database of that name
/// already, or the member cannot listen at its address.
pub async fn open(
    path: &Path,
    subject: &Arc<Subject>,
    wire: stream::Settings,
) -> anyhow::Result<Arc<Clustered>> {
    let path = path.to_owned();
    let file = tokio::task::spawn_blocking(move || load(&path)).await??;
    add(file, subject, wire).await
}

/// Takes a member's database away: it hands the leadership over, stops, and its file is free for
/// another server. It stays a member of its cluster.
pub async fn remove(name: &str, member: &Clustered, subject: &Subject) {
    subject.remove_member(name, member).await;
}

/// Takes the database away when its server has left the cluster.
async fn remove_when_left(member: Arc<Clustered>, name: String, subject: Arc<Subject>) {
    let Some(node) = member.node() else { return };
    if node.left().await {
        tracing::info!(
            db = name,
            "{name}: removing database because storage disconnected permanently"
        );
        remove(&name, &member, &subject).await;
    }
}

/// Where a member of this address listens: all that its host stands for.
async fn places(address: &str, wire: &stream::Settings) -> io::Result<Vec<Listen>> {
    let address: Address = address
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    match address {
        Address::Unix(path) => Ok(vec![Listen::Unix(wire.folder.join(path))]),
        Address::Network { host, port, .. } => {
            let host = host.to_resolve();
            let found = tokio::net::lookup_host((host.as_str(), port)).await?;
            let mut found: Vec<SocketAddr> = found.collect();
            found.sort();
            found.dedup();
            Ok(found.into_iter().map(Listen::Tcp).collect())
        }
    }
}

/// It is its cluster's only member.
fn is_alone(replayed: &Replayed) -> bool {
    let Origin::Snapshot(snapshot) = &replayed.header.origin else {
        return false;
    };
    let last = replayed.entries.last().index;
    let newest = replayed.entries.servers_at(last);
    let members = newest.unwrap_or(&snapshot.meta.servers);
    members.len() == 1 && members.contains_key(&replayed.header.identity.server_id)
}
