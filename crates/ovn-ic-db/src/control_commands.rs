//! The commands of a server's control socket (ovsdb-server(1), "Runtime Management Commands").

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use ovsdb_cluster::file::ClusterFile;
use ovsdb_cluster::node::{self, Connections};
use ovsdb_log::{Disk, SyncPolicy};
use ovsdb_server::cluster_control::{self, Members};
use ovsdb_server::clustered::Clustered;
use ovsdb_server::control::{Answer, Commands};
use ovsdb_server::database::Database;
use ovsdb_server::log_control;
use ovsdb_server::server_database::{Model, Status};
use ovsdb_server::service::Service;
use ovsdb_server::standalone::File;

use crate::databases::{Alone, Databases, Kept};
use crate::figures_commands;
use crate::logging::SideLog;
use crate::remote_keeper::RemoteKeeper;
use crate::searching::Searching;
use crate::stop::Stop;

/// The built-in database, which has no file.
const BUILT_IN: &str = "_Server";

/// What the commands are about.
pub struct Subject {
    /// What is served.
    pub service: Arc<Service>,
    /// Its files.
    pub databases: Arc<Databases>,
    /// The members of clusters among them.
    pub members: Arc<Members>,
    /// Where clients reach it whatever happens, as `ovsdb-server/list-remotes` says it.
    pub remotes: Vec<String>,
    /// Where else.
    pub keeper: Arc<RemoteKeeper>,
    /// Clients are let in.
    pub accepts: AtomicBool,
}

impl Subject {
    /// Begins to keep a standalone database in its file, and offers it.
    ///
    /// # Errors
    /// If there is one of that name already, or the file cannot be written to.
    pub fn add_alone(&self, file: File, sync: SyncPolicy) -> anyhow::Result<Arc<Database>> {
        let name = file.version().schema().name.to_string();
        let path = file.path().to_owned();
        let (version, standalone) = file.start(sync)?;
        let service = &self.service;
        let Some(database) = service.add(version, Box::new(Arc::clone(&standalone))) else {
            standalone
                .close()
                .with_context(|| format!("{}: cannot be closed", path.display()))?;
            bail!(
                "{}: a database {name} is served already from another file",
                path.display()
            );
        };
        let kept = Kept::Alone(Alone {
            database: Arc::clone(&database),
            standalone,
        });
        self.databases.add(&name, kept);
        Ok(database)
    }

    /// The remotes, for people.
    pub fn addresses(&self) -> String {
        let mut all = self.remotes.clone();
        all.extend(self.keeper.remotes().listening());
        all.join(", ")
    }

    /// Begins to be a member of a database's cluster, and offers the database.
    pub async fn add_member(
        &self,
        file: ClusterFile,
        settings: node::Settings,
        connections: Option<Connections>,
    ) -> anyhow::Result<Arc<Clustered>> {
        let name = file.replayed().header.identity.name.clone();
        let save = move || (file.save_torn(), file);
        let (dropped, file) = tokio::task::spawn_blocking(save).await?;
        if let Some(dropped) = dropped {
            tracing::warn!(db = &*name, "{dropped}");
        }
        let service = Arc::clone(&self.service);
        let disk = Arc::new(Disk);
        let member = Clustered::start(service, file, disk, settings, connections).await?;
        self.members.add(&name, member.clone());
        self.databases.add(&name, Kept::Member(member.clone()));
        Ok(member)
    }

    /// Shows a node that looks for its cluster: it has no member yet.
    pub fn show_searching(&self, searching: &Arc<Searching>) {
        let name = searching.database();
        self.members.add(name, searching.clone());
        let status = Status {
            model: Model::Clustered,
            connected: false,
            leader: false,
            schema: None,
            cluster: None,
            server: Some(searching.server()),
            index: None,
        };
        if let Err(error) = self.service.set_status(name, &status) {
            tracing::error!(db = name, "{name}: cannot be shown in _Server: {error}");
        }
    }

    /// Stops being one, and takes the database away.
    pub async fn remove_member(&self, name: &str, member: &Clustered) {
        member.stop().await;
        self.members.remove(name);
        self.databases.remove(name);
        self.service.remove(name);
    }
}

/// All commands of one control socket.
pub fn commands(version: &str, subject: Arc<Subject>, log: SideLog, stop: Stop) -> Commands {
    let mut commands = Commands::new(version);
    log_control::register(&mut commands, Arc::new(log));
    cluster_control::register(&mut commands, &subject.members);
    commands.register("exit", Some(""), 0, 0, move |_| {
        tracing::info!("exit: stopping");
        stop.ask();
        std::future::ready(Ok(String::new()))
    });
    let about = Arc::clone(&subject);
    commands.register("ovsdb-server/list-dbs", Some(""), 0, 0, move |_| {
        std::future::ready(Ok(lines(about.service.names())))
    });
    let about = Arc::clone(&subject);
    commands.register("ovsdb-server/list-remotes", Some(""), 0, 0, move |_| {
        let mut remotes = about.remotes.clone();
        remotes.extend(about.keeper.named().into_keys());
        remotes.sort();
        std::future::ready(Ok(lines(remotes)))
    });
    let about = Arc::clone(&subject);
    let add = "ovsdb-server/add-remote";
    commands.register(add, Some("REMOTE"), 1, 1, move |names| {
        change_remotes(Arc::clone(&about), names, RemoteKeeper::add)
    });
    let about = Arc::clone(&subject);
    let remove = "ovsdb-server/remove-remote";
    commands.register(remove, Some("REMOTE"), 1, 1, move |names| {
        change_remotes(Arc::clone(&about), names, RemoteKeeper::remove)
    });
    let about = Arc::clone(&subject);
    commands.register("ovsdb-server/compact", Some(""), 0, 1, move |names| {
        compact(Arc::clone(&about), names)
    });
    let about = Arc::clone(&subject);
    commands.register(
        "ovsdb-server/get-db-storage-status",
        Some("DB"),
        1,
        1,
        move |names| std::future::ready(storage_status(&about, &names)),
    );
    let about = Arc::clone(&subject);
    commands.register("ovsdb-server/reconnect", Some(""), 0, 0, move |_| {
        about.service.disconnect_all();
        std::future::ready(Ok(String::new()))
    });
    let Subject {
        service,
        databases,
        members,
        ..
    } = &*subject;
    figures_commands::register(&mut commands, service, databases, members);
    commands
}

fn lines(names: Vec<String>) -> String {
    names.into_iter().map(|name| name + "\n").collect()
}

/// Answers when the change has taken effect.
pub async fn change_remotes(
    subject: Arc<Subject>,
    names: Vec<String>,
    change: fn(&RemoteKeeper, &str) -> Result<(), String>,
) -> Answer {
    let name = names.first().map_or("", String::as_str);
    change(&subject.keeper, name)?;
    // The log says what else is wrong.
    let _ = subject.keeper.look_aside().await;
    Ok(String::new())
}

/// Answers when the compaction is over.
async fn compact(subject: Arc<Subject>, names: Vec<String>) -> Answer {
    let chosen = match names.first() {
        None => subject.databases.all(),
        Some(name) if name == BUILT_IN => {
            return Err("cannot compact built-in databases".to_owned());
        }
        Some(name) => match subject.databases.get(name) {
            Some(kept) => vec![(name.clone(), kept)],
            // A relay has no file.
            None if subject.service.database(name).is_some() => Vec::new(),
            None => return Err("no database by that name".to_owned()),
        },
    };
    let mut failures = Vec::new();
    for (name, kept) in chosen {
        tracing::info!(db = name, "compacting {name} database by user request");
        if let Err(error) = kept.compact().await {
            tracing::warn!(db = name, "{name}: compaction failed: {error}");
            failures.push(error);
        }
    }
    if failures.is_empty() {
        return Ok(String::new());
    }
    Err(failures.join("\n"))
}

fn storage_status(subject: &Subject, names: &[String]) -> Answer {
    let name = names.first().map_or("", String::as_str);
    if let Some(kept) = subject.databases.get(name) {
        return Ok(kept.storage_status());
    }
    match subject.service.database(name) {
        Some(_) => Ok("status: ok".to_owned()),
        None => Err("Failed to find the database.".to_owned()),
    }
}
