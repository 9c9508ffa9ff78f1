//! Calling somebody, for sessions in which this server is the one that connects: `tcp:HOST:PORT`,
//! `ssl:HOST:PORT`, `unix:PATH` (ovsdb(7), "Active Connections").

use std::io;
use std::path::Path;

use ovsdb_cluster::address::Address;
use ovsdb_cluster::wire::stream::connect::{Made, Patience, connect};
use ovsdb_tls::Keys;

use crate::stream::{Connection, Stream};

/// Makes one connection. A relative path of `unix:` is in `folder`.
///
/// # Errors
/// The system's, or TLS's.
pub async fn dial(
    address: &Address,
    folder: &Path,
    keys: &Keys,
    patience: Patience,
) -> io::Result<Connection> {
    let tls = keys.current();
    let made = connect(address, folder, tls.as_ref(), patience).await;
    let stream = match made.map_err(|failure| failure.error)? {
        Made::Plain(stream) => Stream::Tcp(stream),
        Made::Unix(stream) => Stream::Unix(stream),
        Made::Tls(stream) => Stream::Tls(Box::new((*stream).into())),
    };
    Ok(Connection {
        stream,
        peer: address.to_string(),
    })
}
