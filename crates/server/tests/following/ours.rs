//! Our servers, in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb_log::SyncPolicy;
use ovsdb_server::listener::Listener;
use ovsdb_server::origin::{Origin, SessionOptions};
use ovsdb_server::relay::Relay;
use ovsdb_server::remote::Remote;
use ovsdb_server::replication::{ActiveBackup, Role, Source};
use ovsdb_server::service::Service;
use ovsdb_server::standalone::{File, Standalone};
use ovsdb_server::upstream::{Remotes, Settings};

/// A server with one listening socket.
pub struct Ours {
    pub service: Arc<Service>,
    pub socket: PathBuf,
    pub relay: Option<Arc<Relay>>,
    pub standby: Option<Arc<ActiveBackup>>,
    keeper: Option<Arc<Standalone>>,
}

pub fn settings(source: &Path) -> Settings {
    let text = format!("unix:{}", source.display());
    Settings::new(Remotes::parse(&text, Path::new("/")))
}

impl Ours {
    fn start(folder: &Path, name: &str) -> Ours {
        let socket = folder.join(format!("{name}.sock"));
        let listener = Listener::open(&Remote::Unix(socket.clone())).expect("listen");
        let service = Service::new().expect("service");
        let origin = Origin::new("punix", SessionOptions::default());
        tokio::spawn(service.clone().accept(Arc::new(listener), origin));
        Ours {
            service,
            socket,
            relay: None,
            standby: None,
            keeper: None,
        }
    }

    /// A relay of the server at a socket.
    pub fn relay(folder: &Path, name: &str, source: &Path) -> Ours {
        let mut ours = Ours::start(folder, name);
        ours.relay = Relay::start(&ours.service, "D", settings(source));
        assert!(ours.relay.is_some());
        ours
    }

    /// A standalone database in a file that there is.
    pub fn standalone(folder: &Path, name: &str, file: &str) -> Ours {
        let mut ours = Ours::start(folder, name);
        let file = File::open(Path::new(file)).expect("opened");
        let (version, keeper) = file.start(SyncPolicy::Always).expect("started");
        ours.service
            .add(version, Box::new(keeper.clone()))
            .expect("added");
        ours.keeper = Some(keeper);
        let parse = |text: &str| Remotes::parse(text, Path::new("/"));
        ours.standby = Some(ActiveBackup::new(ours.service.clone(), true, parse));
        ours
    }

    /// Such a one as a backup of the server at a socket.
    pub fn backup(folder: &Path, name: &str, file: &str, source: &Path, excluded: &str) -> Ours {
        let ours = Ours::standalone(folder, name, file);
        let source = Source {
            settings: settings(source),
            excluded: (!excluded.is_empty()).then(|| excluded.to_owned()),
        };
        let wanted = Some((Role::Backup, Some(source)));
        ours.standby().set("D", wanted).expect("a backup");
        ours
    }

    pub fn standby(&self) -> &Arc<ActiveBackup> {
        self.standby.as_ref().expect("a standby")
    }

    /// Ends all that is its own; its file can be opened again.
    pub async fn close(self) {
        if let Some(standby) = &self.standby {
            standby.set("D", None).expect("none");
        }
        self.service.close().await;
        if let Some(keeper) = self.keeper {
            tokio::task::spawn_blocking(move || keeper.close())
                .await
                .expect("closing")
                .expect("closed");
        }
    }
}
