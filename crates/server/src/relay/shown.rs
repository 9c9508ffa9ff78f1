//! The relay's row in `_Server`.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Relay;
use crate::server_database::{Model, Status};

/// For so long a source that was lost counts as connected, as in the reference: clients should not
/// leave for each moment without it.
const GRACE: Duration = Duration::from_secs(30);

/// The relay and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// There were no contents yet.
    Never,
    /// The source is followed.
    Now,
    /// It was, until then.
    Until(Instant),
}

impl Touch {
    /// What clients are told.
    pub(super) fn counts(self) -> bool {
        match self {
            Touch::Never => false,
            Touch::Now => true,
            Touch::Until(then) => then.elapsed() < GRACE,
        }
    }
}

impl Relay {
    pub(super) fn is_following(&self) -> bool {
        *self.touch.borrow() == Touch::Now
    }

    pub(super) fn show(&self, connected: bool) {
        let schema = self.database().map(|database| {
            let committed = database.committed();
            committed.version.schema().clone()
        });
        let status = Status {
            model: Model::Relay,
            connected: connected && schema.is_some(),
            leader: false,
            schema,
            cluster: None,
            server: None,
            index: None,
        };
        let name = &self.name;
        if let Err(error) = self.service.set_status(name, &status) {
            tracing::error!(db = &**name, "{name}: cannot be shown in _Server: {error}");
        }
    }
}

/// Keeps the row true.
pub(super) async fn show_all(
    relay: Weak<Relay>,
    mut touch: watch::Receiver<Touch>,
    stop: CancellationToken,
) {
    loop {
        let now = *touch.borrow_and_update();
        {
            let Some(relay) = relay.upgrade() else {
                return;
            };
            relay.show(now.counts());
        }
        let over = async {
            match now {
                Touch::Until(then) if now.counts() => {
                    tokio::time::sleep_until(then + GRACE).await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = touch.changed() => if changed.is_err() { return },
            () = over => {}
            () = stop.cancelled() => return,
        }
    }
}
