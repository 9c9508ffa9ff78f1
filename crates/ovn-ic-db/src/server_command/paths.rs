//! Where the files are that the command line does not name in full.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::options::Options;

/// The folders and files of one run, absolute: the working folder may change.
#[derive(Debug, PartialEq, Eq)]
pub struct Paths {
    /// Where relative paths of sockets are.
    pub run_folder: PathBuf,
    /// Where relative names of databases and of other files were meant.
    pub working_folder: PathBuf,
    /// The control socket.
    pub control: Option<PathBuf>,
    /// The pid file.
    pub pid_file: Option<PathBuf>,
    /// The log file.
    pub log_file: Option<PathBuf>,
    /// The configuration file.
    pub config_file: Option<PathBuf>,
    /// The usual database.
    pub usual_database: PathBuf,
}

impl Paths {
    /// Completes the options' paths. `environment` gives `OVS_RUNDIR`, `OVS_LOGDIR`, `OVS_DBDIR` and
    /// `OVS_SYSCONFDIR`; a relative name is in the run folder for sockets and pid files, in the database
    /// folder for the configuration file, in the working folder for databases and logs.
    ///
    /// # Errors
    /// If there is no working folder.
    pub fn complete(
        options: &Options,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> io::Result<Paths> {
        let named = |name| environment(name).filter(|value| !value.is_empty());
        let folder = |name, usual: &str| {
            std::path::absolute(named(name).map_or_else(|| PathBuf::from(usual), PathBuf::from))
        };
        let run = folder("OVS_RUNDIR", "/var/run/openvswitch")?;
        let databases = match (named("OVS_DBDIR"), named("OVS_SYSCONFDIR")) {
            (None, Some(folder)) => std::path::absolute(PathBuf::from(folder).join("openvswitch"))?,
            _ => folder("OVS_DBDIR", "/etc/openvswitch")?,
        };
        let log_file = match &options.log_file {
            None => None,
            Some(None) => {
                Some(folder("OVS_LOGDIR", "/var/log/openvswitch")?.join("ovsdb-server.log"))
            }
            Some(Some(path)) => Some(std::path::absolute(path)?),
        };
        let default_control = || format!("ovsdb-server.{}.ctl", std::process::id());
        let in_run = |path: &Option<PathBuf>, usual: &str| match path {
            Some(path) => run.join(path),
            None => run.join(usual),
        };
        Ok(Paths {
            control: match &options.control {
                None => Some(run.join(default_control())),
                Some(None) => None,
                Some(Some(path)) => Some(run.join(path)),
            },
            pid_file: options
                .pid_file
                .as_ref()
                .map(|path| in_run(path, "ovsdb-server.pid")),
            log_file,
            config_file: options
                .config_file
                .as_ref()
                .map(|path| databases.join(path)),
            usual_database: databases.join("conf.db"),
            working_folder: std::env::current_dir()?,
            run_folder: run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Request;
    use super::*;

    fn complete(line: &str) -> Paths {
        let request = Request::parse(line.split_whitespace().map(OsString::from));
        let Ok(Request::Serve(options)) = request else {
            panic!("{line}: {request:?}");
        };
        let environment = |name: &str| (name == "OVS_RUNDIR").then(|| OsString::from("/run/x"));
        Paths::complete(&options, &environment).expect("paths")
    }

    #[test]
    fn relative_names_have_their_folders() {
        let paths = complete("--pidfile --log-file --unixctl=/d/b.ctl --config-file=c.json");
        assert_eq!(
            paths,
            Paths {
                run_folder: "/run/x".into(),
                working_folder: std::env::current_dir().expect("a folder"),
                control: Some("/d/b.ctl".into()),
                pid_file: Some("/run/x/ovsdb-server.pid".into()),
                log_file: Some("/var/log/openvswitch/ovsdb-server.log".into()),
                config_file: Some("/etc/openvswitch/c.json".into()),
                usual_database: "/etc/openvswitch/conf.db".into(),
            }
        );
        let paths = complete("--pidfile=p.pid");
        assert_eq!(paths.pid_file, Some("/run/x/p.pid".into()));
        let control = paths.control.expect("a control socket");
        assert!(control.starts_with("/run/x"), "{}", control.display());
    }
}
