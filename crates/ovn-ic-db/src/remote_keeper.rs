//! Keeps a service's remotes what they should be: those that were named, and those that a database
//! names (`db:DATABASE,TABLE,COLUMN`), with the keys for TLS; and writes back how they are doing
//! (ovsdb-server(1), `--remote`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_server::origin::SessionOptions;
use ovsdb_server::own_transaction;
use ovsdb_server::remotes::{Column, Remotes, Source, Wanted, differences};
use ovsdb_server::service::Service;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::tls_sources::{Resolved, TlsSources};

/// The shortest time between two looks: databases may change all the time.
const REST: Duration = Duration::from_millis(10);
/// How long until what could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the rows' status columns are looked at.
const STATUS: Duration = Duration::from_millis(2500);

/// The keeper of one service's remotes.
pub struct RemoteKeeper {
    service: Arc<Service>,
    remotes: Arc<Remotes>,
    tls: TlsSources,
    /// Databases that are not there yet will come, and nobody is told.
    patient: bool,
    /// As they were named, `db:` ones among them.
    named: Mutex<Wanted>,
    /// Whoever looks, which may take a while, has this.
    looking: Mutex<Looking>,
}

#[derive(Default)]
struct Looking {
    /// What was last said of what cannot be looked up.
    complaint: Vec<String>,
    /// What the keys were last looked for in.
    keys: Option<Resolved>,
    /// The task that looks after the files of those in use.
    watching: Option<JoinHandle<()>>,
    /// The keys cannot be loaded: they are tried again.
    keys_failed: Option<String>,
}

impl RemoteKeeper {
    /// A keeper of `remotes`, which are the service's. With `tls` empty, the keys are left alone.
    /// `patient`: databases that are not there yet will come.
    pub fn new(
        service: Arc<Service>,
        remotes: Arc<Remotes>,
        tls: TlsSources,
        patient: bool,
    ) -> Arc<RemoteKeeper> {
        Arc::new(RemoteKeeper {
            service,
            remotes,
            tls,
            patient,
            named: Mutex::default(),
            looking: Mutex::default(),
        })
    }

    /// The remotes that it keeps.
    pub fn remotes(&self) -> &Arc<Remotes> {
        &self.remotes
    }

    /// The remotes as they were named.
    pub fn named(&self) -> Wanted {
        self.named.lock().clone()
    }

    /// Other ones are to be kept. Takes effect with the next [`RemoteKeeper::look`].
    pub fn set_named(&self, named: Wanted) {
        *self.named.lock() = named;
    }

    /// Adds one, as `ovsdb-server/add-remote` does.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn add(&self, name: &str) -> Result<(), String> {
        if name.starts_with("pfd:") {
            return Err("pfd: remotes can only be specified on the command line".to_owned());
        }
        if Column::is_meant(name) {
            let column = Column::parse(name)?;
            column.check(&self.service.source(column.database()))?;
        }
        let mut named = self.named.lock();
        let options = || SessionOptions::of(name);
        named.entry(name.to_owned()).or_insert_with(options);
        Ok(())
    }

    /// Removes one, as `ovsdb-server/remove-remote` does.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn remove(&self, name: &str) -> Result<(), String> {
        let removed = self.named.lock().remove(name);
        removed
            .map(|_| ())
            .ok_or_else(|| "no such remote".to_owned())
    }

    /// Makes remotes and keys what they should be now. Reads files. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// What cannot be looked up; the rest is as it should be.
    pub fn look(&self) -> Result<(), String> {
        let mut looking = self.looking.lock();
        let mut errors = Vec::new();
        let mut wanted = Wanted::new();
        for (name, options) in self.named() {
            if !Column::is_meant(&name) {
                wanted.insert(name, options);
                continue;
            }
            let remotes = Column::parse(&name)
                .and_then(|column| column.remotes(&self.source(column.database())));
            match remotes {
                // What was named outright is as it was named.
                Ok(remotes) => remotes.into_iter().for_each(|(name, options)| {
                    wanted.entry(name).or_insert(options);
                }),
                Err(error) => errors.push(error),
            }
        }
        self.look_for_keys(&mut looking, &mut errors);
        self.remotes.set(&wanted);
        if looking.complaint != errors {
            for error in &errors {
                tracing::warn!("{error}");
            }
            looking.complaint.clone_from(&errors);
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(errors.join("\n")),
        }
    }

    fn source(&self, name: &str) -> Source {
        match self.service.source(name) {
            Source::Unknown if self.patient => Source::Coming,
            source => source,
        }
    }

    fn look_for_keys(&self, looking: &mut Looking, errors: &mut Vec<String>) {
        if self.tls.is_empty() {
            return;
        }
        let found = self.tls.resolve(&|name| self.source(name), errors);
        let same = looking.keys.as_ref() == Some(&found);
        if same && looking.keys_failed.is_none() {
            return;
        }
        match self.tls.load(&found) {
            Ok(Some(tls)) => {
                looking.keys_failed = None;
                self.remotes.keys().set(Some(Arc::clone(&tls)));
                let watching = tokio::spawn(tls.watch());
                if let Some(before) = looking.watching.replace(watching) {
                    before.abort();
                }
            }
            // What is named no more stays in use, as in the reference.
            Ok(None) => looking.keys_failed = None,
            Err(error) => {
                if looking.keys_failed.as_ref() != Some(&error) {
                    tracing::error!("TLS: {error}");
                }
                looking.keys_failed = Some(error);
            }
        }
        looking.keys = Some(found);
    }

    fn is_to_try_again(&self) -> bool {
        self.remotes.has_failed() || self.looking.lock().keys_failed.is_some()
    }

    /// Looks whenever something has changed, until it is cancelled.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let news = self.service.news().notified();
            tokio::pin!(news);
            news.as_mut().enable();
            // The log says what is wrong.
            let _ = self.look_aside().await;
            match self.is_to_try_again() {
                true => drop(tokio::time::timeout(AGAIN, news).await),
                false => news.await,
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Looks where it may block.
    ///
    /// # Errors
    /// As [`RemoteKeeper::look`].
    pub async fn look_aside(self: &Arc<Self>) -> Result<(), String> {
        let keeper = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || keeper.look()).await;
        looked.unwrap_or_else(|error| {
            tracing::error!("looking after the remotes failed: {error}");
            Err(error.to_string())
        })
    }

    /// Keeps the rows' status columns true, until it is cancelled. As in the reference, those of
    /// databases that other servers keep, too, are left alone; so are those of a standby.
    pub async fn tell(self: Arc<Self>) {
        let mut rounds = tokio::time::interval(STATUS);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut complaint = None;
        loop {
            rounds.tick().await;
            let result = self.tell_once().await;
            if let Err(error) = &result
                && complaint.as_ref() != Some(error)
            {
                tracing::error!("Failed to update remote status: {error}");
            }
            complaint = result.err();
        }
    }

    async fn tell_once(&self) -> Result<(), String> {
        let mut by_database: BTreeMap<String, Vec<Column>> = BTreeMap::new();
        for name in self.named().into_keys() {
            if Column::is_meant(&name)
                && let Ok(column) = Column::parse(&name)
            {
                let of = by_database.entry(column.database().to_owned());
                of.or_default().push(column);
            }
        }
        for (name, columns) in by_database {
            let Some(database) = self.service.database(&name) else {
                continue;
            };
            if database.is_shared() || database.is_read_only() {
                continue;
            }
            let version = database.committed().version.clone();
            let columns: Vec<&Column> = columns.iter().collect();
            let status = |name: &str| self.remotes.status(name);
            let Some(params) = differences(&version, &columns, &status) else {
                continue;
            };
            let results = own_transaction::execute(&database, &version, params).await?;
            if let Some(error) = own_transaction::first_error(&results)? {
                return Err(error);
            }
        }
        Ok(())
    }
}
