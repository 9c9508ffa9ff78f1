//! The schema of a cluster that was taken over: it stays as it is while a member of the old
//! deployment is left, as that one's way back; afterwards the leader brings it up to date.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ovsdb::Schema;
use ovsdb_engine::Version;
use ovsdb_server::clustered::Clustered;

use crate::backup_copy;
use crate::schemas::{Side, is_older};

/// How often the leader looks whether it is time.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks in a row must find members of our kind alone: one that is being replaced may be
/// away for a moment.
const SURE: u32 = 3;
/// A conversion that failed is tried again after so many looks: rows can be changed.
const AGAIN: u32 = 60;
/// Under which subject a failure is told.
const TROUBLE: &str = "schema";

/// Keeps a cluster's schema up to date while its member leads.
pub struct SchemaKeeper<'a> {
    side: Side,
    path: &'a Path,
    member: &'a Clustered,
}

impl<'a> SchemaKeeper<'a> {
    /// For the member whose file is at `path`.
    pub fn new(side: Side, path: &'a Path, member: &'a Clustered) -> SchemaKeeper<'a> {
        SchemaKeeper { side, path, member }
    }

    /// Goes on for ever.
    pub async fn keep(&self) -> anyhow::Result<()> {
        let newest = Schema::from_text(self.side.schema().as_bytes())
            .map(Arc::new)
            .with_context(|| format!("the schema of {}", self.side.database()))?;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut sure, mut rest) = (0, 0);
        loop {
            look.tick().await;
            let Some(version) = self.version() else {
                continue;
            };
            let leads = self.member.place().borrow().leading.is_some();
            if !leads || !is_older(&version.schema().version, &newest.version) {
                self.well();
                (sure, rest) = (0, 0);
                continue;
            }
            sure = match self.member.all_members_are_ours() {
                true => sure + 1,
                false => 0,
            };
            rest = u32::saturating_sub(rest, 1);
            if sure >= SURE && rest == 0 {
                rest = AGAIN;
                self.convert(version, newest.clone()).await;
            }
        }
    }

    fn version(&self) -> Option<Version> {
        let database = self.member.database()?;
        Some(database.committed().version.clone())
    }

    fn well(&self) {
        if let Some(node) = self.member.node() {
            node.no_trouble(TROUBLE);
        }
    }

    async fn convert(&self, version: Version, newest: Arc<Schema>) {
        let db = self.side.short();
        let (old, new) = (version.schema().version.clone(), newest.version.clone());
        let name = self.side.database();
        match self.try_convert(version, newest).await {
            Ok(copy) => {
                tracing::info!(
                    db,
                    "{name}: all members are of this program, so its schema was converted from {old} to {new}; the contents before are kept as {}",
                    copy.display()
                );
                self.well();
            }
            Err(error) => {
                let why = format!("cannot be converted from schema {old} to {new}: {error:#}");
                tracing::error!(db, "{name}: {why}");
                if let Some(node) = self.member.node() {
                    node.trouble(TROUBLE, why);
                }
            }
        }
    }

    /// A conversion that cannot be leaves no copy behind.
    async fn try_convert(&self, version: Version, newest: Arc<Schema>) -> anyhow::Result<PathBuf> {
        let path = self.path.to_owned();
        let schema = newest.clone();
        let keep = move || -> anyhow::Result<PathBuf> {
            ovsdb_engine::convert::convert(&version, schema, &mut ovsdb::Uuid::new_v4)?;
            backup_copy::keep_contents(&path, &version)
                .context("the copy that is to be kept cannot be made")
        };
        let copy = tokio::task::spawn_blocking(keep).await??;
        self.member.convert(newest).await?;
        Ok(copy)
    }
}
