//! Following one database of another server: whether that server is of use, then all contents and
//! every change (ovsdb-server(7); RFC 7047 section 4).
//!
//! `_Server` is asked first, and watched: a member that has lost its cluster, or a relay that has
//! lost its source, is left. The schema is not taken from there, as the reference leaves the old one
//! there when a standalone database is converted. The contents are asked for by the newest method that
//! the server has; where transactions have ids, only what has changed since the last one that was seen.

use std::sync::Arc;

use ovsdb::json::{Json, Kind, write};
use ovsdb::message::Message;
use ovsdb::{Error, Schema, Uuid, atom};
use ovsdb_engine::updates::Form;

use super::requests::{number, one_string};
use super::server_rows::{self, ServerRows};
use super::{Leave, Outgoing, Remotes, Requests, Talk};

/// Who follows.
pub(crate) trait Sink: Send {
    /// The database is followed from now on, beginning with these contents.
    fn begin(&mut self, schema: &Arc<Schema>, first: First<'_>) -> Result<(), Error>;

    /// A transaction has changed something; its id is nil where they have none.
    fn update(&mut self, updates: Json<'_>, form: Form, id: Uuid) -> Result<(), Error>;

    /// A request of the sink's is answered, by a result or an error.
    fn answered(&mut self, number: u64, answer: Result<Json<'_>, Json<'_>>);

    /// The sink may send requests.
    fn send(&mut self, requests: &mut Requests, out: &mut Outgoing);

    /// The database has got another schema, and what it has now is asked for. Requests that were sent
    /// are answered nevertheless.
    fn paused(&mut self);

    /// The connection is lost, and with it the answers to what was sent.
    fn lost(&mut self);

    /// An attempt has come to nothing, or has to wait for the other server.
    fn missed(&mut self);
}

/// What following begins with.
pub(crate) struct First<'a> {
    /// All contents; or changes, if the last transaction that was seen is still known there.
    pub(crate) updates: Json<'a>,
    pub(crate) form: Form,
    /// They are changes.
    pub(crate) since: bool,
    /// The newest transaction's id.
    pub(crate) id: Uuid,
}

/// The ways to ask for contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Monitor,
    MonitorCond,
    MonitorCondSince,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Monitor => "monitor",
            Method::MonitorCond => "monitor_cond",
            Method::MonitorCondSince => "monitor_cond_since",
        }
    }

    fn older(self) -> Option<Method> {
        match self {
            Method::Monitor => None,
            Method::MonitorCond => Some(Method::Monitor),
            Method::MonitorCondSince => Some(Method::MonitorCond),
        }
    }

    fn form(self) -> Form {
        match self {
            Method::Monitor => Form::Values,
            _ => Form::Differences,
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ServerSchema,
    ServerRows,
    /// That the server becomes of use.
    Use,
    /// The contents are to be asked for by this method then.
    Schema(Method),
    Contents(Method),
    Following(Method),
}

/// One side of the conversation.
pub(crate) struct Conversation<S> {
    database: String,
    /// The cluster that it must be of.
    cluster: Option<Uuid>,
    leader_only: bool,
    /// There is no other server that could be asked instead.
    alone: bool,
    sink: S,
    requests: Requests,
    state: State,
    /// The request that is waited for.
    pending: Option<u64>,
    rows: Option<ServerRows>,
    /// What the contents are asked for by.
    schema: Option<Arc<Schema>>,
    /// The last transaction that was seen, and the schema that it was seen under.
    last: Option<(Arc<Schema>, Uuid)>,
    /// How far the last member of a cluster was.
    min_index: i64,
    /// The database was followed over this connection.
    followed: bool,
}

impl<S: Sink> Conversation<S> {
    /// What is said with one of these remotes; with the leader alone, or any member of a cluster.
    pub(crate) fn new(
        database: &str,
        remotes: &Remotes,
        leader_only: bool,
        sink: S,
    ) -> Conversation<S> {
        Conversation {
            database: database.to_owned(),
            cluster: remotes.cluster(),
            leader_only,
            alone: remotes.all().len() == 1,
            sink,
            requests: Requests::default(),
            state: State::ServerSchema,
            pending: None,
            rows: None,
            schema: None,
            last: None,
            min_index: 0,
            followed: false,
        }
    }

    fn ask(&mut self, out: &mut Outgoing, state: State, method: &str, params: &[u8]) {
        self.state = state;
        self.pending = Some(self.requests.send(out, method, params));
    }

    fn start(&mut self, out: &mut Outgoing) {
        self.rows = None;
        let params = one_string(server_rows::DATABASE);
        self.ask(out, State::ServerSchema, "get_schema", &params);
    }

    fn ask_schema(&mut self, out: &mut Outgoing, method: Method) {
        let params = one_string(&self.database);
        self.ask(out, State::Schema(method), "get_schema", &params);
    }

    fn ask_rows(&mut self, out: &mut Outgoing, rows: ServerRows) {
        let mut params = monitor_params(server_rows::DATABASE);
        rows.write_requests(&mut params);
        params.push(b']');
        self.rows = Some(rows);
        self.ask(out, State::ServerRows, "monitor_cond", &params);
    }

    fn ask_contents(&mut self, out: &mut Outgoing, schema: Arc<Schema>, method: Method) {
        let mut params = monitor_params(&self.database);
        params.push(b'{');
        for (place, table) in schema.tables.iter().enumerate() {
            if place > 0 {
                params.push(b',');
            }
            write::string(&mut params, &table.name);
            params.extend_from_slice(b":[{}]");
        }
        params.push(b'}');
        if method == Method::MonitorCondSince {
            params.push(b',');
            let last = self.last.as_ref().filter(|(seen, _)| **seen == *schema);
            write::uuid(&mut params, &last.map_or(Uuid::nil(), |(_, id)| *id));
        }
        params.push(b']');
        self.schema = Some(schema);
        self.ask(out, State::Contents(method), method.name(), &params);
    }

    /// The answer to what was waited for.
    fn answered(
        &mut self,
        answer: Result<Json<'_>, Json<'_>>,
        out: &mut Outgoing,
    ) -> Result<(), Leave> {
        match (self.state, answer) {
            (State::ServerSchema, Ok(schema)) => {
                let rows = ServerRows::new(schema).map_err(later)?;
                // First: who is not aware is sent away when a database comes.
                self.requests.send(out, "set_db_change_aware", b"[true]");
                self.ask_rows(out, rows);
            }
            (State::ServerRows, Ok(contents)) => {
                if let Some(rows) = &mut self.rows {
                    rows.begin(contents).map_err(later)?;
                }
                match self.judge() {
                    Ok(()) => self.ask_schema(out, Method::MonitorCondSince),
                    Err(_) if self.alone => {
                        self.state = State::Use;
                        self.sink.missed();
                    }
                    Err(leave) => return Err(leave),
                }
            }
            (State::ServerSchema | State::ServerRows, Err(_)) => {
                self.rows = None;
                self.ask_schema(out, Method::MonitorCond);
            }
            (State::Schema(method), Ok(schema)) => {
                let schema = Schema::parse(schema).map_err(later)?;
                self.ask_contents(out, Arc::new(schema), method);
            }
            (State::Contents(method), Ok(contents)) => self.take_contents(method, contents)?,
            (State::Contents(method), Err(error)) => match (method.older(), self.schema.clone()) {
                (Some(older), Some(schema)) => self.ask_contents(out, schema, older),
                _ => return Err(refused("monitor", error)),
            },
            (State::Schema(_), Err(error)) => return Err(refused("get_schema", error)),
            (State::Use | State::Following(_), _) => {}
        }
        Ok(())
    }

    /// Whether the server is of use, by its row.
    fn judge(&mut self) -> Result<(), Leave> {
        let leave = match self.state {
            State::Following(_) => Leave::AtOnce,
            _ => Leave::Later,
        };
        let rows = self.rows.as_ref();
        let Some(row) = rows.and_then(|rows| rows.find(&self.database, self.cluster)) else {
            let why = format!("server does not have {} database", self.database);
            return Err(leave(why));
        };
        if let Some(why) = row.objection(self.leader_only, self.min_index) {
            return Err(leave(why.to_owned()));
        }
        if row.model == "clustered" {
            self.min_index = row.index.unwrap_or(0);
        }
        Ok(())
    }

    fn take_contents(&mut self, method: Method, contents: Json<'_>) -> Result<(), Leave> {
        let Some(schema) = self.schema.clone() else {
            return Ok(());
        };
        let first = match method {
            Method::MonitorCondSince => parse_since(contents)
                .ok_or_else(|| Leave::Later("bad monitor_cond_since reply format".to_owned()))?,
            _ => First {
                updates: contents,
                form: method.form(),
                since: false,
                id: Uuid::nil(),
            },
        };
        let id = first.id;
        self.last = None;
        self.sink.begin(&schema, first).map_err(later)?;
        self.last = Some((schema, id));
        self.state = State::Following(method);
        self.followed = true;
        Ok(())
    }

    fn update(&mut self, method: &str, params: Json<'_>, out: &mut Outgoing) -> Result<(), Leave> {
        let (updates, id) = match method {
            "update3" => (params.element(2), params.element(1).and_then(parse_id)),
            _ => (params.element(1), Some(Uuid::nil())),
        };
        let (Some(monitor), Some(updates), Some(id)) = (params.element(0), updates, id) else {
            return Err(Leave::Later(format!("sends {method} that is none")));
        };
        if is_monitor(monitor, &self.database) {
            let (State::Following(asked), Some(schema)) = (self.state, &self.schema) else {
                return Ok(());
            };
            let schema = schema.clone();
            self.last = None;
            self.sink.update(updates, asked.form(), id).map_err(later)?;
            self.last = Some((schema, id));
        } else if is_monitor(monitor, server_rows::DATABASE)
            && self.state != State::ServerRows
            && let Some(rows) = &mut self.rows
        {
            rows.follow(updates).map_err(later)?;
            match (self.state, self.judge()) {
                (State::Use, Ok(())) => self.ask_schema(out, Method::MonitorCondSince),
                (State::Use, Err(_)) => {}
                (_, judged) => judged?,
            }
        }
        Ok(())
    }

    /// A monitor is over, as its database has got another schema: all is asked for anew.
    fn canceled(&mut self, monitor: Json<'_>, out: &mut Outgoing) {
        let own = is_monitor(monitor, &self.database);
        if !own && !is_monitor(monitor, server_rows::DATABASE) {
            return;
        }
        let other = match own {
            true => server_rows::DATABASE.to_owned(),
            false => self.database.clone(),
        };
        let mut params = vec![b'['];
        write_monitor_id(&mut params, &other);
        params.push(b']');
        self.requests.send(out, "monitor_cancel", &params);
        self.sink.paused();
        self.start(out);
    }
}

impl<S: Sink> Talk for Conversation<S> {
    fn begin(&mut self, out: &mut Outgoing) {
        self.start(out);
    }

    fn hear(&mut self, message: &Message<'_>, out: &mut Outgoing) -> Result<(), Leave> {
        match message {
            Message::Reply { id, result, error } => {
                let answer = match (result, error) {
                    (Some(result), _) => Ok(*result),
                    (None, Some(error)) => Err(*error),
                    (None, None) => return Ok(()),
                };
                match number(*id) {
                    Some(number) if self.pending == Some(number) => {
                        self.pending = None;
                        self.answered(answer, out)
                    }
                    Some(number) => {
                        self.sink.answered(number, answer);
                        Ok(())
                    }
                    None => Ok(()),
                }
            }
            Message::Notification { method, params } => match &**method {
                "update" | "update2" | "update3" => self.update(method, *params, out),
                "monitor_canceled" => {
                    if let Some(monitor) = params.element(0) {
                        self.canceled(monitor, out);
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
            Message::Request { .. } => Ok(()),
        }
    }

    fn look(&mut self, out: &mut Outgoing) -> Result<(), Leave> {
        if matches!(self.state, State::Following(_)) {
            self.sink.send(&mut self.requests, out);
        }
        Ok(())
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.followed) {
            self.sink.lost();
        }
        self.sink.missed();
        self.state = State::ServerSchema;
        self.pending = None;
    }

    fn missed(&mut self) {
        self.sink.missed();
    }
}

fn later(error: Error) -> Leave {
    Leave::Later(error.to_string())
}

fn refused(what: &str, error: Json<'_>) -> Leave {
    let error = String::from_utf8_lossy(error.source()).into_owned();
    Leave::Later(format!("refuses {what}: {error}"))
}

fn write_monitor_id(out: &mut Vec<u8>, database: &str) {
    out.extend_from_slice(b"[\"monid\",");
    write::string(out, database);
    out.push(b']');
}

/// The first parameters of a monitor request.
fn monitor_params(database: &str) -> Vec<u8> {
    let mut params = vec![b'['];
    write::string(&mut params, database);
    params.push(b',');
    write_monitor_id(&mut params, database);
    params.push(b',');
    params
}

fn is_monitor(id: Json<'_>, database: &str) -> bool {
    let (Some(kind), Some(name)) = (id.element(0), id.element(1)) else {
        return false;
    };
    id.len() == 2 && kind.is_string("monid") && name.is_string(database)
}

fn parse_id(json: Json<'_>) -> Option<Uuid> {
    atom::parse_uuid(&json.string()?)
}

fn parse_since(reply: Json<'_>) -> Option<First<'_>> {
    let updates = reply.element(2)?;
    (reply.len() == 3 && updates.kind() == Kind::Object).then_some(())?;
    Some(First {
        since: reply.element(0)?.boolean()?,
        id: reply.element(1).and_then(parse_id)?,
        form: Form::Differences,
        updates,
    })
}

#[cfg(test)]
mod tests;
