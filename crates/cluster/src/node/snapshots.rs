//! Snapshots that a leader sends, one after the other.

use std::sync::Arc;
use std::time::Instant;

use super::life::Life;
use super::{Inner, chance};
use crate::contents::Contents;
use crate::entry::{Index, ServerId, Term};
use crate::failure_test::FailureTest;
use crate::file::SnapshotMeta;
use crate::raft::Vote;
use crate::raft::state_machine::snapshot_of;
use crate::wire::Body;
use crate::wire::message::{InstallSnapshotReply, InstallSnapshotRequest};
use crate::wire::stream::{Held, LinkId};

/// A snapshot that has come.
pub(super) struct Arrival {
    link: LinkId,
    from: ServerId,
    request: InstallSnapshotRequest,
    /// Its memory.
    _held: Held,
}

impl Arrival {
    /// What makes one snapshot newer than another: its leader's term, and its place.
    fn key(&self) -> Key {
        let request = &self.request;
        (request.term, request.last_term, request.last_index)
    }
}

type Key = (Term, Term, Index);

/// At most one snapshot is being installed, and one waits for that.
#[derive(Default)]
pub(super) struct Installing {
    current: Option<Key>,
    next: Option<Arrival>,
}

/// What is to be done about a snapshot that has come.
enum Taken {
    /// Install it.
    Install(Arrival),
    /// It waits, or it is there already.
    Nothing,
    /// This one is not wanted: its sender is to notice, so that it sends a newer one.
    Drop(LinkId),
}

impl Installing {
    fn take(&mut self, arrival: Arrival) -> Taken {
        let key = arrival.key();
        match (self.current, &self.next) {
            (None, _) => {
                self.current = Some(key);
                Taken::Install(arrival)
            }
            (Some(current), _) if current == key => Taken::Nothing,
            (Some(_), Some(next)) if next.key() == key => Taken::Nothing,
            (Some(_), Some(next)) if next.key() > key => Taken::Drop(arrival.link),
            (Some(_), _) => match self.next.replace(arrival) {
                Some(older) => Taken::Drop(older.link),
                None => Taken::Nothing,
            },
        }
    }

    /// The present one is over; gives the next one.
    fn finished(&mut self) -> Option<Arrival> {
        let next = self.next.take();
        self.current = next.as_ref().map(Arrival::key);
        next
    }
}

impl Inner {
    /// Installs a snapshot when those before it are installed.
    pub(super) fn take_snapshot(
        self: &Arc<Self>,
        life: &Arc<Life>,
        link: LinkId,
        from: ServerId,
        request: InstallSnapshotRequest,
        held: Held,
    ) {
        let test = FailureTest::CrashBeforeSendingInstallSnapshotReply;
        self.wire.failing.crash_if(test);
        let arrival = Arrival {
            link,
            from,
            request,
            _held: held,
        };
        let taken = life.installing.lock().take(arrival);
        match taken {
            Taken::Install(first) => {
                tokio::spawn(self.clone().install_all(life.clone(), first));
            }
            Taken::Nothing => {}
            Taken::Drop(link) => self.wire.peers.close(link),
        }
    }

    async fn install_all(self: Arc<Self>, life: Arc<Life>, first: Arrival) {
        let mut next = Some(first);
        while let Some(arrival) = next {
            let from = arrival.from;
            let key = (arrival.request.last_index, arrival.request.last_term);
            match self.install(&life, from, arrival.request).await {
                Ok(()) => self.reply_snapshot(&life, from, key),
                Err(why) => {
                    self.remark(|| format!("a snapshot of server {from} is not taken: {why}"));
                }
            }
            next = life.installing.lock().finished();
        }
    }

    fn reply_snapshot(&self, life: &Life, to: ServerId, (last_index, last_term): (u64, u64)) {
        let reply = Body::InstallSnapshotReply(InstallSnapshotReply {
            term: life.store.term(),
            last_index,
            last_term,
        });
        self.say(to, &reply, None);
    }

    async fn install(
        &self,
        life: &Life,
        from: ServerId,
        request: InstallSnapshotRequest,
    ) -> Result<(), String> {
        if request.term < life.store.term() {
            // The reply says that the sender's term is over.
            return Ok(());
        }
        self.clock.lock().heard(Instant::now(), chance());
        let committed = life.store.commit_index();
        if request.last_term > request.term {
            return Err("it is of a later term than its leader".to_owned());
        }
        if request.last_index <= committed {
            // All of it is here. Another history cannot be: both are committed.
            return match life.store.term_at(request.last_index) {
                Some(term) if term != request.last_term => {
                    Err("it is of another history".to_owned())
                }
                _ => Ok(()),
            };
        }
        let vote = Vote::new_committed(request.term, from);
        let (meta, data) = split(request);
        self.remark(|| {
            let (index, bytes) = (meta.index, data.len());
            format!("server {from} sends a snapshot up to entry {index} ({bytes} bytes)")
        });
        let reading = tokio::task::spawn_blocking(move || Contents::read(meta, data));
        let contents = match reading.await {
            Ok(read) => read.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        let snapshot = snapshot_of(Arc::new(contents), None).map_err(|error| error.to_string())?;
        let installed = life.raft.install_full_snapshot(vote, snapshot).await;
        installed.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// The parts of a snapshot's message.
pub(super) fn split(request: InstallSnapshotRequest) -> (SnapshotMeta, bytes::Bytes) {
    let meta = SnapshotMeta {
        index: request.last_index,
        term: request.last_term,
        eid: request.last_eid,
        servers: request.last_servers,
        election_timer: Some(request.election_timer),
    };
    (meta, request.data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Servers;
    use uuid::Uuid;

    fn arrival(link: u64, term: Term, index: Index) -> Arrival {
        Arrival {
            link: LinkId(link),
            from: Uuid::from_u128(1),
            request: InstallSnapshotRequest {
                term,
                last_index: index,
                last_term: 1,
                last_servers: Servers::new(),
                last_eid: Uuid::nil(),
                election_timer: 1000,
                data: bytes::Bytes::new(),
            },
            _held: Held::default(),
        }
    }

    fn links(taken: Taken) -> (&'static str, u64) {
        match taken {
            Taken::Install(arrival) => ("install", arrival.link.0),
            Taken::Nothing => ("nothing", 0),
            Taken::Drop(link) => ("drop", link.0),
        }
    }

    #[test]
    fn one_is_installed_and_the_newest_waits() {
        let mut installing = Installing::default();
        let mut take = |link, term, index| links(installing.take(arrival(link, term, index)));
        assert_eq!(take(1, 3, 10), ("install", 1));
        assert_eq!(take(2, 3, 10), ("nothing", 0));
        assert_eq!(take(3, 3, 20), ("nothing", 0));
        assert_eq!(take(4, 3, 20), ("nothing", 0));
        assert_eq!(take(5, 3, 15), ("drop", 5));
        // A later leader's counts more, wherever it ends.
        assert_eq!(take(6, 4, 12), ("drop", 3));
        assert_eq!(installing.finished().map(|next| next.link), Some(LinkId(6)));
        assert!(installing.finished().is_none());
        assert_eq!(links(installing.take(arrival(7, 4, 30))), ("install", 7));
    }
}
