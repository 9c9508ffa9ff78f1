//! Being called.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ovsdb_tls::Coming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::link::Running;
use super::listen::{Caller, Listener};
use super::outbox::WriteAtOnce;
use super::socket;
use super::table::Shared;

/// What callers at a socket's file are called: they have no addresses.
const UNIX_CALLER: &str = "unix";
/// They may come yet: from a database.
const NO_KEYS: &str = "no keys for TLS are set here";
/// The pause after a call could not be taken, for example for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes calls until all is over; those that are not of this machine `by_tls` or without it.
pub(super) async fn take_calls(shared: Arc<Shared>, listener: Listener, by_tls: bool) {
    let mut coming = Coming::new(shared.settings.max_accepted);
    loop {
        tokio::select! {
            () = shared.go_on() => {}
            () = shared.stop.cancelled() => return,
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            (stream, address) = coming.next() => {
                let (read, write) = tokio::io::split(stream);
                take(&shared, read, write, None, address);
                continue;
            }
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok(Caller::Unix(stream)) => {
                let (read, write) = stream.into_split();
                take(&shared, read, write, None, UNIX_CALLER.to_owned());
            }
            Ok(Caller::Tcp(stream, from)) => {
                if by_tls {
                    coming.add(shake_hands(shared.clone(), stream, from));
                } else {
                    let (read, write) = socket::split(stream);
                    let at_once = write.at_once();
                    take(&shared, read, write, Some(at_once), format!("tcp:{from}"));
                }
            }
            Err(error) => {
                if shared.may_log() {
                    tracing::warn!(db = shared.db(), "raft: a call cannot be taken: {error}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A caller after its handshake, and where it calls from.
async fn shake_hands(
    shared: Arc<Shared>,
    stream: TcpStream,
    from: SocketAddr,
) -> Option<(TlsStream<TcpStream>, String)> {
    let address = format!("ssl:{from}");
    let accepted = match shared.settings.keys.current() {
        Some(tls) => {
            let accept = tls.accept(stream, shared.settings.first_message);
            accept.await.map_err(|error| error.to_string())
        }
        None => Err(NO_KEYS.to_owned()),
    };
    match accepted {
        Ok(stream) => Some((stream, address)),
        Err(error) => {
            shared.failed_handshakes.increment();
            if shared.may_log() {
                tracing::warn!(db = shared.db(), "raft: {address}: refused: {error}");
            }
            None
        }
    }
}

fn take(
    shared: &Arc<Shared>,
    read: impl AsyncRead + Unpin + Send + 'static,
    write: impl AsyncWrite + Unpin + Send + 'static,
    at_once: Option<Weak<dyn WriteAtOnce>>,
    address: String,
) {
    if !shared.make_room() {
        if shared.may_log_traffic() {
            let most = shared.settings.max_accepted;
            tracing::warn!(
                db = shared.db(),
                "raft: {address} is hung up on: {most} callers are enough"
            );
        }
        return;
    }
    let (id, outbox, stop) = shared.add_link(None, address.clone(), &shared.stop);
    if let Some(at_once) = at_once {
        outbox.set_socket(at_once);
    }
    let running = Running::new(shared.clone(), id, outbox, false);
    shared.tasks.spawn(async move {
        let closed = running.run(read, write, stop).await;
        running.finish(address, closed).await;
    });
}
