//! A relay: a database that another server has, followed and offered here (ovsdb(7), "Relay Service
//! Model").
//!
//! It answers reads and monitors itself, and passes on what writes, as it was written; the answer comes
//! back behind what the transaction has changed. [`Relay`] is both ends at once: the
//! [`Ordering`](crate::ordering::Ordering) of its database, and what follows the other server
//! ([`crate::upstream`]). It has no file.

mod ordering;
mod passing;
mod replica;
mod shown;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::passing::Passing;
use self::replica::Replica;
use self::shown::Touch;
use crate::database::Database;
use crate::service::Service;
use crate::upstream::conversation::Conversation;
use crate::upstream::{Settings, keep};

/// A relay at work.
pub struct Relay {
    service: Arc<Service>,
    name: String,
    settings: watch::Sender<Settings>,
    /// There is none before the first contents have come.
    database: OnceLock<Weak<Database>>,
    passing: Mutex<Passing>,
    /// There is something to pass on, or settings have changed.
    wake: Arc<Notify>,
    touch: watch::Sender<Touch>,
    /// There are contents, or there will be none for a while.
    settled: watch::Sender<bool>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How a relay is, for who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayStatus {
    /// It follows its source at this moment.
    pub following: bool,
    /// What clients are told in `_Server`: a source that was lost a moment ago counts.
    pub connected: bool,
    /// There were contents already.
    pub has_contents: bool,
    /// So many transactions have no answer yet.
    pub passed_on: usize,
}

impl Relay {
    /// Starts following a database, which is offered in `service` as soon as there are contents; until
    /// then clients hear that it is not available yet. None if there is a database of that name. Must
    /// be called in a runtime.
    pub fn start(service: &Arc<Service>, name: &str, settings: Settings) -> Option<Arc<Relay>> {
        let (relay, mut conversation) = Relay::prepare(service, name, settings)?;
        let settings = relay.settings.subscribe();
        let (wake, stop) = (relay.wake.clone(), relay.stop.clone());
        relay.tasks.spawn(async move {
            keep(settings, &mut conversation, wake, stop).await;
        });
        Some(relay)
    }

    /// A relay, and what it says to its source.
    fn prepare(
        service: &Arc<Service>,
        name: &str,
        settings: Settings,
    ) -> Option<(Arc<Relay>, Conversation<Replica>)> {
        if !service.announce(name) {
            return None;
        }
        let remotes = settings.remotes.clone();
        let relay = Arc::new(Relay {
            service: service.clone(),
            name: name.to_owned(),
            settings: watch::Sender::new(settings),
            database: OnceLock::new(),
            passing: Mutex::default(),
            wake: Arc::default(),
            touch: watch::Sender::new(Touch::Never),
            settled: watch::Sender::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        relay.show(false);
        relay.tasks.spawn(shown::show_all(
            Arc::downgrade(&relay),
            relay.touch.subscribe(),
            relay.stop.clone(),
        ));
        let replica = Replica::new(Arc::downgrade(&relay), service, name);
        let conversation = Conversation::new(name, &remotes, false, replica);
        Some((relay, conversation))
    }

    /// A relay whose source is whoever calls. Must be called in a runtime.
    #[cfg(feature = "testing")]
    pub fn heard(
        service: &Arc<Service>,
        name: &str,
        settings: Settings,
    ) -> Option<(Arc<Relay>, crate::upstream::testing::Heard)> {
        let (relay, conversation) = Relay::prepare(service, name, settings)?;
        Some((relay, crate::upstream::testing::Heard::new(conversation)))
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The database, once it has contents.
    pub fn database(&self) -> Option<Arc<Database>> {
        self.database.get()?.upgrade()
    }

    /// Waits until there are contents, or until it is known that the source does not answer now; but not
    /// longer than so. Who starts a server that others expect to be ready waits for this.
    pub async fn settle(&self, longest: Duration) {
        let mut settled = self.settled.subscribe();
        let settling = settled.wait_for(|settled| *settled);
        let _ = tokio::time::timeout(longest, settling).await;
    }

    /// Takes other settings into use. The present connection is kept if its remote is still among them.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(change);
        self.wake.notify_one();
    }

    /// How it is.
    pub fn status(&self) -> RelayStatus {
        let touch = *self.touch.borrow();
        RelayStatus {
            following: touch == Touch::Now,
            connected: touch.counts(),
            has_contents: self.database().is_some(),
            passed_on: self.passing.lock().len(),
        }
    }

    /// Stops following, and passes nothing on any more. Who waits for an answer hears that it is canceled,
    /// or has to look for another server. The database stays readable until it is [removed](Service::remove).
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(database) = self.database() {
            database.end_work();
        }
        let jobs = self.passing.lock().take_all();
        jobs.into_iter().for_each(|job| job.answer.unknown());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
