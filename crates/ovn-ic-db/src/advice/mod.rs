//! What an operator can do about what keeps `run` from starting: one sentence behind the error.
//!
//! The errors themselves are also those of the program that this one stands in for, whose words they are.

mod making;
mod ownership;
mod places;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::Path;

use ovsdb_cluster::node::StartError;
use ovsdb_log::{Holder, LogError};
use ovsdb_server::pid_file::PidFileError;
use ovsdb_server::standalone::OpenError;

pub use making::making;
use ownership::ownership;
pub use places::{clients_port, http_place, socket};

/// The settings of the folder of the databases.
const DATABASES: &str = "--db-dir or OVN_DBDIR";

/// The error that ends `run`, with what to do.
pub fn advised(error: anyhow::Error) -> anyhow::Error {
    match error.chain().find_map(of_error) {
        Some(advice) => with(&error, &advice),
        None => error,
    }
}

fn with(error: &anyhow::Error, advice: &str) -> anyhow::Error {
    anyhow::anyhow!("{error:#}; {advice}")
}

fn of_error(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<PidFileError>() {
        return Some(of_pid_file(error));
    }
    // All other places have their own advice.
    if let Some(error) = listening(error) {
        return places::raft_port(error);
    }
    let log = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(OpenError::Record { path, .. }), _) => return Some(of_damage(path)),
        (Some(OpenError::Log(log)), _) | (_, Some(StartError::Log(log))) => log,
        _ => error.downcast_ref()?,
    };
    of_log(log)
}

/// The system's answer to a member's wish to listen for others.
fn listening<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    match error.downcast_ref() {
        Some(StartError::Listen(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

fn of_log(error: &LogError) -> Option<String> {
    Some(match error {
        LogError::Io { file, answer, .. } => of_disk(file, answer, DATABASES),
        LogError::Damaged { file, .. } | LogError::NotOvsdb { file, .. } => of_damage(file),
        LogError::Empty { file } => format!(
            "put a good copy in its place, or remove {} to start with an empty database",
            file.display()
        ),
        LogError::Locked { holder, .. } => of_holder(*holder),
        LogError::Changed { .. } => {
            "find the program that writes to it and end it, then start again".to_owned()
        }
        _ => return None,
    })
}

/// Nothing has been changed, and nothing is.
fn of_damage(file: &Path) -> String {
    let file = file.display();
    format!(
        "the file was not changed; `ovn-ic-db check {file}` says what can be read of it. Put a good copy in its \
         place (docs/operations.md: `ovn-ic-db restore FOLDER --to`), or move it away to start with an empty database"
    )
}

fn of_holder(holder: Holder) -> String {
    let who = match holder {
        Holder::Process(pid) => format!("stop that server first (`ps -fp {pid}`)"),
        Holder::Ourselves => return "give each database a file of its own".to_owned(),
        Holder::Unknown => {
            "stop that server first (it may run in another container or on another host)".to_owned()
        }
    };
    format!("{who}, or name another folder with --db-dir or OVN_DBDIR")
}

fn of_pid_file(error: &PidFileError) -> String {
    let folders = "--run-dir or OVN_RUNDIR";
    match error {
        PidFileError::Running { pid, .. } => format!(
            "stop that server first (`ps -fp {pid}`), or give this one folders of its own with {folders} and --db-dir or OVN_DBDIR"
        ),
        PidFileError::Starting { .. } => {
            "only one server can have it: wait for that one, or stop it".to_owned()
        }
        PidFileError::Io { path, error, .. } => of_disk(path, error, folders),
    }
}

/// What the system has refused about a file. `settings` say where its folder is.
fn of_disk(file: &Path, error: &io::Error, settings: &str) -> String {
    let folder = file.parent().unwrap_or(file).display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            format!("free space in {folder} and start again")
        }
        ErrorKind::ReadOnlyFilesystem => format!(
            "{folder} is mounted read-only: mount it for writing, or name another folder with {settings}"
        ),
        ErrorKind::PermissionDenied => ownership(file),
        ErrorKind::IsADirectory => {
            format!("move that folder away, or name another one for the files with {settings}")
        }
        _ => format!("see to the disk that {folder} is on and start again"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context;

    use super::*;

    fn said(error: impl Error + Send + Sync + 'static) -> String {
        let failed: Result<(), _> = Err(error);
        let error = failed.context("OVN_IC_Northbound").expect_err("an error");
        advised(error).to_string()
    }

    fn ends(text: &str, end: &str) {
        assert!(text.starts_with("OVN_IC_Northbound: "), "{text}");
        assert!(text.ends_with(end), "{text}");
    }

    fn io_of(kind: ErrorKind) -> LogError {
        LogError::Io {
            file: PathBuf::from("/nowhere/a.db"),
            action: "cannot write".to_owned(),
            answer: kind.into(),
        }
    }

    #[test]
    fn the_disk_is_to_be_seen_to() {
        let full = said(io_of(ErrorKind::StorageFull));
        ends(&full, "; free space in /nowhere and start again");
        let full = said(OpenError::Log(io_of(ErrorKind::QuotaExceeded)));
        ends(&full, "; free space in /nowhere and start again");
        let read_only = said(StartError::Log(io_of(ErrorKind::ReadOnlyFilesystem)));
        ends(&read_only, "name another folder with --db-dir or OVN_DBDIR");
        let other = said(io_of(ErrorKind::Other));
        ends(
            &other,
            "see to the disk that /nowhere is on and start again",
        );
        let pid = said(PidFileError::Io {
            path: "/nowhere/a.pid".into(),
            what: "create",
            error: ErrorKind::ReadOnlyFilesystem.into(),
        });
        ends(&pid, "name another folder with --run-dir or OVN_RUNDIR");
    }

    #[test]
    fn files_and_servers_in_the_way_are_named() {
        let file = Path::new("/etc/ovn/a.db");
        let damaged = said(LogError::damaged(file, 7, "x"));
        assert!(
            damaged.contains("`ovn-ic-db check /etc/ovn/a.db`"),
            "{damaged}"
        );
        ends(&damaged, "to start with an empty database");
        let locked = said(LogError::Locked {
            file: file.to_owned(),
            lock_file: "/etc/ovn/.a.db.~lock~".into(),
            holder: Holder::Process(7),
        });
        assert!(
            locked.contains("stop that server first (`ps -fp 7`)"),
            "{locked}"
        );
        let running = said(PidFileError::Running {
            path: "/run/a.pid".into(),
            pid: 9,
        });
        assert!(running.contains("already running as pid 9, aborting; stop that server first"));
        // What says by itself what to do stays as it is.
        let other = said(io::Error::other("words"));
        assert_eq!(other, "OVN_IC_Northbound");
    }
}
