//! A database that follows another server's contents, in a file of its own.

use std::sync::Arc;

use ovsdb::{Error, Tag};
use ovsdb_engine::{Changes, Commit, Version};

use super::{Database, Route};
use crate::ordering::{Done, Proposal};

impl Database {
    /// From now on clients may only read it, or may write it again.
    pub fn set_read_only(&self, read_only: bool) {
        self.writer.lock().read_only = read_only;
        self.work();
    }

    /// Clients may only read it.
    pub fn is_read_only(&self) -> bool {
        self.writer.lock().read_only
    }

    /// Changes the contents as another server's have changed. `done` hears when that is durable; an
    /// error of `change` itself comes back at once.
    pub fn replicate(
        &self,
        change: impl FnOnce(&Version) -> Result<(Version, Changes), Error>,
        done: Done,
    ) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        let changed = if writer.converting || writer.route != Route::Here || !writer.read_only {
            let details = "the database follows no other server";
            Err(Error::new(Tag::NotAllowed, details))
        } else {
            change(&writer.head)
        };
        let (version, changes) = match changed {
            Ok(changed) => changed,
            Err(error) => {
                drop(writer);
                self.work();
                return Err(error);
            }
        };
        writer.head = version.clone();
        let changed: Vec<_> = changes.tables.iter().map(|table| table.table).collect();
        let commit = (!changes.is_empty()).then(|| {
            let changes = changes.into();
            Arc::new(Commit { version, changes })
        });
        let (database, era, proposed) = (self.itself.clone(), writer.era, commit.clone());
        self.ordering.propose(Proposal {
            term: writer.term,
            commit,
            comment: None,
            durable: true,
            done: Box::new(move |result| {
                if let Some(database) = database.upgrade() {
                    match (&result, proposed) {
                        (Ok(()), Some(commit)) => database.publish(commit),
                        (Ok(()), None) => {}
                        (Err(_), _) => database.roll_back_later(era),
                    }
                }
                done(result);
            }),
            lost: None,
        });
        if !changed.is_empty() && !writer.blocked.is_empty() {
            self.release(&mut writer, &changed);
        }
        drop(writer);
        self.work();
        Ok(())
    }
}
