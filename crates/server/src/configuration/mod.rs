//! What a server serves: databases and remotes, as the command line, `--config-file` or commands of
//! the control socket have it (ovsdb-server(1), "Configuration File"). Pure.

mod json;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::origin::SessionOptions;
use crate::remotes::Wanted;

pub use json::{LONGEST, parse, write};

/// How a database is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceModel {
    /// By this server alone.
    Standalone,
    /// By a cluster.
    Clustered,
    /// By this server, which may become a copy of another one.
    ActiveBackup,
    /// By another server.
    Relay,
}

impl ServiceModel {
    const ALL: [ServiceModel; 4] = [
        ServiceModel::Standalone,
        ServiceModel::Clustered,
        ServiceModel::ActiveBackup,
        ServiceModel::Relay,
    ];

    /// The name in configurations and messages.
    pub fn name(self) -> &'static str {
        match self {
            ServiceModel::Standalone => "standalone",
            ServiceModel::Clustered => "clustered",
            ServiceModel::ActiveBackup => "active-backup",
            ServiceModel::Relay => "relay",
        }
    }

    fn parse(name: &str) -> Option<ServiceModel> {
        let mut all = ServiceModel::ALL.into_iter();
        all.find(|model| model.name() == name)
    }

    /// What an active server and a relay's source are probed with, unless somebody says otherwise.
    fn probe_interval(self) -> Option<Duration> {
        match self {
            ServiceModel::ActiveBackup | ServiceModel::Relay => Some(Duration::from_secs(60)),
            _ => None,
        }
    }

    /// Whether a database that is served so can go on as `to` says; `None` is whatever its file is.
    pub fn can_become(self, to: Option<ServiceModel>) -> bool {
        use ServiceModel::{ActiveBackup, Clustered, Standalone};
        match (self, to) {
            (Standalone | Clustered, None) => true,
            (_, None) => false,
            (from, Some(to)) if from == to => true,
            (Standalone, Some(ActiveBackup)) | (ActiveBackup, Some(Standalone)) => true,
            _ => false,
        }
    }
}

/// Another server that a database comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its remotes, with commas between them.
    pub remotes: String,
    /// How it is treated.
    pub options: SessionOptions,
}

impl Upstream {
    /// With the usual options.
    pub fn new(remotes: &str, model: ServiceModel) -> Upstream {
        let options = SessionOptions {
            probe_interval: model.probe_interval(),
            ..SessionOptions::of(remotes)
        };
        Upstream {
            remotes: remotes.to_owned(),
            options,
        }
    }
}

/// How a database is to be served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// `None` is whatever its file is.
    pub model: Option<ServiceModel>,
    /// The source of a relay; the active server of a backup.
    pub source: Option<Upstream>,
    /// Tables that a backup does not copy, with commas between them.
    pub exclude: Option<String>,
    /// It follows the source, and clients may only read it.
    pub backup: bool,
}

/// What `--sync-from` and its like say of all databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sync {
    /// The active server.
    pub from: Option<String>,
    /// Tables that are not copied.
    pub exclude: Option<String>,
    /// This server follows the active one.
    pub backup: bool,
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The remotes as they are named.
    pub remotes: Wanted,
    /// The databases, by their file's name as it was given, or a relay's by the database's name.
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// What holds for all databases.
    pub sync: Sync,
}

/// A database argument: its name, and how it is to be served. A relay is `relay:DATABASE:REMOTES`.
pub fn argument(text: &str, sync: &Sync) -> (String, DatabaseConfig) {
    if let Some((name, remotes)) = text
        .strip_prefix("relay:")
        .and_then(|rest| rest.split_once(':'))
        && !remotes.is_empty()
    {
        let config = DatabaseConfig {
            model: Some(ServiceModel::Relay),
            source: Some(Upstream::new(remotes, ServiceModel::Relay)),
            ..DatabaseConfig::default()
        };
        return (name.to_owned(), config);
    }
    let Some(from) = &sync.from else {
        return (text.to_owned(), DatabaseConfig::default());
    };
    let model = ServiceModel::ActiveBackup;
    let config = DatabaseConfig {
        model: Some(model),
        source: Some(Upstream::new(from, model)),
        exclude: sync.exclude.clone(),
        backup: sync.backup,
    };
    (text.to_owned(), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_files_backups_and_relays() {
        let alone = Sync::default();
        assert_eq!(
            argument("a.db", &alone),
            ("a.db".to_owned(), DatabaseConfig::default())
        );
        let (name, relay) = argument("relay:D:tcp:[::1]:6641,unix:a", &alone);
        assert_eq!(
            (name.as_str(), relay.model),
            ("D", Some(ServiceModel::Relay))
        );
        let source = relay.source.expect("a source");
        assert_eq!(source.remotes, "tcp:[::1]:6641,unix:a");
        assert_eq!(source.options.probe_interval, Some(Duration::from_secs(60)));
        let (name, file) = argument("relay:D:", &alone);
        assert_eq!((name.as_str(), file.model), ("relay:D:", None));
        let sync = Sync {
            from: Some("unix:b".to_owned()),
            exclude: Some("T".to_owned()),
            backup: true,
        };
        let (_, backup) = argument("a.db", &sync);
        assert_eq!(backup.model, Some(ServiceModel::ActiveBackup));
        assert!(backup.backup && backup.exclude.is_some());
    }

    #[test]
    fn only_some_models_become_others() {
        use ServiceModel::{ActiveBackup, Clustered, Relay, Standalone};
        for (from, to, can) in [
            (Standalone, None, true),
            (Clustered, None, true),
            (Relay, None, false),
            (ActiveBackup, Some(Standalone), true),
            (Standalone, Some(ActiveBackup), true),
            (Standalone, Some(Clustered), false),
            (Relay, Some(Relay), true),
        ] {
            assert_eq!(from.can_become(to), can, "{from:?} {to:?}");
        }
    }
}
