//! One database of a cluster's node: from its file, over the search for a cluster, to a member.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use ovsdb::Uuid;
use ovsdb_cluster::address::Transport;
use ovsdb_cluster::file::{Address, ClusterFile};
use ovsdb_cluster::node::{self, Connections};
use ovsdb_cluster::wire::extension::{OWN_MESSAGES, PRE_VOTE};
use ovsdb_cluster::wire::{Announcement, stream};
use ovsdb_server::clustered::Clustered;
use ovsdb_tls::{Keys, Tls};
use tracing::Instrument;

use crate::advice;
use crate::cluster_schema::SchemaKeeper;
use crate::control_commands::Subject;
use crate::founding::meeting::{Cluster, Meeting, Verdict};
use crate::founding::{Decision, Past, Report, Seeker, Seeking, Step};
use crate::logging;
use crate::membership::{self, Aside, Maker, OwnFile};
use crate::own_contents::holding;
use crate::schemas::Side;
use crate::searching::Searching;
use crate::settings::{ClusterSettings, Settings};
use crate::switch_keeper::SwitchKeeper;
use crate::transit_switches::Wanted;

/// How often a member looks whether it has to say something else about itself.
const LOOK: Duration = Duration::from_millis(500);

/// What a database's member is made by.
pub struct ClusterMember {
    side: Side,
    path: PathBuf,
    /// None where only the file makes the node a member.
    cluster: Option<ClusterSettings>,
    switches: Wanted,
    switch_interval: Duration,
    tls: Option<Arc<Tls>>,
    subject: Arc<Subject>,
}

impl ClusterMember {
    /// The member of a side's database.
    pub fn new(
        side: Side,
        path: PathBuf,
        settings: &Settings,
        tls: Option<Arc<Tls>>,
        subject: Arc<Subject>,
    ) -> Self {
        ClusterMember {
            side,
            path,
            cluster: settings.cluster.clone(),
            switches: settings.transit_switches.clone(),
            switch_interval: settings.leader_probe_interval,
            tls,
            subject,
        }
    }

    /// Begins with what the node has. What cannot be is an error now; what takes long goes on in
    /// the task that it gives, which ends with an error if the database cannot be served any more.
    pub async fn start(
        mut self,
        own: OwnFile,
    ) -> anyhow::Result<impl Future<Output = anyhow::Error> + Send> {
        let past = own.past();
        self.keep_transport(&own)?;
        let begun = match own {
            OwnFile::Damaged(damaged) if self.cluster.is_none() => return Err(damaged.error),
            OwnFile::Clustered(file) if self.cluster.is_none() || past == Past::Member => {
                Begun::Member(self.take_into_use(*file, None).await?)
            }
            own => {
                let cluster = self.cluster.as_ref().context("no cluster is set")?;
                let seeker = self.seek(cluster, &own)?;
                Begun::Seeking(Box::new(seeker), own)
            }
        };
        Ok(async move {
            let Err(error) = self.go_on(begun).await;
            error.context(self.side.database())
        })
    }

    /// Members talk as their cluster's addresses say, whatever the settings are for new clusters.
    fn keep_transport(&mut self, own: &OwnFile) -> anyhow::Result<()> {
        let OwnFile::Clustered(file) = own else {
            return Ok(());
        };
        let address = &file.replayed().header.identity.local_address;
        let Ok(Address::Network { transport, .. }) = address.parse() else {
            return Ok(());
        };
        match (transport, &self.tls) {
            (Transport::Ssl, None) => bail!(
                "{}: is of a cluster whose members use TLS ({address}); set ENABLE_SSL=true, with the keys in /var/run/tls or where --private-key, --certificate and --ca-cert say",
                file.path().display()
            ),
            (Transport::Tcp, Some(_)) => tracing::warn!(
                db = self.side.short(),
                "{}: is of a cluster whose members talk WITHOUT TLS ({address}), and stays so: ENABLE_SSL=true counts for clients only",
                file.path().display()
            ),
            _ => {}
        }
        self.cluster = self.cluster.take().map(|cluster| cluster.over(transport));
        Ok(())
    }

    /// Bounds, times and keys of connections with members.
    fn wire(&self) -> stream::Settings {
        stream::Settings {
            keys: self.tls.clone().map(Keys::from).unwrap_or_default(),
            ..stream::Settings::default()
        }
    }

    fn seek(&self, cluster: &ClusterSettings, own: &OwnFile) -> anyhow::Result<Seeker> {
        let seeking = Seeking {
            side: self.side,
            server: own.candidate_id(),
            past: own.past(),
            remotes: own.remotes(),
            announcement: announcement(),
            wire: self.wire(),
        };
        Ok(Seeker::start(seeking, cluster)?)
    }

    async fn go_on(&self, begun: Begun) -> anyhow::Result<Infallible> {
        let mut member = match begun {
            Begun::Member(member) => member,
            Begun::Seeking(seeker, own) => self.find_cluster(*seeker, own).await?,
        };
        loop {
            let keeper = self.keep_switches(&member);
            let schema = SchemaKeeper::new(self.side, &self.path, &member);
            let why = tokio::select! {
                () = keeper => continue,
                kept = schema.keep() => {
                    kept?;
                    continue;
                }
                why = self.meet_others(&member) => why,
            };
            member = self.start_over(&member, why).await?;
        }
    }

    /// Looks for a cluster until there is one, or it is this node that founds it.
    async fn find_cluster(
        &self,
        mut seeker: Seeker,
        own: OwnFile,
    ) -> anyhow::Result<Arc<Clustered>> {
        let cluster = self.cluster.clone().context("no cluster is set")?;
        let side = self.side;
        let server = seeker.server();
        let searching = Arc::new(Searching::new(side, server, &cluster));
        self.subject.show_searching(&searching);
        let maker = move |cluster| MakerOf { side, cluster };
        let (file, connections) = loop {
            match seeker.next().await {
                Step::Decided(Decision::Found) => {
                    let (peers, _) = seeker.into_connections();
                    // It listens at the address where the member will.
                    peers.stop().await;
                    drop(peers);
                    let making = maker(cluster);
                    let made = move || membership::found(making.now(), own);
                    break (self.make_file(made).await?, None);
                }
                Step::Decided(decision) => searching.say(decision.to_string()),
                Step::Taken { cluster: id, event } => {
                    tracing::info!(db = side.short(), "cluster: is let into {id}");
                    let (peers, events) = seeker.into_connections();
                    let connections = Connections {
                        peers,
                        events,
                        first: vec![event],
                    };
                    let making = maker(cluster);
                    let made = move || membership::join(making.now(), own, server);
                    break (self.make_file(made).await?, Some(connections));
                }
            }
        };
        self.take_into_use(file, connections).await
    }

    async fn take_into_use(
        &self,
        file: ClusterFile,
        connections: Option<Connections>,
    ) -> anyhow::Result<Arc<Clustered>> {
        let identity = file.replayed().header.identity.clone();
        let settings = self.node_settings(&identity.local_address)?;
        let path = file.path().to_owned();
        let adding = self.subject.add_member(file, settings, connections);
        let about = logging::of_database(self.side);
        let member = adding.instrument(about).await;
        let member = member.map_err(|error| advice::making(error, &path))?;
        let cluster = match identity.cluster_id {
            Some(cluster) => format!("cluster {cluster}"),
            None => "a cluster that it is yet to join".to_owned(),
        };
        tracing::info!(
            db = self.side.short(),
            "{}: {}, server {} at {} of {cluster}, on {}",
            identity.name,
            path.display(),
            identity.server_id,
            identity.local_address,
            self.subject.remotes.join(", ")
        );
        Ok(member)
    }

    fn node_settings(&self, local_address: &str) -> anyhow::Result<node::Settings> {
        let (ip, port) = match &self.cluster {
            Some(cluster) => (cluster.local, cluster.raft_port(self.side)),
            None => {
                let address: Address = local_address.parse()?;
                match address.ip_and_port() {
                    Some(address) => address,
                    None => bail!("{local_address}: a member's address must be an IP address"),
                }
            }
        };
        let cluster = self.cluster.as_ref();
        Ok(node::Settings {
            db: self.side.short().to_owned(),
            listen: vec![SocketAddr::new(ip, port).into()],
            wire: self.wire(),
            log: ovsdb_log::Options::default(),
            announcement: announcement(),
            also: cluster.map_or_else(Vec::new, |cluster| cluster.other_addresses(self.side)),
        })
    }

    /// The transit switches, while this member leads the northbound database.
    async fn keep_switches(&self, member: &Arc<Clustered>) {
        if self.side == Side::Northbound {
            let mut place = member.place();
            // There are contents as soon as somebody leads.
            let leads = place
                .wait_for(|place| place.leading.is_some())
                .await
                .is_ok();
            if leads && let Some(database) = member.database() {
                let database = Arc::clone(database);
                let switches = self.switches.clone();
                let keeper = SwitchKeeper::new(database, switches, self.switch_interval);
                keeper.keep_as_leader(member.place()).await;
            }
        }
        std::future::pending().await
    }

    /// Tells others what this member is; ends when its cluster is to give way to another one's, or
    /// has removed it while it was away.
    async fn meet_others(&self, member: &Arc<Clustered>) -> Aside {
        let mut look = tokio::time::interval(LOOK);
        let (mut said, mut met) = (None, None);
        loop {
            look.tick().await;
            let (Some(node), Some(database)) = (member.node(), member.database()) else {
                continue;
            };
            let Some(id) = node.cluster_id() else {
                continue;
            };
            // Without variables nobody says that the node is to have a server.
            if node.is_expelled() && self.cluster.is_some() {
                return Aside::Left;
            }
            let own = Cluster {
                id,
                holding: holding(&database.committed().version, &self.switches),
            };
            let place = member.place().borrow().clone();
            let led = place.leading.is_some() || place.leader.is_some();
            let saying = Report::member(id, own.holding, led).announce(announcement());
            if said.as_ref() != Some(&saying) {
                node.announce(saying.clone());
                said = Some(saying);
            }
            let Some(stranger) = node.stranger() else {
                continue;
            };
            let other = Cluster::of_peer(stranger.cluster, stranger.announcement.as_ref());
            let meeting = Meeting {
                own,
                other,
                address: stranger.address,
            };
            if met.as_ref() != Some(&meeting) {
                tracing::warn!(db = self.side.short(), "raft: {meeting}");
                node.trouble("another cluster", meeting.to_string());
                met = Some(meeting);
            }
            if own.meets(other) == Verdict::GiveWay {
                return Aside::GivesWay;
            }
        }
    }

    /// Sets the file aside, and joins the other cluster, or its own one anew.
    async fn start_over(
        &self,
        member: &Arc<Clustered>,
        why: Aside,
    ) -> anyhow::Result<Arc<Clustered>> {
        let name = self.side.database();
        self.subject.remove_member(name, member).await;
        let nothing = member.database().is_none_or(|database| {
            let version = database.committed().version.clone();
            holding(&version, &self.switches) == crate::founding::Holding::OwnSwitches
        });
        let (side, path) = (self.side, self.path.clone());
        let cluster = self.cluster.clone().context("no cluster is set")?;
        let again = move || -> anyhow::Result<ClusterFile> {
            let own = membership::look(side, &path, Some(&cluster))?;
            let OwnFile::Clustered(file) = own else {
                bail!("{}: is no member's file any more", path.display());
            };
            if matches!(why, Aside::GivesWay) && !nothing {
                // Something has come at the last moment.
                return Ok(*file);
            }
            let making = MakerOf { side, cluster };
            membership::start_over(making.now(), file.into_lock(), why, Uuid::new_v4())
        };
        let file = self.make_file(again).await?;
        self.take_into_use(file, None).await
    }

    /// Makes a file in another thread. What the disk is to blame for is said with what to do.
    async fn make_file(
        &self,
        make: impl FnOnce() -> anyhow::Result<ClusterFile> + Send + 'static,
    ) -> anyhow::Result<ClusterFile> {
        let made = tokio::task::spawn_blocking(make).await?;
        made.map_err(|error| advice::making(error, &self.path))
    }
}

enum Begun {
    Member(Arc<Clustered>),
    Seeking(Box<Seeker>, OwnFile),
}

/// What a file is made by, for another thread.
struct MakerOf {
    side: Side,
    cluster: ClusterSettings,
}

impl MakerOf {
    fn now(&self) -> Maker<'_> {
        Maker {
            side: self.side,
            cluster: &self.cluster,
            now: SystemTime::now(),
        }
    }
}

/// What this program's members can do.
pub fn announcement() -> Announcement {
    Announcement::new([OWN_MESSAGES, PRE_VOTE])
}
