//! Taking a database into use, and giving it up, whatever its service model is.

use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ovsdb_cluster::wire::stream;
use ovsdb_log::{Disk, SyncPolicy, Torn, system_words};
use ovsdb_server::relay::Relay;
use ovsdb_server::replication::{ActiveBackup, Role, Source};
use ovsdb_server::standalone::{File, Leniency};
use ovsdb_server::upstream::{Remotes, Settings};
use ovsdb_tls::Keys;
use parking_lot::Mutex;

use super::clustered;
use crate::control_commands::Subject;
use crate::databases::Kept;
use ovsdb_server::configuration::{DatabaseConfig, ServiceModel, Upstream};

/// How long a relay's first contents are waited for: who is told that the server is ready expects them.
const SETTLE: Duration = Duration::from_millis(500);

/// A database in use.
pub struct Opened {
    /// How it is served.
    pub model: ServiceModel,
    /// The database's name.
    pub name: String,
    /// The source, where it is a relay.
    pub relay: Option<Arc<Relay>>,
    /// The file's device and inode when it was opened, unless it is a relay.
    identity: Option<(PathBuf, (u64, u64))>,
}

/// What databases are opened with.
pub struct Opener {
    /// Where they are offered.
    pub subject: Arc<Subject>,
    /// Those that may be copies.
    pub standbys: Arc<ActiveBackup>,
    /// When standalone files are synced.
    pub sync: SyncPolicy,
    /// Where relative names of files are.
    pub working_folder: PathBuf,
    /// Where relative paths of sockets are.
    pub run_folder: PathBuf,
    /// What other servers are called with.
    pub keys: Keys,
    /// What is to be said once the server is ready; nothing waits any more then.
    pub unsaid: Mutex<Option<Vec<String>>>,
}

impl Opener {
    /// Takes a database into use under the name that it was given, a file's or a relay's.
    ///
    /// # Errors
    /// In the reference's words.
    pub async fn open(&self, given: &str, config: &DatabaseConfig) -> Result<Opened, String> {
        match config.model {
            Some(ServiceModel::Relay) => self.open_relay(given, config).await,
            _ => self.open_file(given, config).await,
        }
    }

    async fn open_relay(&self, name: &str, config: &DatabaseConfig) -> Result<Opened, String> {
        let Some(source) = &config.source else {
            return Err(format!("ovsdb error: {name}: a relay needs a source"));
        };
        check_name(name)?;
        let settings = self.settings(source);
        let relay = Relay::start(&self.subject.service, name, settings)
            .ok_or_else(|| format!("ovsdb error: {name}: duplicate database name"))?;
        relay.settle(SETTLE).await;
        Ok(Opened {
            model: ServiceModel::Relay,
            name: name.to_owned(),
            relay: Some(relay),
            identity: None,
        })
    }

    fn say(&self, line: String) {
        match &mut *self.unsaid.lock() {
            Some(unsaid) => unsaid.push(line),
            None => tracing::info!("{line}"),
        }
    }

    /// Says what has waited for the server to be ready: scripts take what comes before for a complaint.
    pub fn speak(&self) {
        for line in self.unsaid.lock().take().into_iter().flatten() {
            tracing::info!("{line}");
        }
    }

    /// How another server is reached.
    pub fn settings(&self, source: &Upstream) -> Settings {
        let mut settings = Settings::new(Remotes::parse(&source.remotes, &self.run_folder));
        settings.max_backoff = source.options.max_backoff;
        settings.probe = source.options.probe_interval;
        settings.keys = self.keys.clone();
        settings
    }

    async fn open_file(&self, given: &str, config: &DatabaseConfig) -> Result<Opened, String> {
        let path = self.working_folder.join(given);
        let look = {
            let (path, given) = (path.clone(), given.to_owned());
            move || look(&path, &given)
        };
        let looked = tokio::task::spawn_blocking(look).await;
        let (clustered, identity) = looked.map_err(|error| error.to_string())??;
        let found = match (clustered, config.model) {
            (true, _) => ServiceModel::Clustered,
            (false, Some(ServiceModel::ActiveBackup)) => ServiceModel::ActiveBackup,
            (false, _) => ServiceModel::Standalone,
        };
        if let Some(wanted) = config.model
            && wanted != found
        {
            let (found, wanted) = (found.name(), wanted.name());
            return Err(format!(
                "ovsdb error: {given}: database is {found} and not {wanted}"
            ));
        }
        let name = match found {
            ServiceModel::Clustered => self.open_member(&path).await?,
            _ => self.open_alone(&path, given, config).await?,
        };
        Ok(Opened {
            model: found,
            name,
            relay: None,
            identity: Some((path, identity)),
        })
    }

    async fn open_member(&self, path: &Path) -> Result<String, String> {
        let wire = stream::Settings {
            folder: self.run_folder.clone(),
            keys: self.keys.clone(),
            ..stream::Settings::default()
        };
        let member = clustered::open(path, &self.subject, wire).await;
        let member = member.map_err(|error| format!("ovsdb error: {error:#}"))?;
        Ok(member.name().to_owned())
    }

    async fn open_alone(
        &self,
        path: &Path,
        given: &str,
        config: &DatabaseConfig,
    ) -> Result<String, String> {
        let open = {
            let (path, given) = (path.to_owned(), given.to_owned());
            move || -> Result<File, String> {
                let file = File::open_with(Arc::new(Disk), &path, Leniency::DropRest);
                let file = file.map_err(|error| told(&error))?;
                if let (Some(torn), Some(dropped)) = (file.torn(), file.save_torn()) {
                    tracing::error!("{}", torn_words(&given, torn, &path));
                    tracing::warn!("{dropped}");
                }
                Ok(file)
            }
        };
        let file = tokio::task::spawn_blocking(open).await;
        let file = file.map_err(|error| error.to_string())??;
        let schema = file.version().schema().clone();
        let (name, rows) = (schema.name.to_string(), file.version().row_count());
        check_name(&name)?;
        if self.subject.service.knows(&name) {
            return Err(format!("ovsdb error: {name}: duplicate database name"));
        }
        let added = self.subject.add_alone(file, self.sync);
        added.map_err(|error| format!("ovsdb error: {error:#}"))?;
        let (path, version) = (path.display(), &schema.version);
        self.say(format!("{name}: {path}, schema {version}, {rows} rows"));
        self.set_standby(&name, config)?;
        Ok(name)
    }

    /// Makes a standalone database active, a backup, or neither.
    ///
    /// # Errors
    /// If something is missing for that.
    pub fn set_standby(&self, name: &str, config: &DatabaseConfig) -> Result<(), String> {
        let wanted = (config.model == Some(ServiceModel::ActiveBackup)).then(|| {
            let role = match config.backup {
                true => Role::Backup,
                false => Role::Active,
            };
            let source = config.source.as_ref().map(|source| Source {
                settings: self.settings(source),
                excluded: config.exclude.clone(),
            });
            (role, source)
        });
        self.standbys.set(name, wanted)
    }

    /// Gives a database up.
    pub async fn close(&self, opened: &Opened) {
        let (subject, name) = (&self.subject, &opened.name);
        if let Some(relay) = &opened.relay {
            relay.stop().await;
            subject.service.remove(name);
            return;
        }
        match subject.databases.get(name) {
            Some(Kept::Member(member)) => clustered::remove(name, &member, subject).await,
            Some(Kept::Alone(alone)) => {
                // It cannot fail without a wish.
                let _ = self.standbys.set(name, None);
                subject.databases.remove(name);
                subject.service.remove(name);
                let close = tokio::task::spawn_blocking(move || alone.standalone.close());
                if let Ok(Err(error)) = close.await {
                    tracing::error!(db = name, "{name}: closing the file failed: {error}");
                }
            }
            None => {}
        }
    }
}

impl Opened {
    /// Whether a file is open as this one.
    pub fn is_same_file(&self, path: &Path) -> bool {
        let Some((own, identity)) = &self.identity else {
            return false;
        };
        // A compaction puts another file there.
        let ids = [own.as_path(), path].map(identity_of);
        match ids {
            [Ok(own), Ok(other)] => own == other,
            [_, Ok(other)] => *identity == other,
            _ => false,
        }
    }
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Whether a file is a cluster's, and its identity. Blocks.
fn look(path: &Path, given: &str) -> Result<(bool, (u64, u64)), String> {
    let identity = identity_of(path)
        .map_err(|error| format!("I/O error: {given}: open failed ({})", system_words(&error)))?;
    let clustered = clustered::is_clustered(path).map_err(|error| told(&error))?;
    Ok((clustered, identity))
}

fn told(error: &dyn std::fmt::Display) -> String {
    format!("ovsdb error: {error}")
}

/// What is wrong with a file's end, in the reference's words where it is no record at all.
fn torn_words(given: &str, torn: &Torn, path: &Path) -> String {
    let offset = torn.offset;
    let first = first_line(path, offset).unwrap_or_default();
    match first.starts_with("OVSDB ") {
        true => torn.reason.clone(),
        false => format!(
            "syntax error: {given}: parse error at offset {offset} in header line \"{first}\""
        ),
    }
}

/// The beginning of a line in a file.
fn first_line(path: &Path, offset: u64) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    file.seek(io::SeekFrom::Start(offset))?;
    let mut bytes = [0; 128];
    let count = file.read(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn check_name(name: &str) -> Result<(), String> {
    match name.starts_with('_') {
        true => Err(format!(
            "ovsdb error: {name}: names beginning with \"_\" are reserved"
        )),
        false => Ok(()),
    }
}
