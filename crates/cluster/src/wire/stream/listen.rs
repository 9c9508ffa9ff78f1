//! Sockets that members listen at: of TCP, or named by a file.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ovsdb_sockets::unix::{self, SocketFile};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Callers that wait for us to take their call.
const BACKLOG: i32 = 128;

/// Where a member listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// At an address; one of IPv6 does not take IPv4 calls.
    Tcp(SocketAddr),
    /// At a socket's file. One that a server has left behind is replaced, a live server's is not.
    Unix(PathBuf),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Listen {
        Listen::Tcp(address)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A socket that is listened at.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

/// Who has called.
pub(super) enum Caller {
    /// From an address.
    Tcp(TcpStream, SocketAddr),
    /// From this machine.
    Unix(UnixStream),
}

impl Listener {
    pub(super) fn open(at: &Listen) -> io::Result<Listener> {
        let opened = match at {
            Listen::Tcp(address) => open_tcp(*address).map(Listener::Tcp),
            Listen::Unix(path) => {
                let opened = unix::listen(path, BACKLOG);
                opened.map(|(listener, _file)| Listener::Unix { listener, _file })
            }
        };
        opened.map_err(|error| io::Error::new(error.kind(), format!("{at}: {error}")))
    }

    /// The next caller. Safe to cancel.
    pub(super) async fn accept(&self) -> io::Result<Caller> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                // Without it answers may be a little late, no more.
                let _ = stream.set_nodelay(true);
                Ok(Caller::Tcp(stream, from))
            }
            Listener::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Caller::Unix(stream))
            }
        }
    }
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // A predecessor's last connections do not keep the port from us.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
