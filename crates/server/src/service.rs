//! What the clients of one set of remotes see: some databases, `_Server` among them, and locks.

use std::sync::Arc;
use std::time::Duration;

use ovsdb_engine::Version;

use crate::database::Database;
use crate::listener::Listener;
use crate::ordering::Ordering;

/// How sessions are treated.
#[derive(Debug, Clone)]
pub struct Options {
    /// The silence after which a TCP client is probed; `None` never.
    pub probe_interval: Option<Duration>,
}

/// Databases that are served together.
pub struct Service {}

impl Service {
    /// A service with `_Server` alone. Must be called inside a tokio runtime.
    pub fn new(options: Options) -> Arc<Service> {
        let _ = options;
        todo!()
    }

    /// Adds a standalone database, and its row in `_Server`. False if there is one of that name.
    pub fn add(
        self: &Arc<Self>,
        version: Version,
        ordering: Box<dyn Ordering>,
    ) -> Option<Arc<Database>> {
        let _ = (version, ordering);
        todo!()
    }

    /// The database of a name.
    pub fn database(&self, name: &str) -> Option<Arc<Database>> {
        let _ = name;
        todo!()
    }

    /// The databases' names, `_Server` included, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        todo!()
    }

    /// Accepts clients until the listener is of no more use. Cancelling it stops accepting; the
    /// sessions go on until the service is closed.
    pub async fn accept(self: Arc<Self>, listener: Arc<Listener>) {
        let _ = listener;
        todo!()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        todo!()
    }

    /// Ends every session after it has sent the answers that it has, and waits for that (at most a
    /// second).
    pub async fn close(&self) {
        todo!()
    }

    /// Closes every session; clients come back by themselves (`ovsdb-server/reconnect`).
    pub fn disconnect_all(&self) {
        todo!()
    }

    /// Figures for `memory/show`: names and counts, for example `("sessions", 3)`.
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        todo!()
    }
}
