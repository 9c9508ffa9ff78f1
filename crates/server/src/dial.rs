//! Calling somebody, for sessions in which this server is the one that connects: `tcp:HOST:PORT`,
//! `ssl:HOST:PORT`, `unix:PATH` (ovsdb(7), "Active Connections").

use std::io;
use std::path::Path;
use std::time::Duration;

use ovsdb_cluster::address::{Address, Transport};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::keys::Keys;
use crate::stream::{Connection, Stream};

/// How long a connection may take to be made, and its handshake again as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes one connection. A relative path of `unix:` is in `folder`.
///
/// # Errors
/// The system's, or TLS's.
pub async fn dial(address: &Address, folder: &Path, keys: &Keys) -> io::Result<Connection> {
    let peer = address.to_string();
    let stream = match address {
        Address::Unix(path) => {
            let connect = UnixStream::connect(folder.join(path));
            Stream::Unix(timeout(PATIENCE, connect).await.map_err(too_long)??)
        }
        Address::Network {
            transport,
            host,
            port,
        } => {
            let host = host.to_resolve();
            let connect = TcpStream::connect((host.as_str(), *port));
            let socket = timeout(PATIENCE, connect).await.map_err(too_long)??;
            // A port of the range for callers can be connected with itself when nobody listens there.
            if socket.local_addr()? == socket.peer_addr()? {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
            }
            socket.set_nodelay(true)?;
            match transport {
                Transport::Tcp => Stream::Tcp(socket),
                Transport::Ssl => {
                    let tls = keys.current().ok_or_else(|| {
                        let words = "private key must be configured to use SSL/TLS";
                        io::Error::new(io::ErrorKind::Unsupported, words)
                    })?;
                    let shaken = tls.connect(&host, socket, PATIENCE).await;
                    let stream = shaken.map_err(|error| error.into_io())?;
                    Stream::Tls(Box::new(stream.into()))
                }
            }
        }
    };
    Ok(Connection { stream, peer })
}

fn too_long(_: tokio::time::error::Elapsed) -> io::Error {
    io::Error::from(io::ErrorKind::TimedOut)
}
