//! Being called.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_tls::{Coming, Tls};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::link::Running;
use super::table::Shared;

/// Callers that wait for us to take their call.
const BACKLOG: i32 = 128;
/// The pause after a call could not be taken, for example for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens at an address; one of IPv6 does not take IPv4 calls.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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

/// Takes calls until all is over; with TLS if there are keys for it here.
pub(super) async fn take_calls(shared: Arc<Shared>, listener: TcpListener, tls: Option<Arc<Tls>>) {
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
                take(&shared, read, write, address);
                continue;
            }
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                // Without it answers may be a little late, no more.
                let _ = stream.set_nodelay(true);
                if let Some(tls) = &tls {
                    coming.add(shake_hands(shared.clone(), tls.clone(), stream, from));
                } else {
                    let (read, write) = stream.into_split();
                    take(&shared, read, write, format!("tcp:{from}"));
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
    tls: Arc<Tls>,
    stream: TcpStream,
    from: SocketAddr,
) -> Option<(TlsStream<TcpStream>, String)> {
    let address = format!("ssl:{from}");
    match tls.accept(stream, shared.settings.first_message).await {
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
    let running = Running::new(shared.clone(), id, outbox, false);
    shared.tasks.spawn(async move {
        let closed = running.run(read, write, stop).await;
        running.finish(address, closed).await;
    });
}
