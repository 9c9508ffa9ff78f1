//! Other contents for all of a database's: its shortest form, another schema.

use std::sync::Arc;

use ovsdb::{Error, Schema, Tag, Uuid};
use ovsdb_engine::{Changes, Commit, Version, convert};
use parking_lot::MutexGuard;

use super::{Attempt, Database, Route, Writer};
use crate::ordering::Done;

impl Database {
    /// Rewrites what is kept in its shortest form.
    pub fn compact(&self, done: Done) {
        let writer = self.writer.lock();
        self.ordering
            .replace(writer.term, writer.head.clone(), done);
        drop(writer);
        self.work();
    }

    /// Converts the contents to another schema. `done` hears of it when it is durable, or why
    /// nothing has changed. Jobs wait meanwhile; those that were made for the old schema, blocked
    /// ones included, are canceled by a conversion that succeeds.
    pub fn convert(&self, schema: Arc<Schema>, done: Done) {
        let writer = self.writer.lock();
        let converted = if writer.converting {
            let details = "another conversion is under way";
            Err(Error::new(Tag::ResourcesExhausted, details))
        } else if writer.route != Route::Here {
            let details = "only the leader can convert the database";
            Err(Error::new(Tag::NotAllowed, details))
        } else if writer.read_only {
            let name = &schema.name;
            let details = format!("conversion is not allowed for read-only database {name}");
            Err(Error::new(Tag::NotAllowed, details))
        } else {
            convert::convert(&writer.head, schema, &mut Uuid::new_v4)
        };
        match converted {
            Ok(version) => {
                let version = version.with_sequence(writer.head.sequence() + 1);
                let version = match self.ordering.is_shared() {
                    true => version.with_id(Uuid::new_v4()),
                    false => version,
                };
                self.replace(writer, version, done);
            }
            Err(error) => {
                drop(writer);
                self.work();
                done(Err(error));
            }
        }
    }

    /// Converts as [`Database::convert`] does, or has it done by the server that can.
    pub fn have_converted(&self, schema: Arc<Schema>, done: Done) {
        match self.ordering.is_shared() {
            true => self.ordering.have_converted(schema, done),
            false => self.convert(schema, done),
        }
    }

    /// Goes over to contents with another schema as soon as they are kept.
    pub(super) fn replace(&self, mut writer: MutexGuard<'_, Writer>, version: Version, done: Done) {
        writer.converting = true;
        let term = writer.term;
        drop(writer);
        let database = self.itself.clone();
        let converted = version.clone();
        let finish = Box::new(move |result: Result<(), Error>| match database.upgrade() {
            Some(database) => database.converted(converted, result, done),
            None => done(result),
        });
        self.ordering.replace(term, version, finish);
    }

    fn converted(&self, version: Version, result: Result<(), Error>, done: Done) {
        let mut writer = self.writer.lock();
        writer.converting = false;
        if result.is_ok() {
            writer.head = version.clone();
            self.history.lock().clear();
            let changes = Changes::none(version.schema().clone()).into();
            self.committed.store(Arc::new(Commit { version, changes }));
            (self.watcher)();
            // In the reference's order: monitors end, then this is answered, then waits are canceled.
            done(Ok(()));
            for job in writer.blocked.drain(..) {
                job.answer.canceled();
            }
        } else {
            done(result);
            for job in std::mem::take(&mut writer.blocked) {
                self.execute(&mut writer, Attempt::again(job), false);
            }
        }
        drop(writer);
        self.work();
    }
}
