//! Calling a peer, again and again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::event::{Closed, Event};
use super::link::Running;
use super::table::{Shared, Target};
use crate::address::{Address, Transport};

/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(2);

/// Keeps a connection with `target` until it is not wanted any more.
pub(super) async fn keep(shared: Arc<Shared>, target: Arc<Target>) {
    let settings = &shared.settings;
    let mut backoff = Backoff::new(settings.retry_first);
    let mut last_error = None;
    loop {
        let attempt = tokio::select! {
            attempt = connect(&target, settings.connect) => attempt,
            () = target.stop.cancelled() => return,
        };
        let wait = match attempt {
            Ok(stream) => {
                last_error = None;
                let started = Instant::now();
                let good = talk(&shared, &target, stream).await;
                if good || started.elapsed() >= GOOD {
                    backoff.reset();
                }
                backoff.wait(settings.retry_refused)
            }
            Err(error) => {
                unreachable(&shared, &target, &error, last_error.replace(error.kind())).await;
                backoff.wait(settings.retry_most)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = target.kick.notified() => {}
            () = target.stop.cancelled() => return,
        }
    }
}

async fn connect(target: &Target, patience: Duration) -> io::Result<TcpStream> {
    let Address::Network {
        transport: Transport::Tcp,
        host,
        port,
    } = &target.address
    else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "only tcp: addresses can be dialled",
        ));
    };
    let connect = TcpStream::connect((host.to_resolve(), *port));
    let stream = timeout(patience, connect)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    // A port of the range for callers can be connected with itself when nobody listens there.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// True if the peer was heard of.
async fn talk(shared: &Arc<Shared>, target: &Target, stream: TcpStream) -> bool {
    let address = target.address.to_string();
    let (id, outbox, stop) = shared.add_link(Some(target), address.clone(), &target.stop);
    let connected = Event::Connected {
        link: id,
        server: target.server(),
        address: address.clone(),
        dialled: true,
    };
    if shared.may_log_traffic() {
        tracing::info!(db = shared.db(), "raft: {address}: connected");
    }
    let running = Running::new(shared.clone(), id, outbox, true);
    let closed = match shared.tell(connected).await {
        true => {
            let (read, write) = stream.into_split();
            running.run(read, write, stop).await
        }
        false => Closed::ByUs,
    };
    let refused = matches!(closed, Closed::Refused(_));
    running.finish(address, closed).await;
    running.was_useful() && !refused
}

async fn unreachable(
    shared: &Shared,
    target: &Target,
    error: &io::Error,
    before: Option<io::ErrorKind>,
) {
    let db = shared.db();
    let address = target.address.to_string();
    if before == Some(error.kind()) {
        tracing::debug!(db, "raft: {address} cannot be reached: {error}");
    } else {
        tracing::info!(db, "raft: {address} cannot be reached: {error}");
    }
    shared
        .tell(Event::Unreachable {
            server: target.server(),
            address,
            error: error.to_string(),
            refused: error.kind() != io::ErrorKind::TimedOut,
        })
        .await;
}
