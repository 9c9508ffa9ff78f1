//! What the log says of a client's coming and going.

use super::Session;

impl Session {
    /// Tells who has come, once it is sure that somebody talks. Those by Unix sockets are this
    /// machine's tools and probes, which come all the time.
    pub(super) fn greet(&mut self) {
        self.has_spoken = true;
        let (peer, span) = (&self.peer, &self.service.span);
        if self.stream.is_unix() {
            tracing::debug!(parent: span, "{peer}: connected");
            return;
        }
        match self.service.visits.begin(peer) {
            None => return,
            Some(0) => tracing::info!(parent: span, "{peer}: connected"),
            Some(more) => tracing::info!(
                parent: span,
                "{peer}: connected; {more} more from that host were not written here"
            ),
        }
        self.told = true;
    }

    pub(super) fn bid_farewell(&self) {
        if self.told {
            let (peer, span) = (&self.peer, &self.service.span);
            let stayed = self.on_roll.age().as_secs_f64();
            tracing::info!(parent: span, "{peer}: disconnected after {stayed:.1} s");
        }
    }

    pub(super) fn complain(&self, why: &str) {
        let (peer, span) = (&self.peer, &self.service.span);
        match self.service.complaints.allow() {
            Some(0) => tracing::warn!(parent: span, "{peer}: connection dropped ({why})"),
            Some(more) => tracing::warn!(
                parent: span,
                "{peer}: connection dropped ({why}); {more} more were not written here"
            ),
            None => {}
        }
    }
}
