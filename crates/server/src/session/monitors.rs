//! A session's monitors.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ovsdb::json::{Json, Kind, write};
use ovsdb::{Error, Schema, Tag, Uuid, atom};
use ovsdb_engine::monitor::Format;
use ovsdb_engine::{Changes, Commit, Monitor};

use super::{Ending, Request, Session, envelope};
use crate::database::JobKey;
use crate::monitors::{Group, Subscription, Update};
use crate::outbox::Outbox;
use crate::service::Served;

/// How many monitors a session may have.
const MAX_MONITORS: usize = 10_000;

/// One monitor.
struct SessionMonitor {
    /// The id that the client gave it: its canonical text, which is JSON as well.
    id: String,
    served: Arc<Served>,
    subscription: Subscription,
    /// What the client knows.
    seen: Arc<Commit>,
}

/// A session's monitors, in the order of their requests.
#[derive(Default)]
pub(super) struct Monitors {
    all: Vec<SessionMonitor>,
    next_number: u64,
}

impl Monitors {
    fn place(&self, id: &str) -> Option<usize> {
        self.all.iter().position(|monitor| monitor.id == id)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

impl SessionMonitor {
    fn format(&self) -> Format {
        self.subscription.group().monitor().format()
    }

    /// True if the database has got another schema since, or is gone.
    fn is_stale(&self) -> bool {
        if self.served.removed.load(Ordering::Acquire) {
            return true;
        }
        let now = self.served.database.committed();
        !Arc::ptr_eq(self.seen.version.schema(), now.version.schema())
    }
}

/// Appends the notification of an update.
fn notify(outbox: &mut Outbox, format: Format, id: &str, transaction: Uuid, updates: &Bytes) {
    outbox.copy(b"{\"id\":null,\"method\":\"");
    outbox.copy(format.method().as_bytes());
    outbox.copy(b"\",\"params\":[");
    outbox.copy(id.as_bytes());
    outbox.copy(b",");
    if format == Format::Update3 {
        outbox.write(|out| write::uuid(out, &transaction));
        outbox.copy(b",");
    }
    outbox.share(updates);
    outbox.copy(b"]}");
}

impl Session {
    /// Sends what has happened since the client was last told.
    pub(super) fn flush_monitors(&mut self) -> Result<(), Ending> {
        if self.sent_away {
            return Ok(());
        }
        self.mailbox.look_for_updates();
        let mut stale = false;
        for monitor in &mut self.monitors.all {
            let now = monitor.served.database.committed_sequence();
            if now == monitor.seen.version.sequence() {
                continue;
            }
            if monitor.is_stale() {
                stale = true;
                continue;
            }
            let (outbox, id, format) = (&mut self.outbox, &monitor.id, monitor.format());
            let deliver = |update: &Update| notify(outbox, format, id, update.id, &update.updates);
            let group = monitor.subscription.group();
            monitor.seen = group.catch_up(&monitor.served.database, &monitor.seen, deliver);
        }
        if stale {
            self.after_conversion()?;
        }
        Ok(())
    }

    /// A database has got another schema, has come or is gone: who understands that loses its monitors
    /// and waiting transactions of it, all others are to come back and look anew.
    pub(super) fn after_conversion(&mut self) -> Result<(), Ending> {
        if !self.change_aware {
            self.ending = true;
            self.sent_away = true;
            return Ok(());
        }
        let outbox = &mut self.outbox;
        self.monitors.all.retain(|monitor| {
            let stale = monitor.is_stale();
            if stale {
                envelope::notification(outbox, "monitor_canceled", monitor.id.as_bytes());
            }
            !stale
        });
        for (served, number) in self.transactions.blocked_in_vain() {
            let session = self.id;
            let key = JobKey { session, number };
            // It may have ended this very moment: then it is answered as usual.
            if served.database.forget(|other| other == key) {
                self.transaction_canceled(number)?;
            }
        }
        Ok(())
    }

    pub(super) async fn monitor(
        &mut self,
        request: Request<'_>,
        format: Format,
    ) -> Result<(), Ending> {
        let Some(served) = self.lookup(&request)? else {
            return Ok(());
        };
        loop {
            let schema = served.database.committed().version.schema().clone();
            let parsed = self.parse_monitor(&schema, request.params, format);
            let (id, monitor, since) = match parsed {
                Ok(parsed) => parsed,
                Err(error) => return self.error(request.id.source(), &error),
            };
            let number = self.monitors.number();
            let (database, mailbox) = (&served.database, &self.mailbox);
            let subscription = served
                .groups
                .subscribe(monitor, &schema, database, self.id, number, mailbox);
            // None if the schema was changed this moment: then once more with the new one.
            if let Some(first) = first_contents(&served, subscription.group(), since).await {
                let request_id = request.id.source();
                return self.begin_monitor(request_id, id, served, subscription, first);
            }
        }
    }

    fn begin_monitor(
        &mut self,
        request_id: &[u8],
        id: String,
        served: Arc<Served>,
        subscription: Subscription,
        first: First,
    ) -> Result<(), Ending> {
        self.flush_monitors()?;
        let outbox = &mut self.outbox;
        let (seen, updates) = (first.seen, &first.updates);
        if subscription.group().monitor().format() == Format::Update3 {
            let mut before = format!("[{},", first.found).into_bytes();
            write::uuid(&mut before, &seen.version.id());
            before.push(b',');
            envelope::shared_result(outbox, request_id, &before, updates, b"]");
        } else {
            envelope::shared_result(outbox, request_id, b"", updates, b"");
        }
        self.monitors.all.push(SessionMonitor {
            id,
            served,
            subscription,
            seen,
        });
        // Others may have committed meanwhile.
        self.mailbox.tell_updates();
        Ok(())
    }

    fn parse_monitor(
        &self,
        schema: &Schema,
        params: Json<'_>,
        format: Format,
    ) -> Result<(String, Monitor, Option<Uuid>), Error> {
        let invalid = || Error::syntax(params, "invalid parameters");
        let (Some(id), Some(requests)) = (params.element(1), params.element(2)) else {
            return Err(invalid());
        };
        let wanted = match format {
            Format::Update => params.len(),
            Format::Update2 => 3,
            Format::Update3 => 4,
        };
        if params.len() != wanted {
            return Err(invalid());
        }
        if requests.kind() != Kind::Object {
            return Err(Error::syntax(requests, "monitor-requests must be object"));
        }
        let canonical = id.canonical();
        if self.monitors.place(&canonical).is_some() {
            return Err(Error::syntax(id, "duplicate monitor ID"));
        }
        let monitor = Monitor::parse(requests, format, schema)?;
        let since = match params.element(3) {
            Some(since) if format == Format::Update3 => Some(parse_transaction_id(since)?),
            _ => None,
        };
        if self.monitors.all.len() >= MAX_MONITORS {
            let details = format!("a session may have at most {MAX_MONITORS} monitors");
            return Err(Error::new(Tag::ResourcesExhausted, details));
        }
        Ok((canonical, monitor, since))
    }

    pub(super) fn monitor_cond_change(&mut self, request: Request<'_>) -> Result<(), Ending> {
        self.flush_monitors()?;
        match self.change_conditions(request.params) {
            Ok(()) => self.result(request.id.source(), b"{}"),
            Err(error) => self.error(request.id.source(), &error),
        }
    }

    fn change_conditions(&mut self, params: Json<'_>) -> Result<(), Error> {
        let (3, Some(old_id), Some(new_id), Some(requests)) = (
            params.len(),
            params.element(0),
            params.element(1),
            params.element(2),
        ) else {
            return Err(Error::syntax(params, "invalid parameters"));
        };
        let place = self
            .monitors
            .place(&old_id.canonical())
            .ok_or_else(|| Error::syntax(old_id, "unknown monitor session"))?;
        let canonical = new_id.canonical();
        if self.monitors.place(&canonical).is_some_and(|p| p != place) {
            return Err(Error::syntax(new_id, "duplicate monitor ID"));
        }
        let number = self.monitors.number();
        let monitor = &mut self.monitors.all[place];
        let version = &monitor.seen.version;
        let old = monitor.subscription.group().monitor().clone();
        let new = old.with_conditions(requests, version.schema())?;
        monitor.id = canonical;
        if let Some(updates) = old.condition_change(&new, version) {
            let (format, id) = (monitor.format(), version.id());
            notify(&mut self.outbox, format, &monitor.id, id, &updates.into());
        }
        let (served, mailbox) = (&monitor.served, &self.mailbox);
        let (schema, database) = (version.schema(), &served.database);
        monitor.subscription = served
            .groups
            .subscribe(new, schema, database, self.id, number, mailbox);
        // Commits since `seen` belong to the new group as well.
        self.mailbox.tell_updates();
        Ok(())
    }

    pub(super) fn monitor_cancel(&mut self, request: Request<'_>) -> Result<(), Ending> {
        let id = request.id.source();
        self.flush_monitors()?;
        let (1, Some(monitor)) = (request.params.len(), request.params.element(0)) else {
            return self.error_text(id, "invalid parameters");
        };
        match self.monitors.place(&monitor.canonical()) {
            Some(place) => {
                self.monitors.all.remove(place);
                self.result(id, b"{}")
            }
            None => self.error_text(id, "unknown monitor"),
        }
    }
}

/// What a monitor is answered.
struct First {
    /// Where it leaves the client.
    seen: Arc<Commit>,
    /// The transaction that the client asked about was found, and these are the changes since.
    found: bool,
    /// The contents or the changes.
    updates: Bytes,
}

/// The contents, or what has changed since a transaction that is still known.
async fn first_contents(served: &Served, group: &Group, since: Option<Uuid>) -> Option<First> {
    let since = since.and_then(|since| changes_after(served, since));
    if let Some((seen, changes)) = since
        && group.fits(seen.version.schema())
    {
        let updates = changes.and_then(|changes| group.monitor().update(&changes));
        return Some(First {
            seen,
            found: true,
            updates: updates.unwrap_or_else(|| b"{}".to_vec()).into(),
        });
    }
    let (seen, updates) = group.initial(&served.database).await?;
    Some(First {
        seen,
        found: false,
        updates,
    })
}

fn parse_transaction_id(json: Json<'_>) -> Result<Uuid, Error> {
    let text = json
        .string()
        .ok_or_else(|| Error::syntax(json, "last-txn-id must be string"))?;
    atom::parse_uuid(&text).ok_or_else(|| Error::syntax(json, "last-txn-id must be UUID format."))
}

/// The newest commit, and what has changed since a transaction, if the history still has it.
fn changes_after(served: &Served, since: Uuid) -> Option<(Arc<Commit>, Option<Changes>)> {
    if since.is_nil() {
        return None;
    }
    served.database.with_history(|history| {
        let now = served.database.committed();
        if now.version.id() == since {
            return Some((now, None));
        }
        let until = now.version.sequence();
        let commits = history.after_id(since)?;
        let commits = commits.take_while(|past| past.sequence <= until);
        let schema = now.version.schema().clone();
        let changes = Changes::merge(schema, commits.map(|past| &*past.changes));
        Some((now, Some(changes)))
    })
}
