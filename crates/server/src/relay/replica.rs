//! The copy of the source's contents.

use std::sync::{Arc, Weak};

use ovsdb::json::Json;
use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::Version;
use ovsdb_engine::updates::{self, Form};
use tokio::time::Instant;

use super::Relay;
use super::passing::Asked;
use super::shown::Touch;
use crate::database::Database;
use crate::ordering::Done;
use crate::server_database::{Model, Status};
use crate::service::Service;
use crate::upstream::conversation::{First, Sink};
use crate::upstream::{Outgoing, Requests};

/// What clients are answered whose transactions were on their way when the source was lost: the
/// reference's word for it, which its clients understand.
const CANCELED: &[u8] = b"\"canceled\"";

pub(super) struct Replica {
    relay: Weak<Relay>,
    service: Arc<Service>,
    name: String,
    /// The source's schema has changed, and its contents have not come yet.
    paused: bool,
    /// Conversions that the source has made, told when they have come here.
    converted: Vec<Done>,
}

impl Replica {
    pub(super) fn new(relay: Weak<Relay>, service: &Arc<Service>, name: &str) -> Replica {
        Replica {
            relay,
            service: service.clone(),
            name: name.to_owned(),
            paused: false,
            converted: Vec::new(),
        }
    }

    fn relay(&self) -> Result<Arc<Relay>, Error> {
        let gone = || Error::new(Tag::Canceled, "the server is stopping");
        self.relay.upgrade().ok_or_else(gone)
    }

    /// The first contents of all are there.
    fn offer(&self, relay: &Arc<Relay>, version: Version) -> Result<Arc<Database>, Error> {
        let status = Status {
            model: Model::Relay,
            connected: true,
            leader: false,
            schema: Some(version.schema().clone()),
            cluster: None,
            server: None,
            index: None,
        };
        let database = self
            .service
            .add_with(version, Box::new(relay.clone()), &status)
            .ok_or_else(|| {
                let details = format!("{}: is served already", self.name);
                Error::new(Tag::NotAllowed, details)
            })?;
        // It is only set here, and here only once.
        let _ = relay.database.set(Arc::downgrade(&database));
        Ok(database)
    }

    fn replace(&self, database: &Database, version: Version) {
        if database.replace_foreign(version) {
            let committed = database.committed();
            self.service
                .schema_changed(committed.version.schema().clone());
        }
    }

    /// Changes, in the place of what comes next.
    fn follow(
        &self,
        database: &Database,
        updates: Json<'_>,
        form: Form,
        id: Uuid,
    ) -> Result<(), Error> {
        let committed = database.committed();
        let (version, changes) = updates::apply(&committed.version, updates, form)?;
        if changes.is_empty() && id == committed.version.id() {
            return Ok(());
        }
        let version = version.with_id(id);
        let version = match changes.is_empty() {
            true => version.with_sequence(committed.version.sequence() + 1),
            false => version,
        };
        database.apply_foreign(version, changes);
        Ok(())
    }
}

impl Sink for Replica {
    fn begin(&mut self, schema: &Arc<Schema>, first: First<'_>) -> Result<(), Error> {
        if schema.name.as_ref() as &str != self.name {
            let details = format!("{}: has a schema of {}", self.name, schema.name);
            return Err(Error::new(Tag::InvalidParameters, details));
        }
        let relay = self.relay()?;
        match relay.database() {
            Some(database) if first.since => {
                self.follow(&database, first.updates, first.form, first.id)?;
            }
            Some(database) => {
                let contents = updates::contents(schema.clone(), first.updates, first.form)?;
                self.replace(&database, contents.with_id(first.id));
            }
            None if first.since => {
                let why = "changes came before any contents";
                return Err(Error::new(Tag::OvsdbError, why));
            }
            None => {
                let contents = updates::contents(schema.clone(), first.updates, first.form)?;
                self.offer(&relay, contents.with_id(first.id))?;
            }
        }
        relay.touch.send_replace(Touch::Now);
        relay.settled.send_replace(true);
        if let Some(database) = relay.database() {
            // What nobody could say anything about is passed on now.
            database.follow();
        }
        self.paused = false;
        self.converted.drain(..).for_each(|done| done(Ok(())));
        Ok(())
    }

    fn update(&mut self, updates: Json<'_>, form: Form, id: Uuid) -> Result<(), Error> {
        let relay = self.relay()?;
        match relay.database() {
            Some(database) => self.follow(&database, updates, form, id),
            None => Ok(()),
        }
    }

    fn answered(&mut self, number: u64, answer: Result<Json<'_>, Json<'_>>) {
        let Some(relay) = self.relay.upgrade() else {
            return;
        };
        let asked = relay.passing.lock().answered(number);
        match (asked, answer) {
            (None, _) => {}
            (Some(Asked::Transaction(job)), Ok(results)) => {
                job.answer.done_by_leader(results.source().to_vec());
            }
            (Some(Asked::Transaction(job)), Err(error)) => {
                job.answer.refused(error.source().to_vec());
            }
            (Some(Asked::Conversion(_, done)), Ok(_)) if self.paused => self.converted.push(done),
            (Some(Asked::Conversion(_, done)), Ok(_)) => done(Ok(())),
            (Some(Asked::Conversion(_, done)), Err(error)) => done(Err(read_error(error))),
        }
    }

    fn send(&mut self, requests: &mut Requests, out: &mut Outgoing) {
        if let Some(relay) = self.relay.upgrade() {
            relay.passing.lock().send(&self.name, requests, out);
        }
    }

    fn paused(&mut self) {
        self.paused = true;
    }

    fn missed(&mut self) {
        if let Some(relay) = self.relay.upgrade() {
            relay.settled.send_replace(true);
        }
    }

    fn lost(&mut self) {
        let Some(relay) = self.relay.upgrade() else {
            return;
        };
        relay.touch.send_replace(Touch::Until(Instant::now()));
        let sent = {
            let mut passing = relay.passing.lock();
            passing.block_unsent();
            passing.take_sent()
        };
        for asked in sent {
            match asked {
                Asked::Transaction(job) => job.answer.refused(CANCELED.to_vec()),
                Asked::Conversion(_, done) => {
                    let why = "the relay source was lost; whether the database is converted shows its schema";
                    done(Err(Error::new(Tag::IoError, why)));
                }
            }
        }
    }
}

/// An `<error>` of another server.
fn read_error(json: Json<'_>) -> Error {
    let text = |name| json.member(name).and_then(Json::string).map(String::from);
    let name = text("error").unwrap_or_default();
    Error {
        tag: Tag::from_name(&name).unwrap_or(Tag::OvsdbError),
        details: text("details").or_else(|| json.string().map(String::from)),
        syntax: text("syntax"),
        io_error: text("io-error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::json::Document;

    #[test]
    fn errors_of_others_are_told_as_they_are() {
        let read = |text: &str| {
            let document = Document::parse(format!("[{text}]")).expect("JSON");
            document.root().element(0).map(read_error)
        };
        let error = Error::constraint("no");
        assert_eq!(read(&error.to_json()), Some(error));
        let other = Error::new(Tag::OvsdbError, "unknown method");
        assert_eq!(read("\"unknown method\""), Some(other));
    }
}
