//! A service's sessions: how they begin, and what all of them, or a remote's, are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ovsdb_tls::Coming;
use tokio::task::JoinHandle;

use super::Service;
use crate::entrance::MAX_COMING;
use crate::listener::Listener;
use crate::locks::SessionId;
use crate::mailbox::{DISCONNECT, Event, Mailbox, OPTIONS, SHUTDOWN};
use crate::origin::Origin;
use crate::session;
use crate::stream::Connection;

/// How long sessions may take to send what they have when the service is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// A session, as its service sees it.
pub(super) struct Member {
    mailbox: Arc<Mailbox>,
    origin: Arc<Origin>,
}

impl Service {
    /// Accepts clients until the listener is of no more use. Cancelling it stops accepting; the
    /// sessions go on until the service is closed.
    pub async fn accept(self: Arc<Self>, listener: Arc<Listener>, origin: Arc<Origin>) {
        let mut coming = Coming::new(MAX_COMING);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                connection = coming.next() => {
                    drop(self.begin(connection, &origin));
                    continue;
                }
            };
            match (accepted, listener.entrance()) {
                (Ok(connection), Some(entrance)) => {
                    let counters = Arc::clone(&self.counters);
                    coming.add(Arc::clone(entrance).admit(connection, counters));
                }
                (Ok(connection), None) => drop(self.begin(connection, &origin)),
                (Err(error), _) => {
                    self.counters.lost_listeners.increment();
                    tracing::error!(parent: &self.span, "cannot accept clients any more: {error}");
                    return;
                }
            }
        }
    }

    /// Begins a session, which ends with its connection or the service.
    pub(crate) fn begin(
        self: &Arc<Self>,
        connection: Connection,
        origin: &Arc<Origin>,
    ) -> (SessionId, JoinHandle<()>) {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::default());
        self.counters.sessions.increment();
        let member = Member {
            mailbox: mailbox.clone(),
            origin: origin.clone(),
        };
        self.sessions.lock().insert(id, member);
        let origin = Arc::clone(origin);
        let session = session::run(self.clone(), connection, id, mailbox, origin);
        (id, tokio::spawn(session))
    }

    /// Forgets a session that has ended, and passes its locks on.
    pub(crate) fn leave(&self, id: SessionId) {
        let changed = self.locks.lock().close(id);
        for (name, owner) in changed {
            self.tell_lock(owner, "locked", name);
        }
        let mut sessions = self.sessions.lock();
        if let Some(member) = sessions.remove(&id) {
            member.mailbox.close();
        }
        if sessions.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn tell_lock(&self, session: SessionId, method: &'static str, name: String) {
        if let Some(member) = self.sessions.lock().get(&session) {
            member.mailbox.push(Event::Lock { method, name });
        }
    }

    pub(super) fn raise(&self, flag: u8) {
        for member in self.sessions.lock().values() {
            member.mailbox.raise(flag);
        }
    }

    fn raise_at(&self, origin: &Arc<Origin>, flag: u8) {
        for member in self.sessions.lock().values() {
            if Arc::ptr_eq(&member.origin, origin) {
                member.mailbox.raise(flag);
            }
        }
    }

    /// Has a remote's sessions look at their options again.
    pub fn options_changed(&self, origin: &Arc<Origin>) {
        self.raise_at(origin, OPTIONS);
    }

    /// Closes a remote's sessions.
    pub fn disconnect(&self, origin: &Arc<Origin>) {
        self.raise_at(origin, DISCONNECT);
    }

    /// How many sessions a remote has.
    pub(crate) fn session_count_of(&self, origin: &Arc<Origin>) -> usize {
        let sessions = self.sessions.lock();
        let all = sessions.values();
        all.filter(|member| Arc::ptr_eq(&member.origin, origin))
            .count()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Ends every session after it has sent the answers that it has, and waits for that (at most a
    /// second).
    pub async fn close(&self) {
        self.raise(SHUTDOWN);
        let all = async {
            loop {
                let emptied = self.emptied.notified();
                tokio::pin!(emptied);
                emptied.as_mut().enable();
                if self.session_count() == 0 {
                    return;
                }
                emptied.await;
            }
        };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            self.disconnect_all();
        }
    }

    /// Closes every session; clients come back by themselves (`ovsdb-server/reconnect`).
    pub fn disconnect_all(&self) {
        let count = self.session_count();
        if count > 0 {
            tracing::info!(parent: &self.span, "{count} connections are closed for the clients to come back");
        }
        self.raise(DISCONNECT);
    }
}
