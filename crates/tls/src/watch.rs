//! New files are taken into use while connections go on.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ending::Reminder;
use crate::key_set::{Files, KeySet};
use crate::tls::Tls;

/// How often the files are looked at. They are read once they stay the same from one look to the next:
/// who replaces them does so one after the other.
const LOOK: Duration = Duration::from_secs(1);
/// How often files that could not be used are tried again, in looks: a certificate may begin a little later,
/// and a shortage of the system's pass.
const RETRY: u32 = 5;
/// How often another reason why not is told at most, in looks.
const TELL: u32 = 60;
/// How often what stays as it is is told again, in looks.
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
            failure: None,
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
            let failure = state.failure.take();
            state.failure = self.reload(failure.is_some()).err().map(|words| {
                tracing::error!("TLS: {words}");
                Failure::new(words)
            });
        } else if let Some(mut failure) = state.failure.take() {
            state.failure = match failure.is_due() {
                true => self.reload(true).err().map(|words| failure.again(words)),
                false => Some(failure),
            };
        }
        if state.quiet == 0 {
            self.remind();
        }
        state.quiet = (state.quiet + 1) % REMIND;
    }

    /// Takes the files into use. The error is for the log. `told`: they could not be used before.
    fn reload(&self, told: bool) -> Result<(), String> {
        let old = self.current();
        match KeySet::load(&self.files, &self.choice) {
            Ok(new) if new.same_as(&old) => {
                if told {
                    tracing::info!("TLS: the files are well again; nothing has changed: {old}");
                }
                Ok(())
            }
            // Another server's word would do to replace it.
            Ok(new) if new.awaits_authority() => Err(format!(
                "{} has gone; what was in it stays in use",
                self.files.authorities.display()
            )),
            Ok(new) => {
                tracing::info!("TLS: new files are in use: {new}");
                self.current.store(Arc::new(new));
                Ok(())
            }
            Err(error) => Err(format!(
                "the new files are not used, and the old ones stay in use ({old}): {error}"
            )),
        }
    }

    /// Says it when a certificate in use is about to end, or has.
    fn remind(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        for reminder in self.current().reminders(now) {
            match reminder {
                Reminder::Soon(line) => tracing::warn!("TLS: {line}"),
                Reminder::Over(line) => tracing::error!("TLS: {line}"),
            }
        }
    }
}

/// Files that could not be used, and are tried again.
struct Failure {
    /// What was said of it.
    told: String,
    /// Looks since then.
    since: u32,
    /// Looks until the next try.
    rest: u32,
}

impl Failure {
    fn new(told: String) -> Failure {
        Failure {
            told,
            since: 0,
            rest: RETRY,
        }
    }

    /// One more look: whether it is time for another try.
    fn is_due(&mut self) -> bool {
        self.since = self.since.saturating_add(1);
        self.rest = self.rest.saturating_sub(1);
        self.rest == 0
    }

    /// Another try has failed. It is not told each time.
    fn again(self, words: String) -> Failure {
        let patience = match words == self.told {
            true => REMIND,
            false => TELL,
        };
        if self.since >= patience {
            tracing::error!("TLS: {words}");
            return Failure::new(words);
        }
        Failure {
            rest: RETRY,
            ..self
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
    /// Why they are not in use.
    failure: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_tried_often_and_told_seldom() {
        let mut failure = Failure::new("over".to_owned());
        let (mut tries, mut told) = (0, 0);
        for _ in 0..2 * REMIND {
            if failure.is_due() {
                tries += 1;
                failure = failure.again("over".to_owned());
                told += u32::from(failure.since == 0);
            }
        }
        assert_eq!((tries, told), (2 * REMIND / RETRY, 2));
        // Another reason is told sooner, but not one in turn with the other all the time.
        for look in 0..2 * TELL {
            if failure.is_due() {
                failure = failure.again(format!("other {look}"));
                told += u32::from(failure.since == 0);
            }
        }
        assert_eq!(told, 4);
    }
}
