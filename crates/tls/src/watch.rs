//! New files are taken into use while connections go on.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::key_set::{Files, KeySet};
use crate::tls::Tls;

/// How often the files are looked at. They are read once they stay the same from one look to the next:
/// who replaces them does so one after the other.
const LOOK: Duration = Duration::from_secs(1);
/// How long before its end a certificate is spoken of, in seconds.
const SOON: i64 = 14 * 86_400;
/// How often it is, in looks.
const REMIND: u32 = 3600;

/// What tells one state of a file from another: where it is, its size, when it was changed.
type Mark = Option<(u64, u64, u64, i64, i64, i64, i64)>;

fn marks(files: &Files) -> [Mark; 3] {
    let mark = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((
            found.dev(),
            found.ino(),
            found.size(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        ))
    };
    [
        mark(&files.key),
        mark(&files.certificate),
        mark(&files.authorities),
    ]
}

impl Tls {
    /// Looks after the files until it is cancelled: a new set that fits together comes into use, for
    /// new connections. Of one that does not, a line says why, and the old one stays.
    pub async fn watch(self: Arc<Self>) {
        let mut state = State {
            // The files may have changed between the start and now.
            read: None,
            seen: None,
            quiet: 0,
        };
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let tls = Arc::clone(&self);
            // A file system may be slow.
            let look = tokio::task::spawn_blocking(move || {
                tls.look(&mut state);
                state
            });
            match look.await {
                Ok(after) => state = after,
                Err(error) => {
                    tracing::error!("TLS: the files are not looked after any more: {error}");
                    return;
                }
            }
        }
    }

    fn look(&self, state: &mut State) {
        let now = marks(&self.files);
        let stays = state.seen == Some(now);
        state.seen = Some(now);
        let is_new = state.read != Some(now);
        if stays && is_new {
            state.read = Some(now);
            state.quiet = 0;
            self.reload();
        }
        if state.quiet == 0 {
            self.remind();
        }
        state.quiet = (state.quiet + 1) % REMIND;
    }

    fn reload(&self) {
        let old = self.current();
        match KeySet::load(&self.files, &self.choice) {
            Ok(new) if new.same_as(&old) => {}
            // Another server's word would do to replace it.
            Ok(new) if new.awaits_authority() => tracing::error!(
                "TLS: {} has gone; what was in it stays in use",
                self.files.authorities.display()
            ),
            Ok(new) => {
                tracing::info!("TLS: new files are in use: {new}");
                self.current.store(Arc::new(new));
            }
            Err(error) => tracing::error!(
                "TLS: the new files are not used, and the old ones stay in use ({old}): {error}"
            ),
        }
    }

    /// Says it when the certificate in use is about to end, or has.
    fn remind(&self) {
        let keys = self.current();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let left = keys.certificate().not_after.saturating_sub(now);
        let advice = "put a new one in its place; it comes into use by itself";
        if left < 0 {
            tracing::error!("TLS: the {keys}, has expired and is refused by others: {advice}");
        } else if left < SOON {
            tracing::warn!("TLS: the {keys}, ends in {} days: {advice}", left / 86_400);
        }
    }
}

/// What the last looks have shown.
struct State {
    /// What was read last.
    read: Option<[Mark; 3]>,
    /// What was there at the last look.
    seen: Option<[Mark; 3]>,
    /// Looks since somebody was last reminded.
    quiet: u32,
}
