//! The command line of ovsdb-server(1).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use ovsdb_server::origin::SessionOptions;
use ovsdb_server::remotes::Wanted;

use super::known::{self, Kind, Value};
use super::part::Part;
use crate::settings::Durability;
use crate::tls_sources::TlsSources;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `--remote`, by the text that `ovsdb-server/list-remotes` shows.
    pub remotes: Wanted,
    /// `--unixctl`; `None` inside is `none`: no control socket.
    pub control: Option<Option<PathBuf>>,
    /// `--run`.
    pub run: Option<String>,
    /// `--config-file`.
    pub config_file: Option<PathBuf>,
    /// `--pidfile`; `None` inside is the usual place.
    pub pid_file: Option<Option<PathBuf>>,
    /// `--overwrite-pidfile`.
    pub overwrite_pid_file: bool,
    /// `--log-file`; `None` inside is the usual place.
    pub log_file: Option<Option<PathBuf>>,
    /// `-v`, `--verbose`: specifications as of `vlog/set`, in order. An empty one is `-v` alone.
    pub verbosity: Vec<String>,
    /// `--syslog-method`.
    pub syslog_method: Option<String>,
    /// `--syslog-target`.
    pub syslog_target: Option<String>,
    /// `--durable`, which only this server has.
    pub durability: Durability,
    /// `--detach`.
    pub detach: bool,
    /// `--monitor`.
    pub monitor: bool,
    /// `--no-chdir`.
    pub stay: bool,
    /// `--user`.
    pub user: Option<String>,
    /// Which process this is.
    pub part: Part,
    /// `--private-key` and its like.
    pub tls: TlsSources,
    /// `--sync-from`.
    pub sync_from: Option<String>,
    /// `--sync-exclude-tables`.
    pub sync_exclude: Option<String>,
    /// `--active`.
    pub active: bool,
    /// `--disable-file-column-diff` was not given.
    pub column_differences: bool,
    /// `--disable-file-no-data-conversion` was given.
    pub data_with_conversion: bool,
    /// The databases: files, and relays. `None` without any, where the usual one is meant.
    pub databases: Option<Vec<String>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            remotes: Wanted::new(),
            control: None,
            run: None,
            config_file: None,
            pid_file: None,
            overwrite_pid_file: false,
            log_file: None,
            verbosity: Vec::new(),
            syslog_method: None,
            syslog_target: None,
            durability: Durability::Asked,
            detach: false,
            monitor: false,
            stay: false,
            user: None,
            part: Part::Called,
            tls: TlsSources::default(),
            sync_from: None,
            sync_exclude: None,
            active: false,
            column_differences: true,
            data_with_conversion: false,
            databases: None,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// Anything else: serve.
    Serve(Box<Options>),
}

impl Request {
    /// Understands the arguments behind the program's name. Options and files come in any order;
    /// behind `--` there are only files.
    ///
    /// # Errors
    /// The reference's words, or the C library's.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
        let mut arguments = arguments.into_iter();
        let mut options = Options::default();
        let mut databases = Vec::new();
        let mut only_named = false;
        while let Some(argument) = arguments.next() {
            let bytes = argument.as_bytes();
            if bytes == b"--" {
                for rest in arguments.by_ref() {
                    databases.push(text(rest)?);
                }
                break;
            }
            let (shown, known, attached) = if let Some(long) = bytes.strip_prefix(b"--") {
                let (name, value) = split(long);
                (format!("--{name}"), known::find(&name)?, value)
            } else if bytes.len() > 1 && bytes[0] == b'-' {
                let known = known::find_letter(bytes[1])?;
                let rest = (bytes.len() > 2).then(|| OsStr::from_bytes(&bytes[2..]).to_owned());
                (format!("-{}", char::from(bytes[1])), known, rest)
            } else {
                databases.push(text(argument)?);
                continue;
            };
            let (_, wanted, kind) = known;
            let value = match (wanted, attached) {
                (Value::None, Some(_)) => {
                    return Err(format!("option '{shown}' doesn't allow an argument"));
                }
                (Value::Needed, None) => Some(
                    arguments
                        .next()
                        .ok_or_else(|| format!("option '{shown}' requires an argument"))?,
                ),
                (_, attached) => attached,
            };
            match kind {
                Kind::Help => return Ok(Request::Help),
                Kind::Version => return Ok(Request::Version),
                Kind::Missing => {
                    return Err(format!("option '{shown}' is not supported by this server"));
                }
                Kind::NoDatabases => only_named = true,
                kind => options.set(kind, value)?,
            }
        }
        options.set_databases(databases, only_named)?;
        Ok(Request::Serve(Box::new(options)))
    }
}

impl Options {
    fn set(&mut self, kind: Kind, value: Option<OsString>) -> Result<(), String> {
        let path = || value.clone().map(PathBuf::from);
        let text = || text(value.clone().unwrap_or_default());
        match kind {
            Kind::Remote => {
                let text = text()?;
                let options = SessionOptions::of(&text);
                self.remotes.insert(text, options);
            }
            Kind::Control => {
                self.control = Some(path().filter(|path| path.as_os_str() != "none"));
            }
            Kind::Run => self.run = Some(text()?),
            Kind::ConfigFile => self.config_file = path(),
            Kind::PidFile => self.pid_file = Some(path()),
            Kind::OverwritePidFile => self.overwrite_pid_file = true,
            Kind::LogFile => self.log_file = Some(path()),
            Kind::Verbose => self.verbosity.push(text()?),
            Kind::SyslogMethod => self.syslog_method = Some(text()?),
            Kind::SyslogTarget => self.syslog_target = Some(text()?),
            Kind::Durable => {
                let text = text()?;
                self.durability = Durability::parse(&text)
                    .ok_or_else(|| format!("--durable={text}: must be always or asked"))?;
            }
            Kind::Detach => self.detach = true,
            Kind::Monitor => self.monitor = true,
            Kind::NoChdir => self.stay = true,
            Kind::User => self.user = Some(text()?),
            Kind::Part => {
                let text = text()?;
                let part = Part::ALL.into_iter().find(|part| part.name() == text);
                self.part = part.ok_or_else(|| format!("unknown part {text}"))?;
            }
            Kind::Key => self.tls.key = Some(text()?),
            Kind::Certificate => self.tls.certificate = Some(text()?),
            // The last of the two counts.
            Kind::Authorities | Kind::BootstrapAuthorities => {
                self.tls.authorities = Some(text()?);
                self.tls.bootstrap = kind == Kind::BootstrapAuthorities;
            }
            Kind::PeerAuthorities => self.tls.peer_authorities = path(),
            Kind::Protocols => self.tls.protocols = Some(text()?),
            Kind::Ciphers => self.tls.ciphers = Some(text()?),
            Kind::CipherSuites => self.tls.cipher_suites = Some(text()?),
            Kind::SyncFrom => self.sync_from = Some(text()?),
            Kind::SyncExclude => self.sync_exclude = Some(text()?),
            Kind::Active => self.active = true,
            Kind::NoColumnDifference => self.column_differences = false,
            Kind::DataWithConversion => self.data_with_conversion = true,
            // Names are never checked, and nothing is confined.
            Kind::ServerName | Kind::NoConfinement => {}
            Kind::NoDatabases | Kind::Help | Kind::Version | Kind::Missing => {}
        }
        Ok(())
    }

    fn set_databases(&mut self, databases: Vec<String>, only_named: bool) -> Result<(), String> {
        if self.config_file.is_some() {
            if self.sync_from.is_some() || self.sync_exclude.is_some() || self.active {
                return Err("--config-file is mutually exclusive with --sync-from, \
                            --sync-exclude and --active"
                    .to_owned());
            }
            if !self.remotes.is_empty() {
                return Err("--config-file is mutually exclusive with --remote".to_owned());
            }
            if !databases.is_empty() {
                return Err("Databases should be specified in a config file".to_owned());
            }
        }
        let usual = databases.is_empty() && !only_named && self.config_file.is_none();
        self.databases = (!usual).then_some(databases);
        Ok(())
    }
}

fn text(value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("{}: is not UTF-8", value.to_string_lossy()))
}

/// `name` or `name=value`.
fn split(long: &[u8]) -> (String, Option<OsString>) {
    let equals = long.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals {
        Some(at) => (
            &long[..at],
            Some(OsString::from_vec(long[at + 1..].to_vec())),
        ),
        None => (long, None),
    };
    (String::from_utf8_lossy(name).into_owned(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> Options {
        match parse(line) {
            Ok(Request::Serve(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_usual_command_line() {
        let options = options(
            "--no-chdir --remote=punix:/d/db.sock --remote ptcp:6640:127.0.0.1 --unixctl=/d/db.ctl \
             --pidfile=/d/db.pid --log-file -vconsole:off -v --durable=always a.db --detach -- -b.db",
        );
        let remotes: Vec<_> = options.remotes.keys().map(String::as_str).collect();
        assert_eq!(remotes, ["ptcp:6640:127.0.0.1", "punix:/d/db.sock"]);
        assert_eq!(options.control, Some(Some("/d/db.ctl".into())));
        assert_eq!(options.pid_file, Some(Some("/d/db.pid".into())));
        assert_eq!(options.log_file, Some(None));
        assert_eq!(options.verbosity, ["console:off", ""]);
        assert_eq!(options.durability, Durability::Always);
        assert!(options.detach && options.stay && !options.part.is_detached());
        let databases = ["a.db", "-b.db"].map(str::to_owned);
        assert_eq!(options.databases, Some(databases.to_vec()));
    }

    #[test]
    fn keys_and_parts() {
        let options = options(
            "-p key.pem -c db:D,SSL,certificate --bootstrap-ca-cert=ca.pem --ssl-protocols TLSv1.3 \
             --no-dbs --process-part=detached-saving-worker",
        );
        assert_eq!(options.tls.key.as_deref(), Some("key.pem"));
        assert_eq!(
            options.tls.certificate.as_deref(),
            Some("db:D,SSL,certificate")
        );
        assert_eq!(options.tls.authorities.as_deref(), Some("ca.pem"));
        assert!(options.tls.bootstrap);
        assert_eq!(options.tls.protocols.as_deref(), Some("TLSv1.3"));
        assert_eq!(options.databases, Some(Vec::new()));
        assert!(options.part.is_detached());
    }

    #[test]
    fn defaults_and_short_ways() {
        assert_eq!(options(""), Options::default());
        assert_eq!(options("--unixctl=none").control, Some(None));
        assert_eq!(options("--pid").pid_file, Some(None));
        for (line, request) in [
            ("--version", Request::Version),
            ("-V x", Request::Version),
            ("-h", Request::Help),
            ("--help", Request::Help),
        ] {
            assert_eq!(parse(line), Ok(request));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, error) in [
            ("--bogus", "unrecognized option '--bogus'"),
            ("--re=x", "option '--re' is ambiguous"),
            ("-x", "invalid option -- 'x'"),
            ("--detach=1", "option '--detach' doesn't allow an argument"),
            ("--remote", "option '--remote' requires an argument"),
            (
                "--durable=never",
                "--durable=never: must be always or asked",
            ),
            (
                "--replay",
                "option '--replay' is not supported by this server",
            ),
            (
                "--config-file=a --remote=punix:b",
                "--config-file is mutually exclusive with --remote",
            ),
            (
                "--config-file=a --active",
                "--config-file is mutually exclusive with --sync-from, --sync-exclude and --active",
            ),
            (
                "--config-file=a b.db",
                "Databases should be specified in a config file",
            ),
        ] {
            assert_eq!(parse(line), Err(error.to_owned()), "{line}");
        }
    }
}
