//! A remote that this server calls, again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ovsdb_cluster::address::Address;
use ovsdb_cluster::wire::stream::connect::Patience;
use ovsdb_tls::Keys;
use parking_lot::Mutex;

use super::status::RemoteStatus;
use crate::dial::dial;
use crate::locks::SessionId;
use crate::origin::Origin;
use crate::service::Service;

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long a connection may take to be made, and its handshake again as long.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    handshake: Duration::from_secs(10),
};

/// Where the connection is, in the reference's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Backoff,
    Connecting,
    Active,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Backoff => "BACKOFF",
            State::Connecting => "CONNECTING",
            State::Active => "ACTIVE",
        }
    }
}

/// How the calling goes.
#[derive(Debug)]
pub(super) struct Progress {
    state: State,
    connected: Option<Instant>,
    disconnected: Option<Instant>,
    last_error: Option<String>,
    session: Option<SessionId>,
}

impl Progress {
    pub(super) fn new() -> Arc<Mutex<Progress>> {
        Arc::new(Mutex::new(Progress {
            state: State::Backoff,
            connected: None,
            disconnected: None,
            last_error: None,
            session: None,
        }))
    }

    pub(super) fn status(&self, service: &Service) -> RemoteStatus {
        let seconds = |since: Option<Instant>| since.map(|since| since.elapsed().as_secs());
        let locks = self.session.map(|id| service.locks.lock().status(id));
        RemoteStatus {
            connected: self.state == State::Active,
            state: Some(self.state.name()),
            since_connect: seconds(self.connected),
            since_disconnect: seconds(self.disconnected),
            last_error: self.last_error.clone(),
            locks: locks.unwrap_or_default(),
            connections: 0,
            port: None,
        }
    }
}

/// Whom to call.
pub(super) struct Call {
    pub(super) address: Address,
    /// Where relative paths are.
    pub(super) folder: PathBuf,
    pub(super) keys: Keys,
}

/// Keeps a session with who is called, until it is cancelled.
pub(super) async fn keep(
    service: Arc<Service>,
    origin: Arc<Origin>,
    call: Call,
    progress: Arc<Mutex<Progress>>,
) {
    let mut pause = FIRST_PAUSE;
    let mut complaint = None;
    loop {
        progress.lock().state = State::Connecting;
        let made = dial(&call.address, &call.folder, &call.keys, PATIENCE).await;
        let most = origin.options().max_backoff;
        let failure = match made {
            Ok(connection) => {
                complaint = None;
                let began = Instant::now();
                let (id, session) = service.begin(connection, &origin);
                {
                    let mut progress = progress.lock();
                    progress.state = State::Active;
                    progress.connected = Some(began);
                    progress.session = Some(id);
                    progress.last_error = None;
                }
                // It cannot fail but by a panic, which ends it like any other end.
                let _ = session.await;
                if began.elapsed() >= pause {
                    pause = FIRST_PAUSE;
                }
                "End of file".to_owned()
            }
            Err(error) => {
                let failure = error.to_string();
                if complaint.as_ref() != Some(&failure) {
                    tracing::info!(
                        parent: &service.span,
                        "{}: connection attempt failed ({failure})",
                        origin.name()
                    );
                }
                complaint = Some(failure.clone());
                failure
            }
        };
        {
            let mut progress = progress.lock();
            progress.disconnected = match progress.state {
                State::Active => Some(Instant::now()),
                _ => progress.disconnected,
            };
            progress.state = State::Backoff;
            progress.last_error = Some(failure);
            progress.session = None;
        }
        let wait = pause.min(most);
        tokio::time::sleep(wait).await;
        pause = (wait * 2).min(most).max(FIRST_PAUSE);
    }
}
