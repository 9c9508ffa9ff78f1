//! Processes that nobody waits for any more, where this one is the first of its container.
//!
//! Whoever loses its parent becomes a child of the first process, which is to wait for its end (`docker exec` leaves
//! such behind). `run` itself starts no process whose status it needs.

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};

/// What the first process of a container, and of a machine, is.
const FIRST: u32 = 1;

/// Waits for the ends of processes without a parent until it is cancelled; does nothing where that is not
/// this process's business. Must be called in a runtime.
pub async fn reap() {
    if std::process::id() != FIRST {
        return;
    }
    let mut ends = match signal(SignalKind::child()) {
        Ok(ends) => ends,
        Err(error) => {
            tracing::warn!("processes without a parent will not be waited for: {error}");
            return;
        }
    };
    loop {
        reap_all();
        if ends.recv().await.is_none() {
            return;
        }
    }
}

/// Waits for all that have ended.
fn reap_all() {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                tracing::debug!("process {pid:?} without a parent has ended: {status:?}");
            }
            Err(Errno::INTR) => {}
            // None has ended, or there is none.
            Ok(None) | Err(_) => return,
        }
    }
}
