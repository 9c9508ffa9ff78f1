//! All groups of a database, and the task that wakes their sessions.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ovsdb::{Schema, TableId};
use ovsdb_engine::Monitor;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::Group;
use crate::database::Database;
use crate::locks::SessionId;
use crate::mailbox::Mailbox;

/// Every so many commits all sessions look, so that none holds on to an old version for long.
const REFRESH: u64 = 1024;
/// How long initial contents are kept for others who ask.
const KEEP_INITIAL: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Member {
    group: Arc<Group>,
    subscribers: FxHashMap<(SessionId, u64), Arc<Mailbox>>,
}

/// The groups of one database.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    members: Mutex<FxHashMap<Arc<Monitor>, Member>>,
    news: Notify,
}

impl Groups {
    /// Says that there is a new committed version.
    pub(crate) fn notify(&self) {
        // Whoever joins behind this look finds that version to begin with.
        let members = self.members.try_lock();
        if members.is_none_or(|members| !members.is_empty()) {
            self.news.notify_one();
        }
    }

    /// Joins the group of a monitor of a schema. `number` tells a session's subscriptions apart.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        monitor: Monitor,
        schema: &Arc<Schema>,
        database: &Database,
        session: SessionId,
        number: u64,
        mailbox: &Arc<Mailbox>,
    ) -> Subscription {
        let mut members = self.members.lock();
        let monitor = Arc::new(monitor);
        let new_member = || Member {
            group: Arc::new(Group::new(
                monitor.clone(),
                schema.clone(),
                database.committed(),
            )),
            subscribers: FxHashMap::default(),
        };
        let member = members.entry(monitor.clone()).or_insert_with(new_member);
        // Those whose monitor looks the same but is for the schema of before hear of that anyway.
        if !member.group.fits(schema) {
            *member = new_member();
        }
        let key = (session, number);
        member.subscribers.insert(key, mailbox.clone());
        Subscription {
            group: member.group.clone(),
            groups: self.clone(),
            key,
        }
    }

    /// How many subscriptions there are.
    pub(crate) fn subscription_count(&self) -> usize {
        let members = self.members.lock();
        members.values().map(|m| m.subscribers.len()).sum()
    }

    /// How many different monitors there are, and how many of their updates are kept for whoever
    /// asks next.
    pub(crate) fn cached(&self) -> (usize, usize) {
        let groups = self.groups();
        let kept = groups.iter().map(|group| group.kept()).sum();
        (groups.len(), kept)
    }

    /// How many monitors each session has here, and which tables they are about.
    pub(crate) fn watched(&self) -> FxHashMap<SessionId, (usize, BTreeSet<TableId>)> {
        let members = self.members.lock();
        let mut watched = FxHashMap::default();
        for (monitor, member) in members.iter() {
            for (session, _) in member.subscribers.keys() {
                let (count, tables): &mut (usize, BTreeSet<TableId>) =
                    watched.entry(*session).or_default();
                *count += 1;
                tables.extend(monitor.tables());
            }
        }
        watched
    }

    /// Makes updates and wakes who should hear of them, until the database is gone.
    pub(crate) async fn run(self: Arc<Self>, database: Weak<Database>) {
        let mut refreshed = 0;
        let mut forget = tokio::time::interval(KEEP_INITIAL);
        loop {
            tokio::select! {
                () = self.news.notified() => {}
                _ = forget.tick() => self.groups().iter().for_each(|group| group.forget_initial()),
            }
            let Some(database) = database.upgrade() else {
                return;
            };
            let now = database.committed();
            let sequence = now.version.sequence();
            let refresh = sequence >= refreshed + REFRESH;
            if refresh {
                refreshed = sequence;
            }
            for group in self.groups() {
                // Updates that nobody would take yet are made when somebody does, all at once.
                let wanted = self.is_wanted(&group);
                if wanted && group.advance(&database, &now) || refresh {
                    self.wake(&group);
                    // Sessions are served meanwhile.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn groups(&self) -> Vec<Arc<Group>> {
        let members = self.members.lock();
        members.values().map(|m| m.group.clone()).collect()
    }

    /// True if a session of the group has taken all that it was told of.
    fn is_wanted(&self, group: &Group) -> bool {
        let members = self.members.lock();
        let member = members.get(group.monitor());
        member.is_some_and(|member| {
            let mut mailboxes = member.subscribers.values();
            mailboxes.any(|mailbox| !mailbox.knows_of_updates())
        })
    }

    fn wake(&self, group: &Group) {
        if let Some(member) = self.members.lock().get(group.monitor()) {
            for mailbox in member.subscribers.values() {
                mailbox.tell_updates();
            }
        }
    }
}

/// A session's place in a group, which it leaves by dropping this.
#[derive(Debug)]
pub(crate) struct Subscription {
    group: Arc<Group>,
    groups: Arc<Groups>,
    key: (SessionId, u64),
}

impl Subscription {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut members = self.groups.members.lock();
        let Some(member) = members.get_mut(self.group.monitor()) else {
            return;
        };
        if !Arc::ptr_eq(&member.group, &self.group) {
            return;
        }
        member.subscribers.remove(&self.key);
        if member.subscribers.is_empty() {
            members.remove(self.group.monitor());
        }
    }
}
