//! Calling a remote.

use std::io;
use std::path::Path;
use std::time::Duration;

use ovsdb_cluster::wire::stream::connect::Patience;
use ovsdb_tls::Keys;

use super::remotes::Remote;
use crate::dial;
use crate::stream::Stream;

/// How long a TLS handshake may take at least.
const HANDSHAKE: Duration = Duration::from_secs(5);

pub(super) async fn dial(remote: &Remote, keys: &Keys, patience: Duration) -> io::Result<Stream> {
    let address = remote.address.as_ref().ok_or_else(|| {
        let words = "this is no address of a server";
        io::Error::new(io::ErrorKind::InvalidInput, words)
    })?;
    let patience = Patience {
        connect: patience,
        handshake: patience.max(HANDSHAKE),
    };
    // Paths are whole by now.
    let connection = dial::dial(address, Path::new("/"), keys, patience).await?;
    Ok(connection.stream)
}
