//! Where files are: the database, run and log folders, and the names in them.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::schemas::Side;

/// The three folders, absolute, each existing and writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Database files.
    pub databases: PathBuf,
    /// Sockets, control sockets and pid files.
    pub run: PathBuf,
    /// Log files.
    pub logs: PathBuf,
    /// Lines to say on start: which folders are not the usual ones.
    pub notes: Vec<String>,
}

/// What the flags and variables name; `None` leaves the choice to us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// `--db-dir`, `OVN_IC_DB_DB_DIR`, `OVN_DBDIR`.
    pub databases: Option<PathBuf>,
    /// `--run-dir`, `OVN_IC_DB_RUN_DIR`, `OVN_RUNDIR`.
    pub run: Option<PathBuf>,
    /// `--log-dir`, `OVN_IC_DB_LOG_DIR`, `OVN_LOGDIR`.
    pub logs: Option<PathBuf>,
}

/// A folder that cannot be used, with what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct FolderError {
    folder: PathBuf,
    purpose: Purpose,
    reason: String,
}

impl fmt::Display for FolderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the folder for {} {} cannot be used: {}; make it writable for this user, or name another one with {} or {}",
            self.purpose.what(),
            self.folder.display(),
            self.reason,
            self.purpose.flag(),
            self.purpose.variable(),
        )
    }
}

impl std::error::Error for FolderError {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Databases,
    Run,
    Logs,
}

impl Purpose {
    fn what(self) -> &'static str {
        match self {
            Purpose::Databases => "databases",
            Purpose::Run => "sockets and pid files",
            Purpose::Logs => "logs",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Purpose::Databases => "--db-dir",
            Purpose::Run => "--run-dir",
            Purpose::Logs => "--log-dir",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Purpose::Databases => "OVN_DBDIR",
            Purpose::Run => "OVN_RUNDIR",
            Purpose::Logs => "OVN_LOGDIR",
        }
    }

    fn usual(self) -> &'static str {
        match self {
            Purpose::Databases => "etc/ovn",
            Purpose::Run => "var/run/ovn",
            Purpose::Logs => "var/log/ovn",
        }
    }
}

impl Folders {
    /// Finds the folders and makes those that are missing. `environment` gives
    /// the `XDG_*` variables.
    pub fn find(
        named: &Named,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, FolderError> {
        Self::find_under(Path::new("/"), named, environment)
    }

    /// `root` stands for `/`, so that a test has its own.
    fn find_under(
        root: &Path,
        named: &Named,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, FolderError> {
        let mut notes = Vec::new();
        let mut find = |purpose: Purpose, named: &Option<PathBuf>| {
            if let Some(folder) = named {
                return make_usable(purpose, folder);
            }
            let usual = root.join(purpose.usual());
            // What is there is meant, be it a link to a disk that is not mounted: to leave it for
            // another folder would start an empty database.
            if !is_missing(&usual) || fs::create_dir_all(&usual).is_ok() {
                return make_usable(purpose, &usual);
            }
            let own = fallback(purpose, environment);
            let own = make_usable(purpose, &own)?;
            notes.push(format!(
                "{} go to {}, as {} does not exist and cannot be made",
                purpose.what(),
                own.display(),
                usual.display()
            ));
            Ok(own)
        };
        let databases = find(Purpose::Databases, &named.databases)?;
        let run = find(Purpose::Run, &named.run)?;
        let logs = find(Purpose::Logs, &named.logs)?;
        Ok(Folders {
            databases,
            run,
            logs,
            notes,
        })
    }

    /// The run folder of a server on this machine, for those who only visit: it is not made.
    pub fn look_for_run(
        named: Option<PathBuf>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> PathBuf {
        look_for(Purpose::Run, named, environment)
    }

    /// The same for the folder of the database files.
    pub fn look_for_databases(
        named: Option<PathBuf>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> PathBuf {
        look_for(Purpose::Databases, named, environment)
    }

    /// The name of the Unix socket for clients.
    pub fn socket_name(side: Side) -> String {
        file_name(side, "sock")
    }

    /// The name of the control socket.
    pub fn control_name(side: Side) -> String {
        file_name(side, "ctl")
    }

    /// The name of the database file: `ovn_ic_nb_db.db`, `ovn_ic_sb_db.db`.
    pub fn database_name(side: Side) -> String {
        file_name(side, "db")
    }

    /// The database file.
    pub fn database(&self, side: Side) -> PathBuf {
        self.databases.join(Folders::database_name(side))
    }

    /// The Unix socket for clients.
    pub fn socket(&self, side: Side) -> PathBuf {
        self.run.join(Folders::socket_name(side))
    }

    /// The control socket, which `ovn-appctl -t` takes.
    pub fn control(&self, side: Side) -> PathBuf {
        self.run.join(Folders::control_name(side))
    }

    /// The pid file.
    pub fn pid(&self, side: Side) -> PathBuf {
        self.run.join(file_name(side, "pid"))
    }

    /// `ovsdb-server-ic-nb.log`, `ovsdb-server-ic-sb.log`.
    pub fn log(&self, side: Side) -> PathBuf {
        self.logs
            .join(format!("ovsdb-server-ic-{}.log", side.short()))
    }
}

fn look_for(
    purpose: Purpose,
    named: Option<PathBuf>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> PathBuf {
    let usual = Path::new("/").join(purpose.usual());
    match named {
        Some(folder) => folder,
        None if is_missing(&usual) => fallback(purpose, environment),
        None => usual,
    }
}

/// There is nothing of that name, not even a link. What cannot be looked at is not missing.
fn is_missing(path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn file_name(side: Side, extension: &str) -> String {
    format!("ovn_ic_{}_db.{extension}", side.short())
}

fn fallback(purpose: Purpose, environment: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    // The XDG specification: a relative path in these variables is to be ignored.
    let base = |variable| {
        environment(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let local = Path::new("ovn-ic-db");
    match purpose {
        Purpose::Databases => {
            base("XDG_STATE_HOME").map_or_else(|| local.join("db"), |base| base.join(local))
        }
        Purpose::Logs => {
            base("XDG_STATE_HOME").map_or_else(|| local.join("log"), |base| base.join(local))
        }
        Purpose::Run => {
            base("XDG_RUNTIME_DIR").map_or_else(|| local.join("run"), |base| base.join(local))
        }
    }
}

/// Makes the folder if it is missing; an absolute path if this process can write there.
fn make_usable(purpose: Purpose, folder: &Path) -> Result<PathBuf, FolderError> {
    let refuse = |reason: String| FolderError {
        folder: folder.to_owned(),
        purpose,
        reason,
    };
    fs::create_dir_all(folder).map_err(|error| refuse(why_not_made(folder, &error)))?;
    // The effective user counts, and for root too: it cannot write to a
    // file system that is mounted read-only.
    let needed = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, folder, needed, AtFlags::EACCESS)
        .map_err(|error| refuse(io::Error::from(error).to_string()))?;
    if folder.is_absolute() {
        return Ok(folder.to_owned());
    }
    let here = env::current_dir().map_err(|error| refuse(error.to_string()))?;
    Ok(here.join(folder))
}

fn why_not_made(folder: &Path, error: &io::Error) -> String {
    match fs::read_link(folder) {
        Ok(target) if fs::metadata(folder).is_err() => format!(
            "it is a link to {}, which does not exist (a disk that is not mounted?)",
            target.display()
        ),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn the_usual_folders_are_made_under_the_root() {
        let root = tempfile::tempdir().expect("a folder");
        let found = Folders::find_under(root.path(), &Named::default(), &nothing).expect("found");
        assert_eq!(found.databases, root.path().join("etc/ovn"));
        assert_eq!(
            found.socket(Side::Northbound),
            root.path().join("var/run/ovn/ovn_ic_nb_db.sock")
        );
        assert_eq!(
            found.log(Side::Southbound),
            root.path().join("var/log/ovn/ovsdb-server-ic-sb.log")
        );
        assert!(found.notes.is_empty());
    }

    #[test]
    fn named_folders_win_and_are_made() {
        let root = tempfile::tempdir().expect("a folder");
        let named = Named {
            databases: Some(root.path().join("a/b")),
            run: Some(root.path().join("r")),
            logs: Some(root.path().join("l")),
        };
        let found = Folders::find(&named, &nothing).expect("found");
        assert_eq!(
            found.database(Side::Northbound),
            root.path().join("a/b/ovn_ic_nb_db.db")
        );
        assert!(root.path().join("a/b").is_dir());
    }

    #[test]
    fn without_a_usual_place_the_state_folder_is_taken_and_named() {
        let home = tempfile::tempdir().expect("a folder");
        // Nobody, not even root, makes folders there.
        let root = Path::new("/proc/self");
        let base = home.path().as_os_str().to_owned();
        let environment = |name: &str| name.starts_with("XDG_").then(|| base.clone());
        let found = Folders::find_under(root, &Named::default(), &environment).expect("found");
        assert_eq!(found.databases, home.path().join("ovn-ic-db"));
        assert_eq!(found.notes.len(), 3);
        assert!(found.notes[0].contains("etc/ovn"), "{:?}", found.notes);
    }

    #[test]
    fn a_usual_folder_that_is_there_in_some_way_is_not_left_for_another_one() {
        let root = tempfile::tempdir().expect("a folder");
        let base = root.path().join("own").into_os_string();
        let environment = |name: &str| name.starts_with("XDG_").then(|| base.clone());
        let refused = |words: &str| {
            let found = Folders::find_under(root.path(), &Named::default(), &environment);
            let text = found.expect_err("refused").to_string();
            assert!(text.contains(words) && text.contains("OVN_DBDIR"), "{text}");
            assert!(!Path::new(&base).exists());
        };
        fs::create_dir(root.path().join("etc")).expect("made");
        let usual = root.path().join("etc/ovn");
        std::os::unix::fs::symlink("/nowhere/disk", &usual).expect("a link");
        refused("it is a link to /nowhere/disk, which does not exist");
        fs::remove_file(&usual).expect("removed");
        fs::write(&usual, "").expect("written");
        refused("File exists");
        // What is in the way of looking at it.
        fs::remove_dir_all(root.path().join("etc")).expect("removed");
        fs::write(root.path().join("etc"), "").expect("written");
        refused("Not a directory");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do() {
        // Read-only for everybody, root included.
        let named = Named {
            databases: Some("/proc/self".into()),
            ..Named::default()
        };
        let error = Folders::find(&named, &nothing).expect_err("refused");
        let text = error.to_string();
        assert!(
            text.contains("/proc/self") && text.contains("--db-dir") && text.contains("OVN_DBDIR"),
            "{text}"
        );
    }
}
