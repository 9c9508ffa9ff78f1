//! Brings what is served in step with the configuration: at start, on `ovsdb-server/reload`, and with
//! the commands that add and remove databases and remotes (ovsdb-server(1)).

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb_server::replication::Role;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::opening::{Opened, Opener};
use ovsdb_server::configuration::{
    self, Configuration, DatabaseConfig, LONGEST, ServiceModel, Sync, Upstream, argument,
};

/// Where the configuration is.
pub enum Place {
    /// In a file that people write.
    File(PathBuf),
    /// In one that this server keeps for the one that takes its place should it crash.
    Saved(Mutex<std::fs::File>),
    /// Nowhere: it is what commands make of it.
    Nowhere,
}

/// What is served, by the databases' names.
#[derive(Default)]
struct Served {
    databases: BTreeMap<String, Entry>,
}

struct Entry {
    /// As it was given: a file's name, or a relay's.
    given: String,
    config: DatabaseConfig,
    opened: Opened,
}

/// The one who does so.
pub struct Configurator {
    opener: Opener,
    place: Place,
    served: AsyncMutex<Served>,
}

impl Configurator {
    /// Nothing is served yet.
    pub fn new(opener: Opener, place: Place) -> Arc<Configurator> {
        Arc::new(Configurator {
            opener,
            place,
            served: AsyncMutex::default(),
        })
    }

    /// What databases are opened with.
    pub fn opener(&self) -> &Opener {
        &self.opener
    }

    /// An error where commands may not change what a file says.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn check_commands(&self) -> Result<(), String> {
        match &self.place {
            Place::File(path) => Err(format!(
                "Update the {} and use ovsdb-server/reload instead",
                path.display()
            )),
            _ => Ok(()),
        }
    }

    /// Serves what the file says, or else what `given` says. False if something is not as it should
    /// be; the log says what.
    pub async fn configure(&self, given: Configuration) -> bool {
        let configuration = match self.load().await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => given,
            Err(()) => return false,
        };
        self.apply(configuration).await
    }

    /// Reads the configuration's file again (`ovsdb-server/reload`).
    ///
    /// # Errors
    /// In the reference's words.
    pub async fn reload(&self) -> Result<(), String> {
        if !matches!(self.place, Place::File(_)) {
            return Err("Configuration file was not specified on command line".to_owned());
        }
        match self.configure(Configuration::default()).await {
            true => Ok(()),
            false => Err("Configuration failed.  See the log file for details.".to_owned()),
        }
    }

    async fn load(&self) -> Result<Option<Configuration>, ()> {
        let text = match &self.place {
            Place::Nowhere => return Ok(None),
            Place::Saved(file) => match read_saved(&mut file.lock()) {
                Ok(text) if text.is_empty() => return Ok(None),
                read => read,
            },
            Place::File(path) => {
                let (path, shown) = (path.clone(), path.display().to_string());
                let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
                match read.map_err(io::Error::other).flatten() {
                    Ok(text) => {
                        tracing::info!("loading configuration from '{shown}'");
                        Ok(text)
                    }
                    Err(error) => {
                        tracing::error!("failed to open configuration file '{shown}': {error}");
                        return Err(());
                    }
                }
            }
        };
        let text = text.map_err(|error| {
            tracing::error!("the saved configuration cannot be read: {error}");
        })?;
        let mut warnings = Vec::new();
        let parsed = configuration::parse(&text, &mut warnings);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        parsed.map(Some).map_err(|lines| {
            for line in lines {
                tracing::warn!("{line}");
            }
            if let Place::File(path) = &self.place {
                tracing::warn!("failed to load configuration from {}", path.display());
            }
        })
    }

    async fn apply(&self, configuration: Configuration) -> bool {
        let standbys = &self.opener.standbys;
        if let Some(from) = &configuration.sync.from {
            standbys.set_active_server(from);
        }
        if let Some(exclude) = &configuration.sync.exclude {
            standbys.set_excluded_tables(exclude);
        }
        let mut served = self.served.lock().await;
        let all_right = self
            .apply_databases(&mut served, configuration.databases)
            .await;
        if !all_right {
            tracing::warn!("failed to configure databases");
        }
        let keeper = &self.opener.subject.keeper;
        keeper.set_named(configuration.remotes);
        let looked = keeper.look_aside().await;
        if let Err(error) = &looked {
            tracing::warn!("failed to configure remotes: {error}");
        }
        self.save(&served);
        all_right && looked.is_ok()
    }

    async fn apply_databases(
        &self,
        served: &mut Served,
        mut wanted: BTreeMap<String, DatabaseConfig>,
    ) -> bool {
        self.forget_gone(served);
        let names: Vec<String> = served.databases.keys().cloned().collect();
        for name in names {
            let Some(entry) = served.databases.get_mut(&name) else {
                continue;
            };
            let config = wanted.get(&entry.given);
            let goes_on = config.is_some_and(|config| entry.opened.model.can_become(config.model));
            if !goes_on {
                let why = match config {
                    None => format!("database {name} removed from configuration"),
                    Some(_) => format!("service model changed for database {name}"),
                };
                tracing::info!("{why}");
                if let Some(entry) = served.databases.remove(&name) {
                    self.opener.close(&entry.opened).await;
                }
                continue;
            }
            if let Some(config) = wanted.remove(&entry.given) {
                self.change(entry, &name, config);
            }
        }
        let mut all_right = true;
        for (given, config) in wanted {
            if let Err(error) = self.open(served, &given, config).await {
                tracing::warn!("failed to open database '{given}': {error}");
                all_right = false;
            }
        }
        all_right
    }

    /// A database goes on, perhaps differently.
    fn change(&self, entry: &mut Entry, name: &str, config: DatabaseConfig) {
        if let Some(model) = config.model {
            entry.opened.model = model;
        }
        if let (Some(relay), Some(source)) = (&entry.opened.relay, &config.source) {
            let settings = self.opener.settings(source);
            relay.set(move |present| *present = settings);
        }
        let alone = matches!(
            entry.opened.model,
            ServiceModel::Standalone | ServiceModel::ActiveBackup
        );
        if alone && let Err(error) = self.opener.set_standby(name, &config) {
            tracing::warn!("{error}");
        }
        entry.config = config;
    }

    async fn open(
        &self,
        served: &mut Served,
        given: &str,
        mut config: DatabaseConfig,
    ) -> Result<(), String> {
        let path = self.opener.working_folder.join(given);
        let is_relay = config.model == Some(ServiceModel::Relay);
        let mut entries = served.databases.values();
        if !is_relay && entries.any(|entry| entry.opened.is_same_file(&path)) {
            return Err(format!("ovsdb error: {given}: already open"));
        }
        let opened = self.opener.open(given, &config).await?;
        config.model = Some(opened.model);
        let name = opened.name.clone();
        let given = given.to_owned();
        served.databases.insert(
            name,
            Entry {
                given,
                config,
                opened,
            },
        );
        Ok(())
    }

    /// A server that has left its cluster has taken its database away by itself.
    fn forget_gone(&self, served: &mut Served) {
        let databases = &self.opener.subject.databases;
        served
            .databases
            .retain(|name, entry| entry.opened.relay.is_some() || databases.get(name).is_some());
    }

    /// `ovsdb-server/add-db`.
    ///
    /// # Errors
    /// In the reference's words.
    pub async fn add_database(&self, text: &str) -> Result<(), String> {
        self.check_commands()?;
        let mut served = self.served.lock().await;
        self.forget_gone(&mut served);
        let (given, config) = argument(text, &self.sync());
        self.open(&mut served, &given, config).await?;
        self.save(&served);
        drop(served);
        // The log says what is wrong with the remotes.
        let _ = self.opener.subject.keeper.look_aside().await;
        Ok(())
    }

    /// `ovsdb-server/remove-db`.
    ///
    /// # Errors
    /// In the reference's words.
    pub async fn remove_database(&self, name: &str) -> Result<(), String> {
        self.check_commands()?;
        let mut served = self.served.lock().await;
        self.forget_gone(&mut served);
        if name.starts_with('_') && self.opener.subject.service.database(name).is_some() {
            return Err("Cannot remove reserved database.".to_owned());
        }
        let Some(entry) = served.databases.remove(name) else {
            return Err("Failed to find the database.".to_owned());
        };
        tracing::info!("removing {name} database by user request");
        self.opener.close(&entry.opened).await;
        self.save(&served);
        Ok(())
    }

    /// Keeps the configuration as it is now, where it is kept.
    pub async fn save_now(&self) {
        let served = self.served.lock().await;
        self.save(&served);
    }

    /// Gives other options to the sources of relays.
    pub async fn set_relay_sources(&self, change: impl Fn(&mut Upstream)) {
        let mut served = self.served.lock().await;
        for entry in served.databases.values_mut() {
            if let (Some(relay), Some(source)) = (&entry.opened.relay, &mut entry.config.source) {
                change(source);
                let settings = self.opener.settings(source);
                relay.set(move |present| *present = settings);
            }
        }
        self.save(&served);
    }

    /// What holds for all databases.
    fn sync(&self) -> Sync {
        let standbys = &self.opener.standbys;
        let members = standbys.members();
        Sync {
            from: standbys.active_server(),
            exclude: standbys.excluded_tables(),
            backup: members.iter().any(|(_, role, _)| *role == Role::Backup),
        }
    }

    fn save(&self, served: &Served) {
        let Place::Saved(file) = &self.place else {
            return;
        };
        let mut configuration = Configuration {
            remotes: self.opener.subject.keeper.named(),
            databases: BTreeMap::new(),
            sync: self.sync(),
        };
        let standbys = self.opener.standbys.members();
        for (name, entry) in &served.databases {
            let mut config = entry.config.clone();
            // Commands may have made a copy of it.
            if let Some((_, role, source)) = standbys.iter().find(|(of, ..)| of == name) {
                let model = ServiceModel::ActiveBackup;
                config.model = Some(model);
                config.backup = *role == Role::Backup;
                if let Some(source) = source {
                    let remotes = source.settings.remotes.text();
                    config.source = Some(Upstream::new(remotes, model));
                    config.exclude.clone_from(&source.excluded);
                }
            }
            configuration.databases.insert(entry.given.clone(), config);
        }
        let text = configuration::write(&configuration);
        if let Err(error) = write_saved(&mut file.lock(), &text) {
            tracing::error!("the configuration cannot be saved: {error}");
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let mut text = Vec::new();
    file.take(LONGEST as u64 + 1).read_to_end(&mut text)?;
    match text.len() > LONGEST {
        true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        false => Ok(text),
    }
}

fn read_saved(file: &mut std::fs::File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut text = Vec::new();
    file.take(LONGEST as u64).read_to_end(&mut text)?;
    Ok(text)
}

/// The file has no name and lives as long as these processes, so that a moment without a whole text in it
/// does not matter.
fn write_saved(file: &mut std::fs::File, text: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text)
}
