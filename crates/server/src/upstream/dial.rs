//! Calling a remote.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_cluster::address::Address;
use ovsdb_cluster::wire::stream::connect::{Made, Patience, connect};
use ovsdb_tls::Tls;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::remotes::Remote;
use crate::stream::Stream;

/// How long a TLS handshake may take at least.
const HANDSHAKE: Duration = Duration::from_secs(5);

pub(super) async fn dial(
    remote: &Remote,
    tls: Option<&Arc<Tls>>,
    patience: Duration,
) -> io::Result<Stream> {
    match &remote.address {
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is no address of a server",
        )),
        Some(Address::Unix(path)) => {
            let connected = timeout(patience, UnixStream::connect(path)).await;
            let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(Stream::Unix(stream))
        }
        Some(address) => {
            let patience = Patience {
                connect: patience,
                handshake: patience.max(HANDSHAKE),
            };
            match connect(address, tls, patience).await {
                Ok(Made::Plain(stream)) => Ok(Stream::Tcp(stream)),
                Ok(Made::Tls(stream)) => Ok(Stream::Tls(Box::new((*stream).into()))),
                Err(failure) => Err(failure.error),
            }
        }
    }
}
