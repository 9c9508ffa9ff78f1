//! `ovn-ic-db restore`: what copies hold, put into running servers or into new files.

mod convert;
mod copies;
mod difference;
mod into_server;
mod size;
mod transaction;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::backup_command::{Existing, Written, file, make_folder, put};
use crate::client::Remotes;
use crate::command_line::{Only, RestoreFlags};
use crate::process;
use copies::Copy;
use into_server::{Target, restore_one};

/// The whole command, from its flags to its exit status: 0 if all is restored, or shown.
pub fn main(flags: &RestoreFlags) -> ExitCode {
    let remotes = match Remotes::of_flags(&flags.servers) {
        Ok(remotes) => remotes,
        Err(status) => return status,
    };
    match restore(flags, remotes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => process::fail(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn restore(flags: &RestoreFlags, remotes: Remotes) -> anyhow::Result<()> {
    // All copies are good before anything is touched.
    let copies = copies::read(&flags.folder, &Only::sides(flags.only))?;
    if let Some(to) = &flags.to {
        return into_files(&copies, to, flags.dry_run);
    }
    let limit = Duration::from_secs(flags.timeout);
    let dry_run = flags.dry_run;
    process::block_on(async move {
        let mut targets = Vec::new();
        for copy in copies {
            targets.push(Target::look(copy, &remotes, limit).await?);
        }
        let mut done: Vec<&str> = Vec::new();
        for target in &mut targets {
            let said = match dry_run {
                true => target.show(false),
                false => restore_one(target, &remotes, limit)
                    .await
                    .with_context(|| {
                        let before = match done.as_slice() {
                            [] => "nothing was changed before".to_owned(),
                            names => format!("{} is restored already", names.join(", ")),
                        };
                        format!("{} ({before})", target.database())
                    })?,
            };
            process::print(&said);
            done.push(target.database());
        }
        anyhow::Ok(())
    })?
}

fn into_files(copies: &[Copy], to: &Path, dry_run: bool) -> anyhow::Result<()> {
    for copy in copies {
        let path = file(to, copy.side);
        let exists = path.try_exists();
        if exists.with_context(|| format!("{}: cannot be looked at", path.display()))? {
            bail!("{}: exists already; nothing was changed", path.display());
        }
    }
    if !dry_run {
        make_folder(to)?;
    }
    let mut written = Written::default();
    for copy in copies {
        let path = file(to, copy.side);
        if !dry_run {
            let comment = format!("ovn-ic-db restore of {}", copy.path.display());
            let made = put(&path, &copy.version, &comment, Existing::Keep);
            made.with_context(|| written.say())?;
            written.add(&path);
        }
        process::print(&format!(
            "{}: schema {}, {} rows{} {}\n",
            copy.side.database(),
            copy.version.schema().version,
            copy.version.row_count(),
            if dry_run { " would go to" } else { ":" },
            path.display()
        ));
    }
    Ok(())
}
