//! Keeping a connection up, with whichever remote answers.

use std::sync::Arc;
use std::time::Duration;

use ovsdb::Uuid;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::dial::dial;
use super::link::{End, Link};
use super::reconnect::Reconnect;
use super::remotes::Remote;
use super::settings::Settings;
use super::talk::{Leave, Talk};
use crate::probe::Probe;

/// Talks to the server until it is told to stop, or [leaves for good](Leave::ForGood). `wake` says that
/// the talk has something to look at.
pub(crate) async fn keep<T: Talk>(
    mut settings: watch::Receiver<Settings>,
    talk: &mut T,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut remotes = shuffled(&settings.borrow_and_update());
    let mut reconnect = {
        let settings = settings.borrow();
        Reconnect::new(settings.max_backoff, remotes.len())
    };
    let mut turn = 0;
    loop {
        if remotes.is_empty() {
            tokio::select! {
                changed = settings.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
        if settings.has_changed().unwrap_or(false) {
            let now = settings.borrow_and_update().clone();
            remotes = shuffled(&now);
            reconnect = Reconnect::new(now.max_backoff, remotes.len());
            turn = 0;
        }
        let Some(remote) = remotes.get(turn % remotes.len().max(1)).cloned() else {
            continue;
        };
        turn = turn.wrapping_add(1);
        let present = settings.borrow().clone();
        let name = &remote.name;
        let quiet = reconnect.is_quiet();
        if !quiet {
            tracing::info!("{name}: connecting...");
        }
        let attempt = tokio::select! {
            attempt = dial(&remote, &present.keys, reconnect.patience()) => attempt,
            () = stop.cancelled() => return,
        };
        let wait = match attempt {
            Err(error) => {
                talk.missed();
                let wait = reconnect.failed();
                if !quiet {
                    tracing::info!("{name}: connection attempt failed ({error})");
                    tell_wait(name, wait, reconnect.is_quiet());
                }
                wait
            }
            Ok(stream) => {
                tracing::info!("{name}: connected");
                let mut link = Link::new(name, stream, talk, &present);
                let watched = settings.clone();
                let changed = |probe: &mut Probe| goes_on(&watched, &remote, probe);
                let end = link.run(&wake, &stop, changed).await;
                let alive = link.alive();
                match farewell(name, end) {
                    Next::Stop => return,
                    Next::AtOnce => {
                        reconnect.begin_anew(remotes.len());
                        reconnect.lost(alive)
                    }
                    Next::Later => reconnect.lost(alive),
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = settings.changed() => {
                if changed.is_err() {
                    return;
                }
                settings.mark_changed();
            }
            () = stop.cancelled() => return,
        }
    }
}

enum Next {
    AtOnce,
    Later,
    Stop,
}

/// Says why a connection is over.
fn farewell(name: &str, end: End) -> Next {
    match end {
        End::Stopped => return Next::Stop,
        End::Left(Leave::ForGood) => return Next::Stop,
        End::Left(Leave::AtOnce(why)) => {
            tracing::info!("{name}: {why}");
            return Next::AtOnce;
        }
        End::Left(Leave::Later(why)) => tracing::info!("{name}: {why}"),
        End::Closed => tracing::info!("{name}: connection closed by peer"),
        End::Failed(error) => tracing::warn!("{name}: connection dropped ({error})"),
        End::Silent => tracing::error!("{name}: no response to inactivity probe, disconnecting"),
        End::Wrong(why) => tracing::warn!("{name}: {why}"),
    }
    Next::Later
}

fn tell_wait(name: &str, wait: Duration, is_last: bool) {
    if is_last {
        tracing::info!(
            "{name}: continuing to reconnect in the background but suppressing further logging"
        );
    } else if wait > Duration::from_secs(1) {
        let seconds = wait.as_secs_f32();
        tracing::info!("{name}: waiting {seconds} seconds before reconnect");
    }
}

/// Takes changed settings into use on a connection; false if its remote is none of them any more.
fn goes_on(settings: &watch::Receiver<Settings>, remote: &Remote, probe: &mut Probe) -> bool {
    if !settings.has_changed().unwrap_or(false) {
        return true;
    }
    let settings = settings.borrow();
    if super::Remotes::is_probed(remote) {
        probe.set_interval(settings.probe.unwrap_or_default());
    }
    settings.remotes.contains(&remote.name)
}

/// The remotes in random order, so that not all who follow a cluster meet at one member.
fn shuffled(settings: &Settings) -> Vec<Remote> {
    let mut remotes = settings.remotes.all().to_vec();
    remotes.sort_by_cached_key(|_| Uuid::new_v4());
    remotes
}
