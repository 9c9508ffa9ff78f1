//! Where the files are that the command line does not name in full.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use ovsdb_server::remote::Remote;

use super::options::Options;

/// Every file of one run, absolute: the working folder may change.
#[derive(Debug, PartialEq, Eq)]
pub struct Paths {
    /// The run folder, where relative `unix:` addresses begin.
    pub run: PathBuf,
    /// The remotes, with the text that names them.
    pub remotes: Vec<(String, Remote)>,
    /// The control socket.
    pub control: Option<PathBuf>,
    /// The pid file.
    pub pid_file: Option<PathBuf>,
    /// The log file.
    pub log_file: Option<PathBuf>,
    /// The databases.
    pub databases: Vec<PathBuf>,
}

impl Paths {
    /// Completes the options' paths. `environment` gives `OVS_RUNDIR`, `OVS_LOGDIR` and
    /// `OVS_DBDIR`; a relative name is in the run folder for sockets and pid files, in the
    /// working folder for databases and logs.
    pub fn complete(
        options: &Options,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> io::Result<Paths> {
        let folder = |name, usual: &str| {
            let named = environment(name).filter(|value| !value.is_empty());
            std::path::absolute(named.map_or_else(|| PathBuf::from(usual), PathBuf::from))
        };
        let run = folder("OVS_RUNDIR", "/var/run/openvswitch")?;
        let remotes = options.remotes.iter().map(|(text, remote)| {
            let remote = match remote {
                Remote::Unix(path) => Remote::Unix(run.join(path)),
                other => other.clone(),
            };
            (text.clone(), remote)
        });
        let databases = match options.databases.as_slice() {
            [] => &[folder("OVS_DBDIR", "/etc/openvswitch")?.join("conf.db")],
            some => some,
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
            remotes: remotes.collect(),
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
            databases: databases
                .iter()
                .map(|path: &PathBuf| std::path::absolute(Path::new(path)))
                .collect::<io::Result<_>>()?,
            run,
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
        let paths =
            complete("--remote=punix:a.sock --pidfile --log-file --unixctl=/d/b.ctl /d/c.db");
        assert_eq!(
            paths,
            Paths {
                run: "/run/x".into(),
                remotes: vec![("punix:a.sock".into(), Remote::Unix("/run/x/a.sock".into()))],
                control: Some("/d/b.ctl".into()),
                pid_file: Some("/run/x/ovsdb-server.pid".into()),
                log_file: Some("/var/log/openvswitch/ovsdb-server.log".into()),
                databases: vec!["/d/c.db".into()],
            }
        );
        let paths = complete("--pidfile=p.pid");
        assert_eq!(paths.pid_file, Some("/run/x/p.pid".into()));
        assert_eq!(paths.databases, [PathBuf::from("/etc/openvswitch/conf.db")]);
        let control = paths.control.expect("a control socket");
        assert!(control.starts_with("/run/x"), "{}", control.display());
    }
}
