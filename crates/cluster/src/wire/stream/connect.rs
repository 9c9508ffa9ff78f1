//! Making one connection with an address.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_sockets::unix;
use ovsdb_tls::Tls;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::address::{Address, Transport};

/// A connection that was made.
#[derive(Debug)]
pub enum Made {
    /// Without TLS.
    Plain(TcpStream),
    /// On this machine.
    Unix(UnixStream),
    /// With it.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no connection.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub error: io::Error,
    /// Somebody is there, but a TLS handshake has failed.
    pub no_tls: bool,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure {
            error,
            no_tls: false,
        }
    }
}

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until it is made.
    pub connect: Duration,
    /// Until a handshake is over then.
    pub handshake: Duration,
}

/// Connects with an address; with `ssl:` ones by these keys. A relative path of `unix:` is in `folder`.
///
/// # Errors
/// If nobody answers in time, or the handshake fails.
pub async fn connect(
    address: &Address,
    folder: &Path,
    tls: Option<&Arc<Tls>>,
    patience: Patience,
) -> Result<Made, Failure> {
    let (transport, host, port) = match address {
        Address::Unix(path) => return Ok(Made::Unix(unix::connect(&folder.join(path))?)),
        Address::Network {
            transport,
            host,
            port,
        } => (transport, host, port),
    };
    let host = host.to_resolve();
    let connect = TcpStream::connect((host.as_str(), *port));
    let stream = timeout(patience.connect, connect)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    // A port of the range for callers can be connected with itself when nobody listens there.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    }
    stream.set_nodelay(true)?;
    if *transport == Transport::Tcp {
        return Ok(Made::Plain(stream));
    }
    let Some(tls) = tls else {
        let words = "needs TLS, and no keys are set here";
        return Err(io::Error::new(io::ErrorKind::Unsupported, words).into());
    };
    match tls.connect(&host, stream, patience.handshake).await {
        Ok(stream) => Ok(Made::Tls(Box::new(stream))),
        Err(error) => Err(Failure {
            no_tls: true,
            error: error.into_io(),
        }),
    }
}
