//! The remotes of a service while it runs: where it listens and whom it calls, kept in step with
//! what is wanted (ovsdb-server(1), `--remote`).

mod calling;
mod column;
mod rows;
mod status;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_cluster::address::Address;
use ovsdb_tls::Keys;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::entrance::{Entrance, Plaintext};
use crate::listener::Listener;
use crate::origin::{Origin, SessionOptions};
use crate::probe;
use crate::remote::Remote;
use crate::service::Service;

pub use column::{Column, Found, Source};
pub use rows::{Target, differences};
pub use status::RemoteStatus;

/// What is wanted: remotes by their names, with their options.
pub type Wanted = BTreeMap<String, SessionOptions>;

/// How `ptcp:` remotes treat who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpEntrance {
    /// Plain connections alone, as the reference.
    Plain,
    /// TLS too, and plain ones as this says.
    Both(Plaintext),
}

impl SessionOptions {
    /// What a remote has unless somebody sets something else: TCP and TLS are probed.
    pub fn of(remote: &str) -> SessionOptions {
        let probed = ["tcp:", "ptcp:", "ssl:", "pssl:"];
        let probed = probed.iter().any(|method| remote.starts_with(method));
        SessionOptions {
            probe_interval: probed.then_some(probe::DEFAULT_INTERVAL),
            ..SessionOptions::default()
        }
    }

    /// `inactivity_probe` in milliseconds: 0 turns it off, and else it is a second or more.
    pub fn set_inactivity_probe(&mut self, milliseconds: i64) {
        let least = |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1000));
        self.probe_interval = (milliseconds != 0).then(|| least(milliseconds));
    }

    /// `max_backoff` in milliseconds: 0 is the usual one, and else it is a second or more.
    pub fn set_max_backoff(&mut self, milliseconds: i64) {
        self.max_backoff = match u64::try_from(milliseconds) {
            Ok(0) => crate::origin::DEFAULT_MAX_BACKOFF,
            Ok(ms) => Duration::from_millis(ms.max(1000)),
            Err(_) => Duration::from_secs(1),
        };
    }

    /// Sessions that there are cannot go over to options that differ in these.
    fn is_other_session(&self, other: &SessionOptions) -> bool {
        self.role != other.role || self.read_only != other.read_only || self.dscp != other.dscp
    }
}

/// The remotes of one service.
pub struct Remotes {
    service: Arc<Service>,
    /// Where relative paths are.
    folder: PathBuf,
    keys: Keys,
    tcp: TcpEntrance,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<String, Open>,
    /// Those that cannot be opened, with what was last said of it.
    failed: BTreeMap<String, String>,
    /// Clients are let in.
    accepting: bool,
}

/// A remote at work.
struct Open {
    origin: Arc<Origin>,
    work: Work,
    task: Option<JoinHandle<()>>,
}

enum Work {
    Listening(Arc<Listener>),
    Calling(Arc<Mutex<calling::Progress>>),
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Remotes {
    /// None at all. Paths of Unix sockets that are relative are in `folder`.
    pub fn new(service: Arc<Service>, folder: PathBuf, keys: Keys, tcp: TcpEntrance) -> Remotes {
        Remotes {
            service,
            folder,
            keys,
            tcp,
            state: Mutex::default(),
        }
    }

    /// The keys of its TLS connections.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Opens and closes remotes until they are what is wanted. Must be called inside a tokio
    /// runtime. What cannot be opened is said in the log once, and tried again the next time.
    pub fn set(&self, wanted: &Wanted) {
        let _span = self.service.span.enter();
        let mut state = self.state.lock();
        let accepting = state.accepting;
        let closed: Vec<(String, Open)> = state
            .open
            .extract_if(.., |name, open| {
                let options = wanted.get(name);
                options.is_none_or(|options| open.origin.options().is_other_session(options))
            })
            .collect();
        for (name, open) in closed {
            if !wanted.contains_key(&name) {
                tracing::info!("{name}: remote deconfigured");
            }
            let origin = Arc::clone(&open.origin);
            drop(open);
            self.service.disconnect(&origin);
        }
        state.failed.retain(|name, _| wanted.contains_key(name));
        for (name, options) in wanted {
            match state.open.get(name) {
                Some(open) if *open.origin.options() == *options => {}
                Some(open) => {
                    open.origin.set_options(options.clone());
                    self.service.options_changed(&open.origin);
                }
                None => match self.open(name, options, accepting) {
                    Ok(open) => {
                        state.failed.remove(name);
                        state.open.insert(name.clone(), open);
                    }
                    Err(error) => {
                        let error = error.to_string();
                        if state.failed.get(name) != Some(&error) {
                            tracing::error!("{name}: listen failed: {error}");
                            state.failed.insert(name.clone(), error);
                        }
                    }
                },
            }
        }
    }

    /// Some remotes could not be opened when that was last tried.
    pub fn has_failed(&self) -> bool {
        !self.state.lock().failed.is_empty()
    }

    /// Lets clients in from now on, and begins to call. Before, they wait in the sockets' queues.
    pub fn accept(&self) {
        let mut state = self.state.lock();
        state.accepting = true;
        for open in state.open.values_mut() {
            self.begin(open);
        }
    }

    /// Stops listening and calling. The sessions are the service's.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.open.clear();
        state.accepting = false;
    }

    /// The remotes that clients can use, for people: `ptcp:6641:0.0.0.0`.
    pub fn listening(&self) -> Vec<String> {
        let state = self.state.lock();
        let names = state.open.values().map(|open| match &open.work {
            Work::Listening(listener) => listener.remotes(),
            Work::Calling(_) => vec![open.origin.name().to_owned()],
        });
        names.flatten().collect()
    }

    /// How a remote is doing; one that is not open is not connected.
    pub fn status(&self, name: &str) -> RemoteStatus {
        let state = self.state.lock();
        let Some(open) = state.open.get(name) else {
            return RemoteStatus::of_no_session();
        };
        match &open.work {
            Work::Listening(listener) => {
                let connections = self.service.session_count_of(&open.origin);
                RemoteStatus {
                    connected: connections > 0,
                    connections,
                    port: listener.port(),
                    ..RemoteStatus::of_no_session()
                }
            }
            Work::Calling(progress) => progress.lock().status(&self.service),
        }
    }

    fn open(&self, name: &str, options: &SessionOptions, accepting: bool) -> io::Result<Open> {
        let work = match name.parse::<Remote>() {
            Ok(remote) => Work::Listening(Arc::new(self.listen(&remote, options)?)),
            Err(why) => match name.parse::<Address>() {
                Ok(_) => Work::Calling(calling::Progress::new()),
                Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, why)),
            },
        };
        let mut open = Open {
            origin: Origin::new(name, options.clone()),
            work,
            task: None,
        };
        if accepting {
            self.begin(&mut open);
        }
        Ok(open)
    }

    fn listen(&self, remote: &Remote, options: &SessionOptions) -> io::Result<Listener> {
        let mut listener = match remote {
            Remote::Unix(path) => Listener::open(&Remote::Unix(self.folder.join(path)))?,
            other => Listener::open(other)?,
        };
        listener.set_dscp(options.dscp);
        let plaintext = match (remote, self.tcp) {
            (Remote::Tls(_), _) => Some(Plaintext::Refuse),
            (Remote::Tcp(_), TcpEntrance::Both(plaintext)) => Some(plaintext),
            _ => None,
        };
        if let Some(plaintext) = plaintext {
            let entrance = Entrance::new(self.keys.clone(), plaintext);
            listener.set_entrance(Arc::new(entrance));
        }
        Ok(listener)
    }

    fn begin(&self, open: &mut Open) {
        if open.task.is_some() {
            return;
        }
        let service = Arc::clone(&self.service);
        let origin = Arc::clone(&open.origin);
        let span = self.service.span.clone();
        let task = match &open.work {
            Work::Listening(listener) => {
                let accepting = service.accept(Arc::clone(listener), origin);
                tokio::spawn(accepting.instrument(span))
            }
            Work::Calling(progress) => {
                let Ok(address) = origin.name().parse() else {
                    return;
                };
                let call = calling::Call {
                    address,
                    folder: self.folder.clone(),
                    keys: self.keys.clone(),
                };
                let progress = Arc::clone(progress);
                let calling = calling::keep(service, origin, call, progress);
                tokio::spawn(calling.instrument(span))
            }
        };
        open.task = Some(task);
    }
}
