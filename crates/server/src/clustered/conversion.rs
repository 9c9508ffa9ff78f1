//! Another schema for the whole cluster, as one entry of its log.

use std::sync::Arc;

use ovsdb::{Error, Schema, Tag};
use tokio::sync::oneshot;

use super::Clustered;

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
}
