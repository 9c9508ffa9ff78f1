//! Another schema for the whole cluster, as one entry of its log.
//!
//! A client may ask any member. The leader converts; a follower passes the wish on, to a leader of
//! the old kind with the converted contents. A wish can be passed on again whenever it is in doubt:
//! where the contents have its schema already, nothing is left to be done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ovsdb::json::{Document, write};
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_cluster::contents::now;
use ovsdb_cluster::file::create::{without_ephemeral, write_data};
use ovsdb_cluster::wire::Body;
use ovsdb_cluster::wire::message::{ExecuteCommandRequest, Own};
use ovsdb_cluster::wire::stream::Held;
use ovsdb_engine::{Version, convert};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Clustered;
use crate::ordering::Done;

/// The kind of the message with a wish, and of its answer.
pub(super) const CONVERT: &str = "convert";
pub(super) const CONVERTED: &str = "converted";

/// How long a wish is passed on again and again.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the converted contents may take to come from the leader.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How soon it is looked again, and tried again.
const LOOK: Duration = Duration::from_millis(20);
/// A leader without a word for so long is asked again.
const SILENCE: Duration = Duration::from_secs(2);

/// Wishes on their way.
#[derive(Default)]
pub(super) struct Conversions {
    /// The one of this server's clients, under the id that it was passed on by.
    passed_on: Mutex<Option<PassedOn>>,
    /// The one of another member that is being fulfilled here.
    ordered: Mutex<Option<(Uuid, Uuid)>>,
}

struct PassedOn {
    id: Uuid,
    answer: Option<oneshot::Sender<bool>>,
}

/// What an attempt to fulfil a wish has led to.
enum Attempt {
    Done,
    Failed(Error),
    /// Nobody knows yet, or could do it.
    Again,
}

impl Clustered {
    /// Every member is of our kind, and in touch with this one.
    pub fn all_members_are_ours(&self) -> bool {
        let Some(node) = self.node.get() else {
            return false;
        };
        let others = node.members().into_keys().filter(|id| *id != self.server);
        let mut others = others.peekable();
        // A member that was replaced while nobody looked says what it is when it calls.
        others.all(|id| node.is_connected(id) && self.is_ours(id))
    }

    /// Converts the contents to another schema, as the leader; ends when that is committed. An
    /// error is about the contents, or that the leadership was lost meanwhile.
    pub async fn convert(&self, schema: Arc<Schema>) -> Result<(), Error> {
        let (Some(database), Some(itself)) = (self.database.get(), self.itself.upgrade()) else {
            return Err(Error::new(Tag::NotAllowed, "there are no contents yet"));
        };
        let (tell, told) = oneshot::channel();
        let database = Arc::clone(database);
        // As the other members get it.
        let schema = Arc::new(without_ephemeral(&schema));
        // It is as long as the contents are large.
        tokio::task::spawn_blocking(move || {
            let converted = schema.clone();
            let done = Box::new(move |result: Result<(), Error>| {
                if result.is_ok() {
                    itself.service.schema_changed(converted);
                }
                let _ = tell.send(result);
            });
            database.convert(schema, done);
        });
        told.await
            .unwrap_or_else(|_| Err(Error::new(Tag::IoError, "the server is stopping")))
    }

    /// Begins to fulfil the wish of a client.
    pub(super) fn begin_conversion(&self, schema: Arc<Schema>, done: Done) {
        if let Some(details) = ephemeral(&schema) {
            return done(Err(Error::new(Tag::SyntaxError, details)));
        }
        let Some(itself) = self.itself.upgrade() else {
            return done(Err(Error::new(Tag::IoError, "the server is stopping")));
        };
        let mut passed_on = self.conversions.passed_on.lock();
        if passed_on.is_some() {
            drop(passed_on);
            let why = "another conversion is under way";
            return done(Err(Error::new(Tag::ResourcesExhausted, why)));
        }
        let id = Uuid::new_v4();
        *passed_on = Some(PassedOn { id, answer: None });
        drop(passed_on);
        tokio::spawn(async move {
            let stop = itself.stop.clone();
            let result = tokio::select! {
                result = fulfil(&itself, id, schema) => result,
                () = stop.cancelled() => {
                    Err(Error::new(Tag::Canceled, "database conversion canceled because the server is stopping"))
                }
            };
            *itself.conversions.passed_on.lock() = None;
            done(result);
        });
    }

    /// Another member has passed a wish on.
    pub(super) fn receive_wish(&self, from: Uuid, data: Bytes, held: Held) {
        let (Some(itself), Some(node)) = (self.itself.upgrade(), self.node.get()) else {
            return;
        };
        if !node.is_member(from) {
            return;
        }
        tokio::task::spawn_blocking(move || {
            let Some((id, schema)) = read_wish(&data) else {
                return itself.remark(|| format!("server {from} passes on what is no schema"));
            };
            drop((data, held));
            let mut ordered = itself.conversions.ordered.lock();
            match *ordered {
                // It hears of it.
                Some(present) if present == (from, id) => return,
                Some(_) => {
                    drop(ordered);
                    return itself.answer_wish(from, id, false);
                }
                None => *ordered = Some((from, id)),
            }
            drop(ordered);
            tokio::spawn(async move {
                let converted = itself.convert(Arc::new(schema)).await;
                if let Err(error) = &converted {
                    tracing::info!("{}: not converted for server {from}: {error}", itself.name);
                }
                *itself.conversions.ordered.lock() = None;
                itself.answer_wish(from, id, converted.is_ok());
            });
        });
    }

    fn answer_wish(&self, to: Uuid, id: Uuid, converted: bool) {
        let mut data = vec![b'['];
        write::string(&mut data, &id.to_string());
        data.extend_from_slice(if converted { b",true]" } else { b",false]" });
        // Where it is lost, the follower asks again.
        let _ = self.send_own(to, CONVERTED, data.into());
    }

    /// The leader has answered.
    pub(super) fn receive_converted(&self, data: &Bytes) {
        let Some((id, converted)) = read_answer(data) else {
            return;
        };
        let mut passed_on = self.conversions.passed_on.lock();
        if let Some(present) = &mut *passed_on
            && present.id == id
            && let Some(answer) = present.answer.take()
        {
            let _ = answer.send(converted);
        }
    }

    fn send_own(&self, to: Uuid, kind: &str, data: Bytes) -> bool {
        let own = Body::Own(Own {
            kind: kind.to_owned(),
            data,
        });
        let sent = self.node.get().map(|node| node.send(to, &own));
        sent.is_some_and(|sent| sent.is_ok())
    }

    fn version(&self) -> Option<Version> {
        let database = self.database.get()?;
        Some(database.committed().version.clone())
    }

    /// The contents that can be seen here have this schema.
    fn has_schema(&self, schema: &Schema) -> bool {
        let version = self.version();
        version.is_some_and(|version| without_ephemeral(version.schema()) == *schema)
    }
}

/// Tries until the contents are converted, or cannot be.
async fn fulfil(clustered: &Arc<Clustered>, id: Uuid, schema: Arc<Schema>) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    // As every member has it.
    let schema = Arc::new(without_ephemeral(&schema));
    let mut places = clustered.place.subscribe();
    let mut asked = false;
    while Instant::now() < until {
        if asked && clustered.has_schema(&schema) {
            return Ok(());
        }
        let place = places.borrow_and_update().clone();
        let attempt = async {
            match (place.leading, place.leader) {
                (Some(_), _) => here(clustered, &schema).await,
                (None, Some(leader)) => {
                    asked = true;
                    match clustered.is_ours(leader) {
                        true => at_leader(clustered, leader, id, &schema).await,
                        false => at_old_leader(clustered, leader, &schema).await,
                    }
                }
                (None, None) => std::future::pending().await,
            }
        };
        let attempt = tokio::select! {
            attempt = attempt => attempt,
            // What an earlier leader has made of it shows the log.
            _ = places.changed() => Attempt::Again,
        };
        match attempt {
            Attempt::Done => return Ok(()),
            Attempt::Failed(error) => return Err(error),
            Attempt::Again => tokio::time::sleep(LOOK).await,
        }
    }
    let why = "nobody has converted the database in time";
    Err(Error::new(Tag::TimedOut, why))
}

/// This server leads.
async fn here(clustered: &Clustered, schema: &Arc<Schema>) -> Attempt {
    let term = clustered.place.borrow().leading;
    match clustered.convert(Arc::clone(schema)).await {
        Ok(()) => Attempt::Done,
        Err(error) if clustered.place.borrow().leading == term && error.tag != Tag::NotAllowed => {
            Attempt::Failed(error)
        }
        Err(_) => Attempt::Again,
    }
}

/// The contents as they would be: who cannot have them converted needs not ask.
async fn converted(
    clustered: &Clustered,
    schema: &Arc<Schema>,
) -> Result<(Uuid, Version), Attempt> {
    let Some(version) = clustered.version() else {
        return Err(Attempt::Again);
    };
    let schema = Arc::clone(schema);
    let converting = tokio::task::spawn_blocking(move || {
        let converted = convert::convert(&version, schema, &mut Uuid::new_v4)?;
        Ok((version.id(), converted))
    });
    match converting.await {
        Ok(Ok(converted)) => Ok(converted),
        Ok(Err(error)) => Err(Attempt::Failed(error)),
        Err(error) => {
            let error = Error::new(Tag::IoError, error.to_string());
            Err(Attempt::Failed(error))
        }
    }
}

/// The leader is of our kind.
async fn at_leader(clustered: &Clustered, leader: Uuid, id: Uuid, schema: &Arc<Schema>) -> Attempt {
    if let Err(attempt) = converted(clustered, schema).await {
        return attempt;
    }
    let (sender, answer) = oneshot::channel();
    if let Some(passed_on) = &mut *clustered.conversions.passed_on.lock() {
        passed_on.answer = Some(sender);
    }
    if !clustered.send_own(leader, CONVERT, write_wish(id, schema)) {
        return Attempt::Again;
    }
    match tokio::time::timeout(SILENCE, answer).await {
        Ok(Ok(true)) => {}
        _ => return Attempt::Again,
    }
    // It has come to be, and comes here, unless another one has overtaken it.
    let until = Instant::now() + ARRIVAL;
    while !clustered.has_schema(schema) && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    Attempt::Done
}

/// The leader is of the old kind: it takes converted contents, if nothing has changed meanwhile.
async fn at_old_leader(clustered: &Clustered, leader: Uuid, schema: &Arc<Schema>) -> Attempt {
    let (prereq, converted) = match converted(clustered, schema).await {
        Ok(converted) => converted,
        Err(attempt) => return attempt,
    };
    let writing = tokio::task::spawn_blocking(move || {
        let mut data = Vec::new();
        write_data(&mut data, &converted, now(), None);
        data
    });
    let Ok(data) = writing.await else {
        return Attempt::Again;
    };
    let request = Body::ExecuteCommandRequest(ExecuteCommandRequest {
        data: data.into(),
        prereq,
        result: Uuid::new_v4(),
    });
    let sent = clustered.node.get().map(|node| node.send(leader, &request));
    if sent.is_none_or(|sent| sent.is_err()) {
        return Attempt::Again;
    }
    let until = Instant::now() + SILENCE;
    // The next transaction behind the prerequisite is this one, or this one never will be.
    while Instant::now() < until {
        match clustered.version() {
            Some(version) if version.id() == prereq => tokio::time::sleep(LOOK).await,
            _ if clustered.has_schema(schema) => return Attempt::Done,
            _ => return Attempt::Again,
        }
    }
    Attempt::Again
}

/// Why a cluster cannot have this schema, in the reference's words.
fn ephemeral(schema: &Schema) -> Option<String> {
    schema.tables.iter().find_map(|table| {
        let mut columns = table.columns.iter();
        let own = |name: &str| name.starts_with('_');
        let column = columns.find(|column| !column.persistent && !own(&column.name))?;
        Some(format!(
            "Table {} column {} is ephemeral but clustered databases do not support ephemeral columns.",
            table.name, column.name
        ))
    })
}

/// The message that asks a leader for a conversion.
pub fn write_wish(id: Uuid, schema: &Schema) -> Bytes {
    let mut data = vec![b'['];
    write::string(&mut data, &id.to_string());
    data.push(b',');
    schema.write_json(&mut data);
    data.push(b']');
    data.into()
}

/// The conversion that a message asks for, under its id.
pub fn read_wish(data: &Bytes) -> Option<(Uuid, Schema)> {
    let document = Document::parse(data.clone()).ok()?;
    let root = document.root();
    let id = root.element(0)?.string()?.parse().ok()?;
    Some((id, Schema::parse(root.element(1)?).ok()?))
}

/// Whether a leader takes the wish of this id.
pub fn read_answer(data: &Bytes) -> Option<(Uuid, bool)> {
    let document = Document::parse(data.clone()).ok()?;
    let root = document.root();
    let id = root.element(0)?.string()?.parse().ok()?;
    Some((id, root.element(1)?.source() == b"true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_and_answers_read_back() {
        let text =
            r#"{"name":"D","version":"1.0.0","tables":{"T":{"columns":{"a":{"type":"string"}}}}}"#;
        let document = Document::parse(text).expect("JSON");
        let schema = Schema::parse(document.root()).expect("a schema");
        let id = Uuid::from_u128(7);
        let read = read_wish(&write_wish(id, &schema));
        assert_eq!(read, Some((id, schema.clone())));
        let answer = |text: &'static str| read_answer(&Bytes::from_static(text.as_bytes()));
        let given = r#"["00000000-0000-0000-0000-000000000007",true]"#;
        assert_eq!(answer(given), Some((id, true)));
        assert_eq!(ephemeral(&schema), None);
        for wrong in ["", "[]", "{}", r#"["x",true]"#, r#"["x"]"#] {
            assert_eq!(answer(wrong), None, "{wrong}");
            assert!(read_wish(&Bytes::from_static(wrong.as_bytes())).is_none());
        }
    }
}
