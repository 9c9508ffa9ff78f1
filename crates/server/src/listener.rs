//! Listening sockets: TCP on one or both address families, Unix sockets that are never taken away
//! from a live server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ovsdb_sockets::unix::{self, SocketFile};
use parking_lot::Mutex;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::entrance::{Entrance, Plaintext};
use crate::remote::Remote;
use crate::stream::{Connection, Stream};

/// Longer than the reference's 64: a cluster of clients reconnects at once.
const BACKLOG: i32 = 1024;
/// How long to wait after a failed accept, which would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often to log failed accepts.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Names of peers on Unix sockets, which have no address.
static NEXT_UNIX_PEER: AtomicU64 = AtomicU64::new(0);

/// A listening socket. Dropping it closes it and removes a Unix socket's file.
#[derive(Debug)]
pub struct Listener {
    socket: ListeningSocket,
    name: String,
    entrance: Option<Arc<Entrance>>,
    last_failure_logged: Mutex<Option<Instant>>,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

impl Listener {
    /// Listens at a remote. Must be called inside a tokio runtime.
    pub fn open(remote: &Remote) -> io::Result<Listener> {
        match remote {
            Remote::Tcp(address) | Remote::Tls(address) => Listener::open_tcp(remote, *address),
            Remote::Unix(path) => Listener::open_unix(path),
        }
    }

    /// Listens on every one of `addresses` at one port, for 0 any free one, the same for all.
    /// `::` stands for both families and thus for all addresses, `0.0.0.0` for all IPv4 ones.
    pub fn open_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        let mut port = port;
        for address in without_covered(addresses) {
            let address = SocketAddr::new(address, port);
            let listener = Listener::open_tcp(&Remote::Tcp(address), address)?;
            port = listener.port().unwrap_or(port);
            listeners.push(listener);
        }
        Ok(listeners)
    }

    fn open_tcp(remote: &Remote, address: SocketAddr) -> io::Result<Listener> {
        let listener = match bind_tcp(address) {
            // A machine without IPv6.
            Err(e)
                if address.ip() == IpAddr::from([0u16; 8])
                    && [
                        libc_error(rustix::io::Errno::AFNOSUPPORT),
                        libc_error(rustix::io::Errno::ADDRNOTAVAIL),
                    ]
                    .contains(&e.raw_os_error()) =>
            {
                bind_tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
            }
            result => result,
        }
        .map_err(|e| named(&remote.to_string(), e))?;
        let bound = listener.local_addr()?;
        if address.port() == 0 {
            tracing::info!("{remote}: listening on port {}", bound.port());
        }
        let name = match remote {
            Remote::Tls(_) => Remote::Tls(bound),
            _ => Remote::Tcp(bound),
        };
        Ok(Listener::new(
            ListeningSocket::Tcp(listener),
            name.to_string(),
        ))
    }

    fn open_unix(path: &Path) -> io::Result<Listener> {
        let name = format!("punix:{}", path.display());
        let (listener, file) = unix::listen(path, BACKLOG).map_err(|e| named(&name, e))?;
        Ok(Listener::new(
            ListeningSocket::Unix {
                listener,
                _file: file,
            },
            name,
        ))
    }

    fn new(socket: ListeningSocket, name: String) -> Listener {
        Listener {
            socket,
            name,
            entrance: None,
            last_failure_logged: Mutex::new(None),
        }
    }

    /// Clients by TCP come in through an entrance from now on. Does nothing for Unix sockets.
    pub fn set_entrance(&mut self, entrance: Arc<Entrance>) {
        if matches!(self.socket, ListeningSocket::Tcp(_)) {
            self.entrance = Some(entrance);
        }
    }

    /// Marks what is sent from here with a DiffServ code point. Only a matter of speed: where the
    /// system does not do it, nothing is marked.
    pub fn set_dscp(&self, dscp: u8) {
        let ListeningSocket::Tcp(listener) = &self.socket else {
            return;
        };
        let socket = SockRef::from(listener);
        let tos = u32::from(dscp) << 2;
        let _ = match listener.local_addr() {
            Ok(SocketAddr::V6(_)) => socket.set_tclass_v6(tos),
            _ => socket.set_tos_v4(tos),
        };
    }

    pub(crate) fn entrance(&self) -> Option<&Arc<Entrance>> {
        self.entrance.as_ref()
    }

    /// The remotes that clients can use here: `pssl:` and, where plain ones are let in, `ptcp:`.
    pub fn remotes(&self) -> Vec<String> {
        let plain = self.name.clone();
        let Some(entrance) = &self.entrance else {
            return vec![plain];
        };
        let tls = plain.replacen("ptcp:", "pssl:", 1);
        match entrance.plaintext() {
            Plaintext::Allow => vec![tls, plain],
            Plaintext::Refuse => vec![tls],
        }
    }

    /// The remote listened at, with the port that was taken: `ptcp:6640:0.0.0.0`, `punix:PATH`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TCP port.
    pub fn port(&self) -> Option<u16> {
        match &self.socket {
            ListeningSocket::Tcp(listener) => listener.local_addr().ok().map(|a| a.port()),
            ListeningSocket::Unix { .. } => None,
        }
    }

    /// The next client. Waits out a shortage of descriptors or memory; an error means that the
    /// socket is of no more use. Safe to cancel.
    pub async fn accept(&self) -> io::Result<Connection> {
        loop {
            match self.accept_once().await {
                Ok(connection) => return Ok(connection),
                // The client has gone already.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                    return Err(named(&self.name, e));
                }
                Err(e) => {
                    self.log_failure(&e);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept_once(&self) -> io::Result<Connection> {
        match &self.socket {
            ListeningSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Only a matter of speed; it fails if the client has gone already.
                let _ = stream.set_nodelay(true);
                // A client by IPv4 is one, also on a socket of both families.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                Ok(Connection {
                    stream: Stream::Tcp(stream),
                    peer: format!("tcp:{peer}"),
                })
            }
            ListeningSocket::Unix { listener, .. } => {
                let (stream, peer) = listener.accept().await?;
                let peer = match peer.as_pathname() {
                    Some(path) => format!("unix:{}", path.display()),
                    None => format!("unix#{}", NEXT_UNIX_PEER.fetch_add(1, Ordering::Relaxed)),
                };
                Ok(Connection {
                    stream: Stream::Unix(stream),
                    peer,
                })
            }
        }
    }

    fn log_failure(&self, error: &io::Error) {
        let mut last = self.last_failure_logged.lock();
        if last.is_none_or(|last| last.elapsed() >= ACCEPT_LOG_INTERVAL) {
            *last = Some(Instant::now());
            tracing::warn!("{}: accept failed: {error}", self.name);
        }
    }
}

fn libc_error(errno: rustix::io::Errno) -> Option<i32> {
    Some(errno.raw_os_error())
}

fn named(name: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

/// Drops addresses that another in the list includes, which could not be bound beside it.
fn without_covered(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let has = |wanted: IpAddr| addresses.contains(&wanted);
    let any_ipv6 = IpAddr::from([0u16; 8]);
    let any_ipv4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut kept: Vec<IpAddr> = Vec::new();
    for &address in addresses {
        let covered = (has(any_ipv6) && address != any_ipv6)
            || (has(any_ipv4) && address.is_ipv4() && address != any_ipv4);
        if !covered && !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo_once(listener: &Listener, mut client: Stream) -> String {
        let mut accepted = listener.accept().await.expect("accept");
        client.write_all(b"x").await.expect("write");
        assert_eq!(accepted.stream.read_u8().await.expect("read"), b'x');
        accepted.peer
    }

    #[tokio::test]
    async fn tcp_on_both_families_or_one() {
        let listeners =
            Listener::open_all(&["::".parse().unwrap(), "127.0.0.1".parse().unwrap()], 0).unwrap();
        assert_eq!(listeners.len(), 1);
        let port = listeners[0].port().expect("port");
        let client = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        let peer = echo_once(&listeners[0], Stream::Tcp(client)).await;
        assert!(peer.starts_with("tcp:127.0.0.1:"), "{peer}");
    }

    #[tokio::test]
    async fn several_addresses_share_a_port() {
        let all = Listener::open_all(
            &["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()],
            0,
        )
        .unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].port(), all[1].port());
        let taken = SocketAddr::from((Ipv4Addr::LOCALHOST, all[0].port().unwrap()));
        let error = Listener::open(&Remote::Tcp(taken)).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
    }

    #[tokio::test]
    async fn a_live_servers_socket_is_not_taken_and_a_stale_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sock");
        let remote = Remote::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = Listener::open(&remote).expect("stale");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o007,
            0
        );
        let error = Listener::open(&remote).expect_err("live");
        assert!(
            error.to_string().contains("in use by a live server"),
            "{error}"
        );
        let client = tokio::net::UnixStream::connect(&path).await.unwrap();
        // The refused attempt's own connection comes first.
        let _ = first.accept().await.unwrap();
        assert!(
            echo_once(&first, Stream::Unix(client))
                .await
                .starts_with("unix#")
        );
        drop(first);
        assert!(!path.exists());
    }
}
