//! The server's sockets and threads, and what a test can do to it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http;
use super::identity;
use super::state::{Labels, Mood, Seen, State};

/// How often a thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// The namespace of all pods.
const NAMESPACE: &str = "kube-system";

/// The API server. Dropping it ends it.
#[derive(Debug)]
pub struct ApiServer {
    folder: PathBuf,
    address: SocketAddr,
    config: Arc<ServerConfig>,
    state: Arc<Mutex<State>>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl ApiServer {
    /// Starts one, with a service account's files in this new folder.
    ///
    /// # Errors
    /// If it cannot listen, or the files cannot be written.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), folder)
    }

    /// The same at another address of this machine.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub fn start_at(address: IpAddr, folder: &Path) -> Result<Self> {
        let config = identity::make(folder, NAMESPACE, address)?;
        let state = State {
            namespace: NAMESPACE.to_owned(),
            token: String::new(),
            pods: Default::default(),
            mood: Mood::default(),
            seen: Vec::new(),
            complaints: Vec::new(),
        };
        let listener = TcpListener::bind((address, 0))?;
        let mut server = Self {
            folder: folder.to_owned(),
            address: listener.local_addr()?,
            config,
            state: Arc::new(Mutex::new(state)),
            running: None,
        };
        server.rotate("first")?;
        server.serve(listener)?;
        Ok(server)
    }

    /// The variables of a container in this pod.
    #[must_use]
    pub fn variables(&self, pod: &str) -> Vec<(String, String)> {
        [
            ("POD_NAME", pod.to_owned()),
            ("POD_NAMESPACE", NAMESPACE.to_owned()),
            ("KUBERNETES_SERVICE_HOST", self.address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", self.address.port().to_string()),
            (
                "OVN_IC_DB_SERVICE_ACCOUNT",
                self.folder.display().to_string(),
            ),
            ("OVN_LEADER_PROBE_INTERVAL", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// A new token, in the service account's folder; those of before are refused from now on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn rotate(&self, token: &str) -> Result<()> {
        // The new one is whole when it appears, as in a real pod.
        let new = self.folder.join("token.new");
        fs::write(&new, token)?;
        let mut state = self.state();
        fs::rename(&new, self.folder.join("token"))?;
        state.token = token.to_owned();
        Ok(())
    }

    /// A pod without labels.
    pub fn add_pod(&self, name: &str) {
        self.state().pods.insert(name.to_owned(), Labels::new());
    }

    /// Changes a pod's labels, as a person could.
    pub fn edit(&self, pod: &str, edit: impl FnOnce(&mut Labels)) {
        edit(self.state().pods.entry(pod.to_owned()).or_default());
    }

    /// What a pod's labels say of the northbound and of the southbound.
    #[must_use]
    pub fn leads(&self, pod: &str) -> [Option<bool>; 2] {
        let state = self.state();
        let labels = state.pods.get(pod);
        ["ovn-ic-nb-leader", "ovn-ic-sb-leader"].map(|name| {
            let value = labels.and_then(|labels| labels.get(name));
            value.and_then(|value| value.parse().ok())
        })
    }

    /// From now on it answers like this.
    pub fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// The requests that were seen so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// What clients have done that they should never do.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// Ends it: nobody listens, and its connections are closed.
    pub fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.over.store(true, Ordering::Release);
            // A panic of its thread shows as a client that is not served.
            let _ = running.thread.join();
        }
    }

    /// Starts it again after [`ApiServer::end`], at the same address.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start_again(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address)?;
        self.serve(listener)
    }

    fn serve(&mut self, listener: TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let over = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&self.state);
        let config = Arc::clone(&self.config);
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || accept(&listener, &config, &state, &told));
        self.running = Some(Running { over, thread });
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets clients in until it is over, and waits for their threads.
fn accept(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    state: &Arc<Mutex<State>>,
    over: &Arc<AtomicBool>,
) {
    let mut clients = Vec::new();
    while !over.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((socket, _)) => {
                let (config, state, over) = (config.clone(), state.clone(), over.clone());
                clients.push(std::thread::spawn(move || {
                    // A client that goes away in the middle is none that is missed.
                    let _ = converse(socket, config, &state, &over);
                }));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK / 10),
            // The client has gone before it was let in.
            Err(_) => {}
        }
    }
    for client in clients {
        let _ = client.join();
    }
}

fn converse(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    state: &Mutex<State>,
    over: &AtomicBool,
) -> Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(LOOK))?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, socket);
    let is_over = || over.load(Ordering::Acquire);
    while let Some(request) = http::read(&mut stream, is_over)? {
        let (mood, (code, body)) = {
            let mut state = lock(state);
            (state.mood, state.serve(&request))
        };
        match mood {
            Mood::Hangs => {
                while !is_over() && lock(state).mood == Mood::Hangs {
                    std::thread::sleep(LOOK);
                }
                return Ok(());
            }
            Mood::Closes => return Ok(()),
            Mood::Babbles => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\"no\"")?;
                stream.flush()?;
            }
            _ => http::answer(&mut stream, code, &body)?,
        }
    }
    Ok(())
}
