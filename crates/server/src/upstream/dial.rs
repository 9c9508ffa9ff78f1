//! Calling a remote.

use std::io;
use std::path::Path;
use std::time::Duration;

use ovsdb_cluster::wire::stream::connect::{Made, Patience, connect};

use super::remotes::Remote;
use crate::keys::Keys;
use crate::stream::Stream;

/// How long a TLS handshake may take at least.
const HANDSHAKE: Duration = Duration::from_secs(5);

pub(super) async fn dial(remote: &Remote, keys: &Keys, patience: Duration) -> io::Result<Stream> {
    match &remote.address {
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is no address of a server",
        )),
        Some(address) => {
            let tls = keys.current();
            let patience = Patience {
                connect: patience,
                handshake: patience.max(HANDSHAKE),
            };
            // Paths are whole by now.
            match connect(address, Path::new("/"), tls.as_ref(), patience).await {
                Ok(Made::Unix(stream)) => Ok(Stream::Unix(stream)),
                Ok(Made::Plain(stream)) => Ok(Stream::Tcp(stream)),
                Ok(Made::Tls(stream)) => Ok(Stream::Tls(Box::new((*stream).into()))),
                Err(failure) => Err(failure.error),
            }
        }
    }
}
