//! A member's own task: connections' events, timers, and the lives of its file.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::life::Life;
use super::place::Stranger;
use super::troubles::without_port;
use super::{Events, Inner, Opened, chance};
use crate::file::ClusterFile;
use crate::wire::stream::{Closed, Event, Refusal};
use openraft::async_runtime::WatchReceiver;
use ovsdb_log::Lock;

/// How often a file that failed is tried again, and how often others are asked again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How often the member looks at itself.
const LOOK: Duration = Duration::from_millis(100);
/// A leader gives so many signs of life in an election timer.
const HEARTBEATS: u32 = 4;

/// The longest election timer that is taken seriously, in milliseconds.
const LONGEST_TIMER: u64 = 24 * 3600 * 1000;

/// Why a life has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The server stops.
    Stopped,
    /// The file, or what is in it.
    Failed(String),
    /// The server is a member no more.
    Left,
}

/// Lives until the server stops.
pub(super) async fn run(inner: Arc<Inner>, opened: Opened, mut events: Events) {
    let mut opened = Some(opened);
    loop {
        let Some(file) = opened.take() else {
            opened = reopen(&inner, &mut events).await;
            if opened.is_none() {
                return;
            }
            inner.report.lock().failure = None;
            continue;
        };
        match live(&inner, file, &mut events).await {
            End::Stopped => return,
            End::Left => {
                tracing::info!(db = inner.db(), "raft: has left the cluster");
                inner.report.lock().left = true;
                inner.left.cancel();
                inner.stop.cancelled().await;
                return;
            }
            End::Failed(why) => {
                tracing::error!(db = inner.db(), "raft: {why}; the file is opened again");
                inner.counters.file_failures.increment();
                inner.report.lock().failure = Some(why);
                inner.cut_off();
            }
        }
    }
}

/// Opens the file again when it can be; none if the server stops before.
async fn reopen(inner: &Arc<Inner>, events: &mut Events) -> Option<Opened> {
    loop {
        let waited = tokio::time::sleep(RETRY);
        tokio::pin!(waited);
        loop {
            tokio::select! {
                () = inner.stop.cancelled() => return None,
                () = &mut waited => break,
                // Nobody else must wait for this member.
                event = events.recv() => inner.on_link_event(&event?),
            }
        }
        let (fs, path) = (inner.fs.clone(), inner.path.clone());
        let span = inner.span();
        let opening = tokio::task::spawn_blocking(move || {
            let _span = span.entered();
            let lock = Lock::acquire(&path)?;
            ClusterFile::open(fs, lock)
        });
        let reopened = match opening.await {
            Ok(Ok(file)) => inner.open(file).await.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match reopened {
            Ok(opened) => return Some(opened),
            Err(why) => {
                inner.counters.file_failures.increment();
                inner.report.lock().failure = Some(why);
            }
        }
    }
}

async fn live(inner: &Arc<Inner>, opened: Opened, events: &mut Events) -> End {
    let Opened { store, earlier } = opened;
    if store.left() {
        return End::Left;
    }
    if store.snapshot().is_none()
        && let Err(end) = inner.join(&store, events).await
    {
        return end;
    }
    let Some(snapshot) = store.snapshot() else {
        return End::Failed("the file has no snapshot".to_owned());
    };
    let begun = Life::begin(
        store.clone(),
        &snapshot,
        earlier,
        inner.replica.clone(),
        inner.wire.clone(),
    );
    let life = match begun.await {
        Ok(life) => Arc::new(life),
        Err(why) => return End::Failed(why),
    };
    if let Some(cluster) = store.identity().cluster_id {
        inner.wire.peers.set_cluster(cluster);
    }
    *inner.life.write() = Some(life.clone());
    inner.after_news(&life);
    inner.serving.store(true, Ordering::Release);
    let end = serve(inner, &life, events).await;
    inner.serving.store(false, Ordering::Release);
    // Its state stays visible until there is another one.
    if let Err(error) = life.raft.shutdown().await {
        tracing::error!(db = inner.db(), "raft: {error}");
    }
    let closing = life.store.clone();
    match tokio::task::spawn_blocking(move || closing.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(db = inner.db(), "{error}"),
        Err(error) => tracing::error!(db = inner.db(), "closing the log: {error}"),
    }
    if matches!(end, End::Failed(_)) {
        *inner.life.write() = None;
    }
    end
}

async fn serve(inner: &Arc<Inner>, life: &Arc<Life>, events: &mut Events) -> End {
    let mut server = life.raft.server_metrics();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut next_beat = Instant::now();
    let mut asked = Instant::now();
    loop {
        let is_leader = life.is_leader();
        let deadline = if is_leader {
            next_beat
        } else {
            inner.clock.lock().deadline()
        };
        tokio::select! {
            () = inner.stop.cancelled() => return End::Stopped,
            event = events.recv() => match event {
                Some(event) => on_event(inner, life, event).await,
                None => return End::Stopped,
            },
            () = life.shared.news.notified() => inner.after_news(life),
            changed = server.changed() => {
                if changed.is_err() {
                    return End::Failed(failure(life));
                }
                server.borrow_and_update();
                next_beat = Instant::now();
                inner.update_place(life);
            }
            () = inner.wake.notified() => inner.update_place(life),
            () = tokio::time::sleep_until(deadline.into()) => {
                if is_leader {
                    let timer = inner.clock.lock().timer();
                    next_beat = Instant::now() + timer / HEARTBEATS;
                    let _ = life.raft.trigger().heartbeat().await;
                } else {
                    inner.stand(life, "timeout").await;
                }
            }
            _ = look.tick() => {
                if let Err(error) = &life.raft.metrics().borrow_watched().running_state {
                    return End::Failed(error.to_string());
                }
                if inner.has_left(life) {
                    return inner.note_left(life).await;
                }
                // A log that takes nothing fails at the next entry; a full one is tried again.
                let _ = life.store.write_commit();
                inner.update_place(life);
                inner.transfer_if_to(life);
                inner.compact_if_due(life);
                if asked.elapsed() >= RETRY {
                    asked = Instant::now();
                    inner.ask_again(life);
                }
            }
        }
    }
}

fn failure(life: &Life) -> String {
    match &life.raft.metrics().borrow_watched().running_state {
        Err(error) => error.to_string(),
        Ok(()) => "the log has stopped".to_owned(),
    }
}

async fn on_event(inner: &Arc<Inner>, life: &Arc<Life>, event: Event) {
    match event {
        Event::Received {
            link,
            message,
            held,
        } => {
            let from = message.head.from;
            inner.contacts.lock().heard(from, Instant::now());
            inner.on_message(life, link, message, held);
        }
        Event::Connected { link, server, .. } => {
            if let Some(server) = server {
                let _ = life.raft.trigger().reset_backoff([server]).await;
            }
            if inner.is_joining(life) {
                inner.ask(link);
            }
        }
        event => {
            inner.on_link_event(&event);
            if let Event::Disconnected {
                server: Some(server),
                why: Closed::ByPeer | Closed::Failed(_),
                remaining: 0,
                ..
            } = event
            {
                inner.on_process_gone(life, server);
            }
        }
    }
}

impl Inner {
    /// What is the same with and without a log.
    pub(super) fn on_link_event(&self, event: &Event) {
        match event {
            Event::Disconnected {
                server: Some(server),
                ..
            } => {
                self.report.lock().disconnections += 1;
                self.wire.replies.forget(*server);
                self.replica.disconnected(*server);
            }
            Event::Refused {
                address, refusal, ..
            } => {
                self.counters.refused_peers.increment();
                let subject = match self.wire.peers.dials(address) {
                    true => address,
                    false => without_port(address),
                };
                self.trouble(subject, format!("{address}: {refusal}"));
                if let Refusal::WrongCluster {
                    theirs,
                    announcement,
                    address: said,
                    ..
                } = refusal
                {
                    let address = said.as_ref().unwrap_or(address).clone();
                    self.report.lock().stranger = Some(Stranger {
                        address,
                        cluster: *theirs,
                        announcement: announcement.clone(),
                    });
                }
            }
            Event::Connected { address, .. } => {
                self.report.lock().troubles.remove(address);
            }
            _ => {}
        }
    }

    /// A peer's process has ended: if it was the leader, another one is needed now.
    fn on_process_gone(&self, life: &Life, server: crate::entry::ServerId) {
        let leader = life.vote();
        if !leader.committed || leader.leader_id.server != server {
            return;
        }
        // It is there again, and may have been heard already.
        if self.wire.peers.is_connected(server) {
            return;
        }
        let own = self.identity.server_id;
        let members = life.members();
        let others = members.keys().filter(|id| **id != server);
        let rank = others.take_while(|id| **id != own).count();
        let rank = u32::try_from(rank).unwrap_or(u32::MAX).min(16);
        let mut clock = self.clock.lock();
        clock.lost(Instant::now(), rank, chance());
    }

    /// The log has said something about the cluster.
    pub(super) fn after_news(&self, life: &Life) {
        let members = life.members();
        let joining = !members.contains_key(&self.identity.server_id);
        let mut remotes = match joining {
            true => self.report.lock().remotes.clone(),
            false => Vec::new(),
        };
        remotes.extend(self.settings.also.iter().cloned());
        self.wire.peers.set_members(&members, &remotes);
        self.contacts.lock().set_members(&members);
        let own = self.identity.server_id;
        self.counters.round_trips().set_members(&members, own);
        let timer = life.election_timer().clamp(1, LONGEST_TIMER);
        let mut clock = self.clock.lock();
        clock.set_timer(Duration::from_millis(timer));
        if members.len() == 1 && !joining && !life.is_leader() {
            clock.alone(Instant::now());
        }
        drop(clock);
        self.wire.set_election_timer(timer);
        let probe = Duration::from_millis(timer.saturating_add(1000));
        self.wire.peers.set_probe(probe);
        self.update_place(life);
    }

    pub(super) fn is_joining(&self, life: &Life) -> bool {
        !life.members().contains_key(&self.identity.server_id)
            && !self.leaving.load(Ordering::Relaxed)
    }

    /// Asks again for what nobody has granted yet.
    fn ask_again(self: &Arc<Self>, life: &Arc<Life>) {
        if self.is_joining(life) {
            self.ask_all();
        } else if self.leaving.load(Ordering::Relaxed) {
            let (inner, life) = (self.clone(), life.clone());
            tokio::spawn(async move { inner.ask_again_to_leave(&life).await });
        }
    }

    /// There is no life: clients should go elsewhere.
    fn cut_off(&self) {
        let mut place = self.place.lock();
        place.leading = None;
        place.leader = None;
        place.connected = false;
        self.replica.placed(&place);
    }
}
