//! `ovn-ic-db backup`: copies of the databases that servers serve, as standalone files.

mod owner;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use ovsdb_cluster::address::Address;
use ovsdb_engine::Version;

use crate::client::{Choice, Leader, Remotes, fetch};
use crate::command_line::{BackupFlags, Only};
use crate::folders::Folders;
use crate::process;
use crate::progress::Progress;
use crate::schemas::Side;
pub use write::{Existing, put, write};

/// The contents of a database, and from where.
struct Copy {
    side: Side,
    remote: Address,
    leads: bool,
    version: Version,
}

/// The whole command, from its flags to its exit status: 0 if every copy is on the disk.
pub fn main(flags: &BackupFlags) -> ExitCode {
    let remotes = match Remotes::of_flags(&flags.servers) {
        Ok(remotes) => remotes,
        Err(status) => return status,
    };
    match backup(flags, remotes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => process::fail(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn backup(flags: &BackupFlags, remotes: Remotes) -> anyhow::Result<()> {
    let existing = match flags.overwrite {
        true => Existing::Replace,
        false => Existing::Keep,
    };
    let sides = Only::sides(flags.only);
    make_folder(&flags.folder)?;
    for side in &sides {
        let path = file(&flags.folder, *side);
        let taken = path
            .try_exists()
            .with_context(|| format!("{}: cannot be looked at", path.display()))?;
        if taken && existing == Existing::Keep {
            bail!(
                "{}: exists already; --overwrite replaces it, another folder keeps it",
                path.display()
            );
        }
    }
    let choice = match flags.without_leader {
        true => Choice::Any,
        false => Choice::Leader,
    };
    let limit = Duration::from_secs(flags.timeout);
    let copies = process::block_on(async move {
        let mut copies = Vec::new();
        for side in sides {
            copies.push(copy(side, &remotes, choice, limit).await?);
        }
        anyhow::Ok(copies)
    })??;
    let mut written = Written::default();
    for copy in copies {
        let path = file(&flags.folder, copy.side);
        let size = put(&path, &copy.version, &comment(&copy), existing);
        let size = size.with_context(|| written.say())?;
        written.add(&path);
        let stale = match copy.leads {
            true => "",
            false => ", which knows of no leader: the last writes may be missing",
        };
        process::print(&format!(
            "{}: schema {}, {} rows, {size} bytes: {}, from {}{stale}\n",
            copy.side.database(),
            copy.version.schema().version,
            copy.version.row_count(),
            path.display(),
            copy.remote
        ));
    }
    Ok(())
}

/// A database's file in a folder of backups.
pub fn file(folder: &Path, side: Side) -> PathBuf {
    folder.join(Folders::database_name(side))
}

/// The files of a command that have been written before one that could not be.
#[derive(Debug, Default)]
pub struct Written(Vec<String>);

impl Written {
    /// One more.
    pub fn add(&mut self, path: &Path) {
        self.0.push(path.display().to_string());
    }

    /// For the error.
    pub fn say(&self) -> String {
        match self.0.as_slice() {
            [] => "nothing was written".to_owned(),
            all => format!("{} is written, but not the other one", all.join(", ")),
        }
    }
}

fn comment(copy: &Copy) -> String {
    format!("ovn-ic-db backup of {}", copy.remote)
}

async fn copy(
    side: Side,
    remotes: &Remotes,
    choice: Choice,
    limit: Duration,
) -> anyhow::Result<Copy> {
    let database = side.database();
    let mut leader = Leader::find(remotes.of(side), database, choice, limit).await?;
    let progress = Progress::stream(database);
    let shown = progress.clone();
    let fetched = fetch(&mut leader, move |bytes| shown.reached(bytes as u64));
    let fetched = tokio::time::timeout(limit, fetched).await;
    progress.end();
    let fetched = fetched
        .with_context(|| format!("{}: no answer within {} s", leader.remote, limit.as_secs()))??;
    Ok(Copy {
        side,
        remote: leader.remote,
        leads: leader.leads,
        version: fetched.version,
    })
}

/// Makes a folder for copies.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    owner::make_folder(folder)
        .with_context(|| format!("{}: the folder cannot be made", folder.display()))
}
