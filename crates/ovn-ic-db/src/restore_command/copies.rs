//! Copies, read and checked.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ovsdb_engine::Version;

use crate::backup_command::file;
use crate::inspection::inspect;
use crate::progress::Progress;
use crate::schemas::Side;

/// A good copy.
#[derive(Debug)]
pub struct Copy {
    /// Of which database.
    pub side: Side,
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub version: Version,
}

/// Reads the copies of a folder. Blocks.
///
/// # Errors
/// If one is missing, damaged, cut short, or not of its database.
pub fn read(folder: &Path, sides: &[Side]) -> anyhow::Result<Vec<Copy>> {
    sides.iter().map(|side| read_one(folder, *side)).collect()
}

/// What to do where the folder has only the other database's copy.
fn hint(folder: &Path, missing: Side) -> String {
    let is_there = |side: &Side| *side != missing && file(folder, *side).is_file();
    match Side::BOTH.into_iter().find(is_there) {
        Some(other) => format!("; --only {} restores the other database", other.short()),
        None => String::new(),
    }
}

fn read_one(folder: &Path, side: Side) -> anyhow::Result<Copy> {
    let path = file(folder, side);
    let name = path.display();
    let size = match std::fs::metadata(&path) {
        Ok(file) => file.len(),
        Err(error) => {
            let hint = hint(folder, side);
            bail!("{name}: cannot be looked at: {error}; nothing was changed{hint}")
        }
    };
    let progress = Progress::bytes(name.to_string(), size);
    let inspected = inspect(&path, &|bytes| progress.reached(bytes));
    progress.end();
    let inspected = match inspected {
        Ok(inspected) => inspected,
        Err(problem) => bail!("{name}: {problem}; nothing was changed"),
    };
    if let Some(torn) = inspected.torn {
        bail!("{name}: cut short or damaged: {torn}; nothing was changed");
    }
    if inspected.member.is_some() {
        bail!(
            "{name}: is a cluster member's file, no copy; \"ovsdb-tool cluster-to-standalone\" makes one of it; nothing was changed"
        );
    }
    // Whoever makes copies writes the contents, too, were there none.
    if inspected.records < 2 {
        bail!("{name}: has a schema and nothing behind it: cut short; nothing was changed");
    }
    let Some(version) = inspected.version else {
        bail!("{name}: holds nothing; nothing was changed");
    };
    let database = &version.schema().name;
    if **database != *side.database() {
        bail!(
            "{name}: holds the database {database}, not {}; nothing was changed",
            side.database()
        );
    }
    Ok(Copy {
        side,
        path,
        version,
    })
}
