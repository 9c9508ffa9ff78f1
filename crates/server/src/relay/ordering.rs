//! What the relay's database wants to be kept goes to the other server.

use std::sync::Arc;

use ovsdb::{Error, Schema, Tag};
use ovsdb_engine::Version;

use super::Relay;
use crate::database::{Job, JobKey};
use crate::locks::SessionId;
use crate::ordering::{Done, Orderer, Ordering, Proposal};

impl Ordering for Arc<Relay> {
    /// Nothing is executed here.
    fn propose(&self, proposal: Proposal) {
        let why = "a relay executes nothing itself";
        (proposal.done)(Err(Error::new(Tag::NotAllowed, why)));
    }

    fn resume(&self) {}

    /// There is no file to be compacted.
    fn replace(&self, _: u64, _: Version, done: Done) {
        done(Ok(()));
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn orderer(&self) -> Orderer {
        Orderer::Source {
            reached: self.is_following(),
        }
    }

    fn has_passed_on(&self, session: SessionId) -> bool {
        self.passing.lock().has_session(session)
    }

    fn pass_on(&self, job: Job) {
        // Under the lock: who loses the source sees to what is there by then.
        let refused = self.passing.lock().push(job, || self.is_following());
        match refused {
            Some(job) => job.answer.unknown(),
            None => self.wake.notify_one(),
        }
    }

    fn forget(&self, which: &mut dyn FnMut(JobKey) -> bool) -> bool {
        self.passing.lock().forget(which)
    }

    fn leave(&self, session: SessionId) {
        self.passing.lock().leave(session);
    }

    fn have_converted(&self, schema: Arc<Schema>, done: Done) {
        let mut text = Vec::new();
        schema.write_json(&mut text);
        let refused = self.passing.lock().push_conversion(text, done);
        match refused {
            Some(done) => {
                let why = "database conversion canceled because the server is stopping";
                done(Err(Error::new(Tag::Canceled, why)));
            }
            None => self.wake.notify_one(),
        }
    }
}
