//! `ovn-ic-db cluster found-from`: a new cluster of what one server of a lost one has.

mod plan;

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use ovsdb_cluster::file::ClusterFile;
use ovsdb_log::{Disk, FileSystem, Lock};

use crate::command_line::{FoundFromFlags, Only};
use crate::folders::Folders;
use crate::inspection::{Inspected, inspect};
use crate::membership;
use crate::process;
use crate::progress::Progress;
use crate::settings::{SettingError, Settings};
use plan::Plan;

/// The word in the name of a file that is kept.
const ASIDE: &str = "old-cluster";

/// The whole command, from its flags to its exit status.
pub fn main(flags: &FoundFromFlags) -> ExitCode {
    if !flags.yes && !std::io::stdin().is_terminal() {
        let status = ExitCode::from(SettingError::EXIT_STATUS);
        let words = "--yes: is needed where nobody can be asked whether it is meant";
        return process::fail(words, status);
    }
    match found(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => process::fail(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

/// Looks at all files before it touches one.
fn found(flags: &FoundFromFlags) -> anyhow::Result<()> {
    let files = files(flags);
    if flags.local_address.is_some() && files.len() != 1 {
        bail!("--local-address: goes with one file only; --only=nb and --only=sb choose one");
    }
    let now = SystemTime::now();
    let mut prepared = Vec::new();
    for path in &files {
        let (lock, inspected) = look(path)?;
        let plan = Plan::make(&inspected, flags.local_address.as_deref(), now)
            .with_context(|| path.display().to_string())?;
        process::print(&format!("{}: {}\n", path.display(), plan.words));
        prepared.push((lock, plan));
    }
    if !flags.yes && !is_meant()? {
        bail!("nothing was changed");
    }
    for (lock, plan) in prepared {
        replace(lock, &plan, now)?;
    }
    Ok(())
}

fn files(flags: &FoundFromFlags) -> Vec<PathBuf> {
    if !flags.files.is_empty() {
        return flags.files.clone();
    }
    let environment = |name: &str| std::env::var_os(name);
    let named = Settings::database_folder(&flags.db_dir, &environment);
    let folder = Folders::look_for_databases(named, &environment);
    let sides = Only::sides(flags.only).into_iter();
    sides
        .map(|side| folder.join(Folders::database_name(side)))
        .collect()
}

/// No server uses the file, nor will one until the lock is given back.
fn look(path: &Path) -> anyhow::Result<(Lock, Inspected)> {
    let about = || format!("{}: cannot be looked at", path.display());
    let size = std::fs::metadata(path).with_context(about)?.len();
    let lock = Lock::acquire(path)?;
    let progress = Progress::bytes(path.display().to_string(), size);
    let inspected = inspect(lock.file(), &|bytes| progress.reached(bytes));
    progress.end();
    let inspected = inspected.map_err(|problem| {
        anyhow::anyhow!(
            "{}: {problem}; take another server's file, or a backup",
            path.display()
        )
    })?;
    Ok((lock, inspected))
}

fn is_meant() -> anyhow::Result<bool> {
    print!("Type \"yes\" to give up the old cluster: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

fn replace(lock: Lock, plan: &Plan, now: SystemTime) -> anyhow::Result<()> {
    let disk: Arc<dyn FileSystem> = Arc::new(Disk);
    let path = lock.file().to_owned();
    let kept = membership::keep(&path, ASIDE, now)
        .with_context(|| format!("{}: cannot be kept", path.display()))?;
    let file = ClusterFile::replace(Arc::clone(&disk), lock, &plan.contents)?;
    if let Some(folder) = path.parent() {
        disk.sync_folder(folder)
            .with_context(|| format!("{}: cannot sync the folder", folder.display()))?;
    }
    let identity = &file.replayed().header.identity;
    process::print(&format!(
        "{}: {} has the new cluster {}, whose only member is server {} at {}; the old file is kept as {}\n",
        path.display(),
        identity.name,
        identity.cluster_id.unwrap_or_default(),
        identity.server_id,
        identity.local_address,
        kept.display()
    ));
    Ok(())
}
