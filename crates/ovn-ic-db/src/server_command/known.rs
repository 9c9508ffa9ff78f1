//! Every option that ovsdb-server(1) knows, and ours.

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Never.
    None,
    /// Only as `--name=value`.
    Optional,
    /// As `--name=value` or `--name value`.
    Needed,
}

/// What an option is, when its value is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--remote`.
    Remote,
    /// `--unixctl`.
    Control,
    /// `--run`.
    Run,
    /// `--no-dbs`.
    NoDatabases,
    /// `--config-file`.
    ConfigFile,
    /// `--pidfile`.
    PidFile,
    /// `--overwrite-pidfile`.
    OverwritePidFile,
    /// `--log-file`.
    LogFile,
    /// `--verbose`.
    Verbose,
    /// `--syslog-method`.
    SyslogMethod,
    /// `--syslog-target`.
    SyslogTarget,
    /// `--durable`.
    Durable,
    /// `--detach`.
    Detach,
    /// `--monitor`.
    Monitor,
    /// `--no-chdir`.
    NoChdir,
    /// `--no-self-confinement`.
    NoConfinement,
    /// `--user`.
    User,
    /// `--private-key`.
    Key,
    /// `--certificate`.
    Certificate,
    /// `--ca-cert`.
    Authorities,
    /// `--bootstrap-ca-cert`.
    BootstrapAuthorities,
    /// `--peer-ca-cert`.
    PeerAuthorities,
    /// `--ssl-protocols`.
    Protocols,
    /// `--ssl-ciphers`.
    Ciphers,
    /// `--ssl-ciphersuites`.
    CipherSuites,
    /// `--ssl-server-name`.
    ServerName,
    /// `--sync-from`.
    SyncFrom,
    /// `--sync-exclude-tables`.
    SyncExclude,
    /// `--active`.
    Active,
    /// `--disable-file-column-diff`.
    NoColumnDifference,
    /// `--disable-file-no-data-conversion`.
    DataWithConversion,
    /// The process's part, which the program gives itself.
    Part,
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// The reference has it, this server does not.
    Missing,
}

/// An option's name, its value, what it is.
pub type Known = (&'static str, Value, Kind);

/// The hidden option of processes that the program starts itself.
pub const PART: &str = "process-part";

/// Every option.
const KNOWN: &[Known] = &[
    ("remote", Value::Needed, Kind::Remote),
    ("unixctl", Value::Needed, Kind::Control),
    ("run", Value::Needed, Kind::Run),
    ("no-dbs", Value::None, Kind::NoDatabases),
    ("config-file", Value::Needed, Kind::ConfigFile),
    ("pidfile", Value::Optional, Kind::PidFile),
    ("overwrite-pidfile", Value::None, Kind::OverwritePidFile),
    ("log-file", Value::Optional, Kind::LogFile),
    ("verbose", Value::Optional, Kind::Verbose),
    ("syslog-method", Value::Needed, Kind::SyslogMethod),
    ("syslog-target", Value::Needed, Kind::SyslogTarget),
    ("durable", Value::Needed, Kind::Durable),
    ("detach", Value::None, Kind::Detach),
    ("monitor", Value::None, Kind::Monitor),
    ("no-chdir", Value::None, Kind::NoChdir),
    ("no-self-confinement", Value::None, Kind::NoConfinement),
    ("user", Value::Needed, Kind::User),
    ("private-key", Value::Needed, Kind::Key),
    ("certificate", Value::Needed, Kind::Certificate),
    ("ca-cert", Value::Needed, Kind::Authorities),
    (
        "bootstrap-ca-cert",
        Value::Needed,
        Kind::BootstrapAuthorities,
    ),
    ("peer-ca-cert", Value::Needed, Kind::PeerAuthorities),
    ("ssl-protocols", Value::Needed, Kind::Protocols),
    ("ssl-ciphers", Value::Needed, Kind::Ciphers),
    ("ssl-ciphersuites", Value::Needed, Kind::CipherSuites),
    ("ssl-server-name", Value::Needed, Kind::ServerName),
    ("sync-from", Value::Needed, Kind::SyncFrom),
    ("sync-exclude-tables", Value::Needed, Kind::SyncExclude),
    ("active", Value::None, Kind::Active),
    (
        "disable-file-column-diff",
        Value::None,
        Kind::NoColumnDifference,
    ),
    (
        "disable-file-no-data-conversion",
        Value::None,
        Kind::DataWithConversion,
    ),
    (PART, Value::Needed, Kind::Part),
    ("help", Value::None, Kind::Help),
    ("version", Value::None, Kind::Version),
    ("record", Value::Optional, Kind::Missing),
    ("replay", Value::Optional, Kind::Missing),
];

/// One letter for a long name.
const SHORT: &[(u8, &str)] = &[
    (b'v', "verbose"),
    (b'h', "help"),
    (b'V', "version"),
    (b'p', "private-key"),
    (b'c', "certificate"),
    (b'C', "ca-cert"),
];

/// An option by its name, or by a beginning that is no other's (getopt_long(3)).
///
/// # Errors
/// The C library's words.
pub fn find(name: &str) -> Result<Known, String> {
    if let Some(known) = KNOWN.iter().find(|(known, ..)| *known == name) {
        return Ok(*known);
    }
    let mut meant = KNOWN
        .iter()
        .filter(|(known, ..)| known.starts_with(name) && *known != PART);
    match (meant.next(), meant.next()) {
        (Some(known), None) => Ok(*known),
        (Some(_), Some(_)) => Err(format!("option '--{name}' is ambiguous")),
        (None, _) => Err(format!("unrecognized option '--{name}'")),
    }
}

/// An option by its letter.
///
/// # Errors
/// The C library's words.
pub fn find_letter(letter: u8) -> Result<Known, String> {
    let long = SHORT.iter().find(|(short, _)| *short == letter);
    let (_, name) = long.ok_or_else(|| format!("invalid option -- '{}'", char::from(letter)))?;
    find(name)
}
