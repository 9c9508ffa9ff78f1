//! What a backup says with the active server: who it is, what it has, its contents, and what changes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use ovsdb::json::{Json, write};
use ovsdb::message::Message;
use ovsdb::{Error, Schema, Tag, Uuid, atom};
use ovsdb_engine::updates::{self, Form};
use ovsdb_engine::{Changes, Version};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::excluded::ExcludedTables;
use super::fitting::fits;
use super::{Phase, Progress};
use crate::database::Database;
use crate::upstream::{Leave, Outgoing, Requests, Talk, number, one_string};

/// So many changes may be on their way to the file.
const MAX_UNWRITTEN: usize = 64;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ServerId,
    Databases,
    Schema,
    Contents,
    Changes,
}

/// Changes on their way to the file.
#[derive(Default)]
struct Unwritten {
    count: AtomicUsize,
    failure: Mutex<Option<Error>>,
}

/// This side of the talk.
pub(super) struct Follower {
    database: Weak<Database>,
    name: String,
    own: Uuid,
    excluded: ExcludedTables,
    progress: Arc<Progress>,
    wake: Arc<Notify>,
    requests: Requests,
    state: State,
    pending: Option<u64>,
    /// Of this connection.
    unwritten: Arc<Unwritten>,
    stop: CancellationToken,
}

impl Follower {
    pub(super) fn new(
        database: &Arc<Database>,
        own: Uuid,
        excluded: ExcludedTables,
        progress: Arc<Progress>,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) -> Follower {
        let schema = database.committed().version.schema().clone();
        Follower {
            database: Arc::downgrade(database),
            name: schema.name.to_string(),
            own,
            excluded,
            progress,
            wake,
            requests: Requests::default(),
            state: State::ServerId,
            pending: None,
            unwritten: Arc::default(),
            stop,
        }
    }

    fn ask(&mut self, out: &mut Outgoing, state: State, method: &str, params: &[u8]) {
        self.state = state;
        self.pending = Some(self.requests.send(out, method, params));
    }

    /// Nothing can be made of what the active server has.
    fn fail(&self, why: &str) -> Leave {
        tracing::error!(db = &*self.name, "{}: {why}", self.name);
        self.progress.set(Phase::Failed);
        Leave::ForGood
    }

    fn answered(&mut self, result: Json<'_>, out: &mut Outgoing) -> Result<(), Leave> {
        match self.state {
            State::ServerId => {
                let id = result.string().and_then(|id| atom::parse_uuid(&id));
                match id {
                    None => return Err(self.fail("Server ID is not valid UUID")),
                    Some(id) if id == self.own => {
                        return Err(self.fail("Self replicating is not allowed"));
                    }
                    Some(_) => self.ask(out, State::Databases, "list_dbs", b"[]"),
                }
            }
            State::Databases => {
                let mut names = result.elements();
                if !names.any(|name| name.is_string(&self.name)) {
                    return Err(self.fail("database name is not in the list"));
                }
                let params = one_string(&self.name);
                self.ask(out, State::Schema, "get_schema", &params);
            }
            State::Schema => {
                let params = self.compare_schema(result)?;
                self.ask(out, State::Contents, "monitor", &params);
            }
            State::Contents => {
                tracing::info!(
                    db = &*self.name,
                    "{}: Monitor reply received. Resetting the database.",
                    self.name
                );
                let excluded = self.excluded.clone();
                self.take(|version| {
                    let kept = excluded.places(version.schema());
                    updates::replace(version, result, Form::Values, &kept)
                })?;
                self.state = State::Changes;
                self.progress.set(Phase::Replicating);
            }
            State::Changes => {}
        }
        Ok(())
    }

    /// Whether the active server's contents fit here: then the monitor to ask for.
    fn compare_schema(&self, schema: Json<'_>) -> Result<Vec<u8>, Leave> {
        let name = &self.name;
        let active = match Schema::parse(schema) {
            Ok(active) => active,
            Err(error) => return Err(self.fail(&error.to_string())),
        };
        if *active.name != **name {
            return Err(self.fail(&format!("unexpected schema {}.", active.name)));
        }
        let own = self.database()?.committed().version.schema().clone();
        if active != *own {
            tracing::info!(
                db = &**name,
                "{name}: Schema version mismatch, checking if {name} can still be replicated or not."
            );
            if !fits(name, &own, &active) {
                return Err(self.fail(&format!("{name} cannot be replicated.")));
            }
            tracing::info!(db = &**name, "{name} can be replicated.");
        }
        let mut params = vec![b'['];
        write::string(&mut params, name);
        params.push(b',');
        write::string(&mut params, name);
        params.extend_from_slice(b",{");
        let tables = active.tables.iter().map(|table| &*table.name);
        let wanted = tables.filter(|table| !self.excluded.contains(table));
        for (place, table) in wanted.enumerate() {
            if place > 0 {
                params.push(b',');
            }
            write::string(&mut params, table);
            params.extend_from_slice(b":[{}]");
        }
        params.extend_from_slice(b"}]");
        Ok(params)
    }

    fn database(&self) -> Result<Arc<Database>, Leave> {
        self.database.upgrade().ok_or(Leave::ForGood)
    }

    /// Changes this server's contents.
    fn take(
        &self,
        change: impl FnOnce(&Version) -> Result<(Version, Changes), Error>,
    ) -> Result<(), Leave> {
        let database = self.database()?;
        let (unwritten, wake) = (self.unwritten.clone(), self.wake.clone());
        unwritten.count.fetch_add(1, Ordering::AcqRel);
        // Who has stopped this holds the writer afterwards: nothing is changed behind that.
        let change = |version: &Version| match self.stop.is_cancelled() {
            true => Err(Error::new(Tag::Canceled, "the replication is over")),
            false => change(version),
        };
        let taken = database.replicate(
            change,
            Box::new(move |result| {
                if let Err(error) = result {
                    *unwritten.failure.lock() = Some(error);
                }
                unwritten.count.fetch_sub(1, Ordering::AcqRel);
                wake.notify_one();
            }),
        );
        taken.map_err(|error| match self.stop.is_cancelled() {
            true => Leave::ForGood,
            false => self.fail(&error.to_string()),
        })
    }

    fn update(&self, params: Json<'_>) -> Result<(), Leave> {
        let (2, Some(database), Some(changes)) =
            (params.len(), params.element(0), params.element(1))
        else {
            return Ok(());
        };
        if !database.is_string(&self.name) {
            let other = database.string().unwrap_or_default();
            let why = format!("received update for unexpected database {other}");
            return Err(self.fail(&why));
        }
        self.take(|version| updates::apply(version, changes, Form::Values))
    }
}

impl Talk for Follower {
    fn begin(&mut self, out: &mut Outgoing) {
        self.progress.set(Phase::Connecting);
        // What an earlier connection has left unwritten counts no more.
        self.unwritten = Arc::default();
        self.ask(out, State::ServerId, "get_server_id", b"[]");
    }

    fn hear(&mut self, message: &Message<'_>, out: &mut Outgoing) -> Result<(), Leave> {
        match message {
            Message::Reply { id, result, error } if number(*id) == self.pending => {
                self.pending = None;
                match (result, error) {
                    (Some(result), _) => self.answered(*result, out),
                    (None, Some(error)) => {
                        let error = String::from_utf8_lossy(error.source());
                        Err(Leave::Later(format!("refuses to be replicated: {error}")))
                    }
                    (None, None) => Ok(()),
                }
            }
            Message::Notification { method, params } if *method == "update" => {
                match self.state == State::Changes {
                    true => self.update(*params),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, _: &mut Outgoing) -> Result<(), Leave> {
        match self.unwritten.failure.lock().take() {
            // All contents are asked for again, when there is hope that they can be written.
            Some(error) => Err(Leave::Later(format!(
                "what it has cannot be written: {error}"
            ))),
            None => Ok(()),
        }
    }

    fn listens(&self) -> bool {
        self.unwritten.count.load(Ordering::Acquire) < MAX_UNWRITTEN
    }

    fn end(&mut self) {
        self.pending = None;
    }
}
