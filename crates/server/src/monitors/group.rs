//! A monitor that any number of sessions have, and the updates that it has got lately.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ovsdb::{Schema, Uuid};
use ovsdb_engine::{Changes, Commit, Monitor, Past};
use parking_lot::Mutex;

use crate::database::Database;

/// How many updates are kept for sessions that are a little behind. One that is further behind
/// gets a merged update of its own.
const MAX_UPDATES: usize = 1024;
/// And how many bytes.
const MAX_BYTES: usize = 1 << 20;
/// Tables of more rows in all are walked where it does not hold up other sessions.
const LARGE: usize = 2000;

/// What one commit, or several merged, mean for a monitor.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    /// The sequence number of the version that it begins from.
    from: u64,
    /// The sequence number of the version that it leads to.
    sequence: u64,
    /// The transaction's id.
    pub(crate) id: Uuid,
    /// A `<table-updates>` object.
    pub(crate) updates: Bytes,
}

#[derive(Debug)]
struct State {
    /// The commit up to which updates have been made.
    last: Arc<Commit>,
    /// The updates after this sequence number are all in `recent`.
    since: u64,
    recent: VecDeque<Update>,
    bytes: usize,
    /// Up to where subscribers have been woken.
    told: u64,
}

/// The contents at a commit, as a monitor begins with them.
type Initial = Option<(Arc<Commit>, Bytes)>;

/// Sessions' common monitor.
#[derive(Debug)]
pub(crate) struct Group {
    monitor: Arc<Monitor>,
    /// What the monitor was made for: it means nothing for versions of another schema.
    schema: Arc<Schema>,
    state: Mutex<State>,
    /// Made once for all that ask at the same time.
    initial: tokio::sync::Mutex<Initial>,
}

impl Group {
    pub(crate) fn new(monitor: Arc<Monitor>, schema: Arc<Schema>, now: Arc<Commit>) -> Group {
        let sequence = now.version.sequence();
        Group {
            monitor,
            schema,
            state: Mutex::new(State {
                last: now,
                since: sequence,
                recent: VecDeque::new(),
                bytes: 0,
                told: sequence,
            }),
            initial: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// True if the monitor was made for this schema.
    pub(crate) fn fits(&self, schema: &Arc<Schema>) -> bool {
        Arc::ptr_eq(&self.schema, schema)
    }

    /// Makes the updates up to `now`. True if subscribers should hear of some.
    pub(crate) fn advance(&self, database: &Database, now: &Arc<Commit>) -> bool {
        let mut state = self.state.lock();
        self.advance_to(&mut state, database, now);
        let newest = state.recent.back().map_or(0, |update| update.sequence);
        let news = newest > state.told;
        state.told = state.last.version.sequence();
        news
    }

    fn advance_to(&self, state: &mut State, database: &Database, now: &Arc<Commit>) {
        let (old, new) = (&state.last.version, &now.version);
        // After a conversion there is nothing to tell but that, which the sessions find out.
        if old.sequence() >= new.sequence() || !self.fits(new.schema()) {
            return;
        }
        let commits = database.with_history(|history| {
            let commits = history.after_sequence(old.sequence())?;
            Some(commits.cloned().collect::<Vec<_>>())
        });
        match commits {
            Some(commits) => {
                let until = new.sequence();
                for commit in commits.iter().take_while(|past| past.sequence <= until) {
                    self.push(state, commit.sequence - 1, commit);
                }
            }
            None => {
                let from = old.sequence();
                let merged = Past {
                    sequence: new.sequence(),
                    id: new.id(),
                    changes: Changes::between(old, new).into(),
                };
                self.push(state, from, &merged);
            }
        }
        state.last = now.clone();
    }

    fn push(&self, state: &mut State, from: u64, commit: &Past) {
        let Some(updates) = self.monitor.update(&commit.changes) else {
            return;
        };
        let update = Update {
            from,
            sequence: commit.sequence,
            id: commit.id,
            updates: updates.into(),
        };
        state.bytes += update.updates.len();
        state.recent.push_back(update);
        while state.recent.len() > MAX_UPDATES || state.bytes > MAX_BYTES && state.recent.len() > 1
        {
            if let Some(oldest) = state.recent.pop_front() {
                state.bytes -= oldest.updates.len();
                state.since = oldest.sequence;
            }
        }
    }

    /// What has happened since a session last looked, up to now, handed to `deliver` one by one;
    /// returns the commit that it has seen then.
    pub(crate) fn catch_up(
        &self,
        database: &Database,
        seen: &Arc<Commit>,
        mut deliver: impl FnMut(&Update),
    ) -> Arc<Commit> {
        let now = database.committed();
        let mut state = self.state.lock();
        self.advance_to(&mut state, database, &now);
        let sequence = seen.version.sequence();
        let last = state.last.clone();
        if !self.fits(last.version.schema()) || sequence >= last.version.sequence() {
            return seen.clone();
        }
        let first = state
            .recent
            .partition_point(|update| update.sequence <= sequence);
        // A merged update may begin before what the session has seen.
        let fits = state.recent.get(first).is_none_or(|u| u.from >= sequence);
        if sequence >= state.since && fits {
            state.recent.range(first..).for_each(deliver);
            return last;
        }
        drop(state);
        if let Some(updates) = self
            .monitor
            .update(&Changes::between(&seen.version, &last.version))
        {
            deliver(&Update {
                from: sequence,
                sequence: last.version.sequence(),
                id: last.version.id(),
                updates: updates.into(),
            });
        }
        last
    }

    /// The contents to begin with, at a commit not older than the moment of asking; none if the
    /// schema is another one by now.
    pub(crate) async fn initial(&self, database: &Database) -> Initial {
        let asked = database.committed();
        let mut initial = self.initial.lock().await;
        if let Some((commit, _)) = &*initial
            && commit.version.sequence() >= asked.version.sequence()
        {
            return initial.clone();
        }
        let now = database.committed();
        if !self.fits(now.version.schema()) {
            return None;
        }
        let rows: usize = self
            .monitor
            .tables()
            .map(|table| now.version.table(table).len())
            .sum();
        let contents: Bytes = if rows > LARGE {
            tokio::task::block_in_place(|| self.monitor.initial(&now.version)).into()
        } else {
            self.monitor.initial(&now.version).into()
        };
        *initial = Some((now, contents));
        initial.clone()
    }

    /// How many updates are kept, initial contents among them.
    pub(crate) fn kept(&self) -> usize {
        let initial = self
            .initial
            .try_lock()
            .is_ok_and(|initial| initial.is_some());
        self.state.lock().recent.len() + usize::from(initial)
    }

    /// Gives the memory of initial contents back, unless they are being made.
    pub(crate) fn forget_initial(&self) {
        if let Ok(mut initial) = self.initial.try_lock() {
            *initial = None;
        }
    }
}
