//! Being called.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

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

/// Takes calls until all is over.
pub(super) async fn take_calls(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, from)) => take(&shared, stream, from),
            Err(error) => {
                if shared.may_log() {
                    tracing::warn!(db = shared.db(), "raft: a call cannot be taken: {error}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn take(shared: &Arc<Shared>, stream: TcpStream, from: SocketAddr) {
    if !shared.make_room() {
        if shared.may_log_traffic() {
            let most = shared.settings.max_accepted;
            tracing::warn!(
                db = shared.db(),
                "raft: {from} is hung up on: {most} callers are enough"
            );
        }
        return;
    }
    // Without it answers may be a little late, no more.
    let _ = stream.set_nodelay(true);
    let address = format!("tcp:{from}");
    let (id, outbox, stop) = shared.add_link(None, address.clone(), &shared.stop);
    let running = Running::new(shared.clone(), id, outbox, false);
    shared.tasks.spawn(async move {
        let (read, write) = stream.into_split();
        let closed = running.run(read, write, stop).await;
        running.finish(address, closed).await;
    });
}
