//! From what lies in the database folder to a database with the newest schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use ovsdb::{Schema, Uuid};
use ovsdb_engine::convert::convert;
use ovsdb_server::standalone::File;

use crate::backup_copy;
use crate::schemas::{Side, is_older};

/// What was found. Nothing has been changed so far.
pub enum Found {
    /// A database of the right name, locked.
    Present(Box<File>),
    /// No file.
    Missing,
}

/// Looks at a side's file, and takes its lock if it is there. Blocks.
pub fn look(side: Side, path: &Path) -> anyhow::Result<Found> {
    let exists = path
        .try_exists()
        .with_context(|| format!("{}: cannot be looked at", path.display()))?;
    if !exists {
        return Ok(Found::Missing);
    }
    let file = File::open(path)?;
    let name = &file.version().schema().name;
    if **name != *side.database() {
        bail!(
            "{}: holds the database {name}, not {}; put the right file in its place, or name another folder with --db-dir or OVN_DBDIR",
            file.path().display(),
            side.database()
        );
    }
    Ok(Found::Present(Box::new(file)))
}

/// Makes a missing file, and brings the schema of an old one up to date. Blocks.
pub fn prepare(side: Side, path: &Path, found: Found) -> anyhow::Result<File> {
    let db = side.short();
    let newest = Schema::from_text(side.schema().as_bytes())
        .map(Arc::new)
        .with_context(|| format!("the schema of {}", side.database()))?;
    let mut file = match found {
        Found::Missing => {
            let file = File::create(path, newest)?;
            tracing::info!(db, "{}: new database", file.path().display());
            return Ok(file);
        }
        Found::Present(file) => *file,
    };
    if let Some(dropped) = file.save_torn() {
        tracing::warn!(db, "{dropped}");
    }
    let present = Arc::clone(file.version().schema());
    if !is_older(&present.version, &newest.version) {
        return Ok(file);
    }
    let path = file.path().to_owned();
    let (old, new) = (&present.version, &newest.version);
    match upgrade(&mut file, &present, newest.clone()) {
        Ok(copy) => tracing::info!(
            db,
            "{}: converted from schema {old} to {new}; the old file is kept as {}",
            path.display(),
            copy.display()
        ),
        Err(error) => tracing::error!(
            db,
            "{}: cannot be converted from schema {old} to {new}, so it stays as it was and is served with schema {old}: {error:#}",
            path.display()
        ),
    }
    Ok(file)
}

/// Converts in memory first, so that a conversion that cannot be leaves no copy behind.
fn upgrade(file: &mut File, present: &Schema, newest: Arc<Schema>) -> anyhow::Result<PathBuf> {
    let converted = convert(file.version(), newest, &mut Uuid::new_v4)?;
    let copy = backup_copy::keep(file.path(), &present.version, &present.cksum)
        .context("the copy that is to be kept cannot be made")?;
    file.rewrite(converted)?;
    Ok(copy)
}
