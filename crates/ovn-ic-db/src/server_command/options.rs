//! The command line of ovsdb-server(1), as far as it is known here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use ovsdb_server::remote::Remote;

use crate::settings::Durability;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `--remote`, with the text that `ovsdb-server/list-remotes` shows.
    pub remotes: Vec<(String, Remote)>,
    /// `--unixctl`; `None` inside is `none`: no control socket.
    pub control: Option<Option<PathBuf>>,
    /// `--pidfile`; `None` inside is the usual place.
    pub pid_file: Option<Option<PathBuf>>,
    /// `--log-file`; `None` inside is the usual place.
    pub log_file: Option<Option<PathBuf>>,
    /// `-v`, `--verbose`: specifications as of `vlog/set`, in order. An empty one is `-v` alone.
    pub verbosity: Vec<String>,
    /// `--durable`, which only this server has.
    pub durability: Durability,
    /// `--detach`.
    pub detach: bool,
    /// `--no-chdir`.
    pub stay: bool,
    /// `--detached`, which the program gives itself: it is the process in the background.
    pub detached: bool,
    /// The database files.
    pub databases: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            remotes: Vec::new(),
            control: None,
            pid_file: None,
            log_file: None,
            verbosity: Vec::new(),
            durability: Durability::Asked,
            detach: false,
            stay: false,
            detached: false,
            databases: Vec::new(),
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

/// Whether an option has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Never.
    None,
    /// Only as `--name=value`.
    Optional,
    /// As `--name=value` or `--name value`.
    Needed,
}

/// What an option is, when its value is there.
#[derive(Clone, Copy)]
enum Kind {
    Remote,
    Control,
    PidFile,
    LogFile,
    Verbose,
    Durable,
    Detach,
    NoChdir,
    Detached,
    Help,
    Version,
    /// The reference has it, this server does not.
    Missing,
}

/// An option's name, its value, what it is.
type Known = (&'static str, Value, Kind);

/// Every option of the reference, and ours.
const KNOWN: &[Known] = &[
    ("remote", Value::Needed, Kind::Remote),
    ("unixctl", Value::Needed, Kind::Control),
    ("pidfile", Value::Optional, Kind::PidFile),
    ("log-file", Value::Optional, Kind::LogFile),
    ("verbose", Value::Optional, Kind::Verbose),
    ("durable", Value::Needed, Kind::Durable),
    ("detach", Value::None, Kind::Detach),
    ("no-chdir", Value::None, Kind::NoChdir),
    (DETACHED, Value::None, Kind::Detached),
    ("help", Value::None, Kind::Help),
    ("version", Value::None, Kind::Version),
    ("monitor", Value::None, Kind::Missing),
    ("user", Value::Needed, Kind::Missing),
    ("overwrite-pidfile", Value::None, Kind::Missing),
    ("no-self-confinement", Value::None, Kind::Missing),
    ("private-key", Value::Needed, Kind::Missing),
    ("certificate", Value::Needed, Kind::Missing),
    ("ca-cert", Value::Needed, Kind::Missing),
    ("bootstrap-ca-cert", Value::Needed, Kind::Missing),
    ("peer-ca-cert", Value::Needed, Kind::Missing),
    ("ssl-protocols", Value::Needed, Kind::Missing),
    ("ssl-ciphers", Value::Needed, Kind::Missing),
    ("syslog-method", Value::Needed, Kind::Missing),
    ("syslog-target", Value::Needed, Kind::Missing),
    ("sync-from", Value::Needed, Kind::Missing),
    ("sync-exclude-tables", Value::Needed, Kind::Missing),
    ("active", Value::None, Kind::Missing),
    ("record", Value::Optional, Kind::Missing),
    ("replay", Value::Optional, Kind::Missing),
    ("run", Value::Needed, Kind::Missing),
    ("disable-file-column-diff", Value::None, Kind::Missing),
    ("config-file", Value::Needed, Kind::Missing),
];

/// The hidden option of the process in the background.
pub const DETACHED: &str = "detached-process";

/// One letter for a long name.
const SHORT: &[(u8, &str)] = &[
    (b'v', "verbose"),
    (b'h', "help"),
    (b'V', "version"),
    (b'p', "private-key"),
    (b'c', "certificate"),
    (b'C', "ca-cert"),
];

impl Request {
    /// Understands the arguments behind the program's name. Options and files come in any order;
    /// behind `--` there are only files.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
        let mut arguments = arguments.into_iter();
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            let bytes = argument.as_bytes();
            if bytes == b"--" {
                options
                    .databases
                    .extend(arguments.by_ref().map(PathBuf::from));
                break;
            }
            let (shown, known, attached) = if let Some(long) = bytes.strip_prefix(b"--") {
                let (name, value) = split(long);
                (format!("--{name}"), find(&name)?, value)
            } else if bytes.len() > 1 && bytes[0] == b'-' {
                let long = SHORT.iter().find(|(letter, _)| *letter == bytes[1]);
                let letter = char::from(bytes[1]);
                let (_, name) = long.ok_or_else(|| format!("invalid option -- '{letter}'"))?;
                let rest = (bytes.len() > 2).then(|| OsStr::from_bytes(&bytes[2..]).to_owned());
                (format!("-{letter}"), find(name)?, rest)
            } else {
                options.databases.push(PathBuf::from(argument));
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
                kind => options.set(kind, value)?,
            }
        }
        Ok(Request::Serve(Box::new(options)))
    }
}

impl Options {
    fn set(&mut self, kind: Kind, value: Option<OsString>) -> Result<(), String> {
        let path = || value.clone().map(PathBuf::from);
        let text = || {
            let value = value.clone().unwrap_or_default();
            value
                .into_string()
                .map_err(|value| format!("{}: is not UTF-8", value.to_string_lossy()))
        };
        match kind {
            Kind::Remote => {
                let text = text()?;
                let remote = text.parse().map_err(|error| format!("{error}"))?;
                self.remotes.push((text, remote));
            }
            Kind::Control => {
                self.control = Some(path().filter(|path| path.as_os_str() != "none"));
            }
            Kind::PidFile => self.pid_file = Some(path()),
            Kind::LogFile => self.log_file = Some(path()),
            Kind::Verbose => self.verbosity.push(text()?),
            Kind::Durable => {
                let text = text()?;
                self.durability = Durability::parse(&text)
                    .ok_or_else(|| format!("--durable={text}: must be always or asked"))?;
            }
            Kind::Detach => self.detach = true,
            Kind::NoChdir => self.stay = true,
            Kind::Detached => self.detached = true,
            Kind::Help | Kind::Version | Kind::Missing => {}
        }
        Ok(())
    }
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

/// An option by its name, or by a beginning that is no other's (getopt_long(3)).
fn find(name: &str) -> Result<Known, String> {
    if let Some(known) = KNOWN.iter().find(|(known, ..)| *known == name) {
        return Ok(*known);
    }
    let mut meant = KNOWN
        .iter()
        .filter(|(known, ..)| known.starts_with(name) && *known != DETACHED);
    match (meant.next(), meant.next()) {
        (Some(known), None) => Ok(*known),
        (Some(_), Some(_)) => Err(format!("option '--{name}' is ambiguous")),
        (None, _) => Err(format!("unrecognized option '--{name}'")),
    }
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
        let remotes: Vec<_> = options
            .remotes
            .iter()
            .map(|(text, _)| text.as_str())
            .collect();
        assert_eq!(remotes, ["punix:/d/db.sock", "ptcp:6640:127.0.0.1"]);
        assert_eq!(options.control, Some(Some("/d/db.ctl".into())));
        assert_eq!(options.pid_file, Some(Some("/d/db.pid".into())));
        assert_eq!(options.log_file, Some(None));
        assert_eq!(options.verbosity, ["console:off", ""]);
        assert_eq!(options.durability, Durability::Always);
        assert!(options.detach && options.stay && !options.detached);
        assert_eq!(options.databases, [PathBuf::from("a.db"), "-b.db".into()]);
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
            ("--remote=foo:1", "foo:1: unknown connection method"),
            (
                "--durable=never",
                "--durable=never: must be always or asked",
            ),
            (
                "--monitor",
                "option '--monitor' is not supported by this server",
            ),
            ("-p key", "option '-p' is not supported by this server"),
        ] {
            assert_eq!(parse(line), Err(error.to_owned()), "{line}");
        }
    }
}
