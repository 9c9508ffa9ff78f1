//! Committing on the thread of somebody who waits for it.
//!
//! A lone writer that waits for each of its commits would wake the log's thread for every one, and be
//! woken by it: two changes of thread beside the sync. So whoever finds the log idle may commit itself.
//! Where several write, what comes during one commit is committed together by the log's thread.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::committer::Committer;
use crate::queue::Queue;

/// The turn to commit what waits in a log. Nobody else does meanwhile; dropping it leaves it to the
/// log's thread.
#[must_use = "the log waits"]
pub struct Turn {
    queue: Arc<Queue>,
    committer: Option<Box<Committer>>,
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn")
    }
}

impl Turn {
    pub(crate) fn new(queue: Arc<Queue>, committer: Box<Committer>) -> Turn {
        Turn {
            queue,
            committer: Some(committer),
        }
    }

    /// Commits what waits: one write, one sync. Blocks, and calls the batches' `done`s: no lock that
    /// these take may be held.
    pub fn take(mut self) {
        let mut items = VecDeque::new();
        // Larger work is left to the log's thread.
        if let Some(committer) = &mut self.committer
            && self.queue.take_in_turn(&mut items)
        {
            committer.work(&mut items);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(committer) = self.committer.take() {
            self.queue.give_back(committer);
        }
    }
}
