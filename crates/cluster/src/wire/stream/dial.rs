//! Calling a peer, again and again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::connect::{self, Failure, Made, Patience};
use super::event::{Closed, Event};
use super::link::Running;
use super::socket;
use super::table::{Shared, Target};

/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(2);

/// Keeps a connection with `target` until it is not wanted any more.
pub(super) async fn keep(shared: Arc<Shared>, target: Arc<Target>) {
    let settings = &shared.settings;
    let mut backoff = Backoff::new(settings.retry_first);
    let mut last_error = None;
    let mut was_no_tls = false;
    loop {
        let attempt = async {
            shared.go_on().await;
            connect(&shared, &target).await
        };
        let attempt = tokio::select! {
            attempt = attempt => attempt,
            () = target.stop.cancelled() => return,
        };
        let wait = match attempt {
            Ok(stream) => {
                last_error = None;
                was_no_tls = false;
                let started = Instant::now();
                let good = talk(&shared, &target, stream).await;
                if good || started.elapsed() >= GOOD {
                    backoff.reset();
                }
                backoff.wait(settings.retry_refused)
            }
            Err(failure) => {
                let before = last_error.replace(failure.error.kind());
                let most = match failure.no_tls {
                    true => settings.retry_refused,
                    false => settings.retry_most,
                };
                // Once may be somebody who just ends.
                let again = std::mem::replace(&mut was_no_tls, failure.no_tls);
                let no_tls = failure.no_tls && again;
                unreachable(&shared, &target, &failure, before, no_tls).await;
                backoff.wait(most)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = target.kick.notified() => {}
            () = target.stop.cancelled() => return,
        }
    }
}

async fn connect(shared: &Shared, target: &Target) -> Result<Made, Failure> {
    let settings = &shared.settings;
    let patience = Patience {
        connect: settings.connect,
        handshake: settings.handshake,
    };
    let tls = settings.keys.current();
    let made = connect::connect(&target.address, &settings.folder, tls.as_ref(), patience).await;
    if made.as_ref().is_err_and(|failure| failure.no_tls) {
        shared.failed_handshakes.increment();
    }
    made
}

/// True if the peer was heard of.
async fn talk(shared: &Arc<Shared>, target: &Target, made: Made) -> bool {
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
    let running = Running::new(shared.clone(), id, outbox.clone(), true);
    let closed = match shared.tell(connected).await {
        true => match made {
            Made::Plain(stream) => {
                let (read, write) = socket::split(stream);
                outbox.set_socket(write.at_once());
                running.run(read, write, stop).await
            }
            Made::Unix(stream) => {
                let (read, write) = stream.into_split();
                running.run(read, write, stop).await
            }
            Made::Tls(stream) => {
                let (read, write) = tokio::io::split(stream);
                running.run(read, write, stop).await
            }
        },
        false => Closed::ByUs,
    };
    let refused = matches!(closed, Closed::Refused(_));
    running.finish(address, closed).await;
    running.was_useful() && !refused
}

async fn unreachable(
    shared: &Shared,
    target: &Target,
    failure: &Failure,
    before: Option<io::ErrorKind>,
    no_tls: bool,
) {
    let db = shared.db();
    let address = target.address.to_string();
    let error = &failure.error;
    if before == Some(error.kind()) {
        tracing::debug!(db, "raft: {address} cannot be reached: {error}");
    } else if failure.no_tls {
        tracing::warn!(db, "raft: {address}: no connection: {error}");
    } else {
        tracing::info!(db, "raft: {address} cannot be reached: {error}");
    }
    shared
        .tell(Event::Unreachable {
            server: target.server(),
            address,
            error: error.to_string(),
            refused: error.kind() != io::ErrorKind::TimedOut && !failure.no_tls,
            no_tls,
        })
        .await;
}
