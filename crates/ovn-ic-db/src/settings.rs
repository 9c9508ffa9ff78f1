//! What an operator can set: flags, each with an environment variable, and the
//! variables of the deployment that this program replaces.
//!
//! A flag wins over its variable. An empty variable counts as unset, as shell
//! scripts take it; only an empty `TS_NAME` says something: make no switch.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::folders::Named;
use crate::transit_switches::{Families, MOST_SWITCHES, Wanted};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "ovn-ic-db",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub struct CommandLine {
    /// What to do; without it, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `run`, which may come without the word.
    #[command(flatten)]
    pub run: RunFlags,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve both interconnection databases (the default)
    Run(RunFlags),
    /// Serve any database with ovsdb-server's command line
    #[command(disable_help_flag = true)]
    OvsdbServer {
        /// ovsdb-server's options and database files, and --durable=always|asked
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// The flags of `run` as they were typed. They stay text here, so that a wrong
/// flag and a wrong variable are told in the same way.
#[derive(Debug, Clone, Default, Args)]
pub struct RunFlags {
    /// Client port of the northbound database; 0 takes any free one [default: 6645]
    #[arg(long, value_name = "PORT")]
    pub nb_port: Option<String>,
    /// Client port of the southbound database; 0 takes any free one [default: 6646]
    #[arg(long, value_name = "PORT")]
    pub sb_port: Option<String>,
    /// Addresses to listen on [default: all of this host]
    #[arg(long, value_name = "ADDRESS,...")]
    pub listen: Option<String>,
    /// Which writes are answered after their fsync: always, or asked for [default: always]
    #[arg(long, value_name = "always|asked")]
    pub durable: Option<String>,
    /// Folder of the database files [default: /etc/ovn]
    #[arg(long, value_name = "FOLDER")]
    pub db_dir: Option<OsString>,
    /// Folder of sockets and pid files [default: /var/run/ovn]
    #[arg(long, value_name = "FOLDER")]
    pub run_dir: Option<OsString>,
    /// Folder of the log files [default: /var/log/ovn]
    #[arg(long, value_name = "FOLDER")]
    pub log_dir: Option<OsString>,
    /// Seconds of silence after which a client is probed; 0 never [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub probe_interval: Option<String>,
    /// What is logged: off, error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// One variable that `run` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The flag that says the same, if there is one.
    pub flag: Option<&'static str>,
    /// The default as docs/configuration.md has it.
    pub default: &'static str,
}

const fn variable(
    name: &'static str,
    flag: Option<&'static str>,
    default: &'static str,
) -> Variable {
    Variable {
        name,
        flag,
        default,
    }
}

/// Every variable that `run` knows. The table in docs/configuration.md has the same names and
/// defaults (a test compares them), and what begins like ours and is not here
/// is a slip that deserves a warning.
pub const VARIABLES: &[Variable] = &[
    variable("OVN_IC_DB_NB_PORT", Some("--nb-port"), "6645"),
    variable("OVN_IC_DB_SB_PORT", Some("--sb-port"), "6646"),
    variable("OVN_IC_DB_LISTEN", Some("--listen"), "all addresses"),
    variable("OVN_IC_DB_DURABLE", Some("--durable"), "always"),
    variable("OVN_IC_DB_DB_DIR", Some("--db-dir"), "/etc/ovn"),
    variable("OVN_IC_DB_RUN_DIR", Some("--run-dir"), "/var/run/ovn"),
    variable("OVN_IC_DB_LOG_DIR", Some("--log-dir"), "/var/log/ovn"),
    variable("OVN_IC_DB_PROBE_INTERVAL", Some("--probe-interval"), "5"),
    variable("OVN_IC_DB_LOG_LEVEL", Some("--log-level"), "info"),
    variable("OVN_DBDIR", Some("--db-dir"), "/etc/ovn"),
    variable("OVN_RUNDIR", Some("--run-dir"), "/var/run/ovn"),
    variable("OVN_LOGDIR", Some("--log-dir"), "/var/log/ovn"),
    variable("TS_NUM", None, "unset"),
    variable("ENABLE_OVN_LEADER_CHECK", None, "true"),
    variable("OVN_LEADER_PROBE_INTERVAL", None, "5"),
    variable("POD_IPS", None, "unset"),
    variable("TS_NAME", None, "ts"),
    variable("TS_CIDR", None, "by PROTOCOL"),
    variable("PROTOCOL", None, "ipv4"),
    variable("ENABLE_SSL", None, "false"),
    variable("ENABLE_BIND_LOCAL_IP", None, "true"),
    variable("POD_IP", None, "unset"),
    variable("POD_NAME", None, "unset"),
    variable("POD_NAMESPACE", None, "unset"),
    variable("LOCAL_IP", None, "unset"),
    variable("NODE_IPS", None, "unset"),
    variable("LEADER_IP", None, "unset"),
];

/// Names how the program itself is found by the project's tests: no setting.
const NOT_SETTINGS: &[&str] = &["OVN_IC_DB_BIN"];

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After its fsync.
    Always,
    /// At once, except where the client asks (RFC 7047 5.2.7).
    Asked,
}

/// Everything that `run` goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Client port of the northbound database; 0 is any free one.
    pub nb_port: u16,
    /// Client port of the southbound database; 0 is any free one.
    pub sb_port: u16,
    /// Addresses to listen on; empty means all, IPv6 and IPv4.
    pub listen: Vec<IpAddr>,
    /// When writes are answered.
    pub durability: Durability,
    /// The folders that were named.
    pub folders: Named,
    /// Silence after which a client is probed; `None` never.
    pub probe_interval: Option<Duration>,
    /// What is logged at first.
    pub log_level: LevelFilter,
    /// The transit switches to keep.
    pub transit_switches: Wanted,
    /// How often to look after them when `transit_switches` is a number.
    pub transit_switch_interval: Duration,
    /// Lines to log as warnings on start.
    pub warnings: Vec<String>,
}

/// A setting that cannot be used; the program ends with status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    source: String,
    value: String,
    reason: String,
}

impl SettingError {
    /// The exit status for a wrong command line or environment.
    pub const EXIT_STATUS: u8 = 2;
}

impl fmt::Display for SettingError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}: {}", self.source, self.value, self.reason)
    }
}

impl std::error::Error for SettingError {}

/// A value and the flag or variable that it came by.
struct Given {
    source: &'static str,
    value: String,
}

impl Given {
    fn refuse(&self, reason: impl Into<String>) -> SettingError {
        SettingError {
            source: self.source.to_owned(),
            value: self.value.clone(),
            reason: reason.into(),
        }
    }

    fn number(&self, most: u64) -> Result<u64, SettingError> {
        match self.value.trim().parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(self.refuse(format!("must be a number from 0 to {most}"))),
        }
    }

    fn boolean(&self) -> Result<bool, SettingError> {
        match self.value.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.refuse("must be true or false")),
        }
    }
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A variable that is set and not empty, as text.
fn from_variable(
    environment: Environment<'_>,
    source: &'static str,
) -> Result<Option<Given>, SettingError> {
    match environment(source) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => match value.into_string() {
            Ok(value) => Ok(Some(Given { source, value })),
            Err(value) => Err(SettingError {
                source: source.to_owned(),
                value: value.to_string_lossy().into_owned(),
                reason: "is not UTF-8".to_owned(),
            }),
        },
    }
}

impl Settings {
    /// Makes settings of flags and environment. Pure: the same input gives the
    /// same settings, and nothing of the machine is looked at.
    pub fn resolve(flags: &RunFlags, environment: Environment<'_>) -> Result<Self, SettingError> {
        let variable = |name| from_variable(environment, name);
        let given = |flag: &'static str, value: &Option<String>, name| match value {
            Some(value) => Ok(Some(Given {
                source: flag,
                value: value.clone(),
            })),
            None => variable(name),
        };
        let boolean = |name, default| match variable(name)? {
            Some(given) => given.boolean(),
            None => Ok(default),
        };
        let port = |given: Option<Given>, default: u16| match given {
            None => Ok(default),
            Some(given) => match u16::try_from(given.number(u64::from(u16::MAX))?) {
                Ok(port) => Ok(port),
                Err(_) => Err(given.refuse("is no port")),
            },
        };
        for name in ["NODE_IPS", "LOCAL_IP", "LEADER_IP"] {
            if let Some(given) = variable(name)? {
                return Err(given.refuse(
                    "this version runs on one node only and cannot form a cluster; unset NODE_IPS, LOCAL_IP and LEADER_IP to run standalone",
                ));
            }
        }
        let mut warnings = Vec::new();
        if boolean("ENABLE_SSL", false)? {
            warnings.push(
                "ENABLE_SSL=true: this version has no TLS: clients are served in PLAIN TEXT, as the replaced servers do"
                    .to_owned(),
            );
        }
        // Of effect in a cluster only; a wrong value is wrong all the same.
        boolean("ENABLE_BIND_LOCAL_IP", true)?;

        let nb_port = port(
            given("--nb-port", &flags.nb_port, "OVN_IC_DB_NB_PORT")?,
            6645,
        )?;
        let sb_given = given("--sb-port", &flags.sb_port, "OVN_IC_DB_SB_PORT")?;
        let sb_port = port(sb_given, 6646)?;
        if nb_port == sb_port && nb_port != 0 {
            return Err(SettingError {
                source: "--sb-port".to_owned(),
                value: sb_port.to_string(),
                reason: "the northbound database has this port already".to_owned(),
            });
        }
        let listen = match given("--listen", &flags.listen, "OVN_IC_DB_LISTEN")? {
            Some(given) => addresses(&given)?,
            None => Vec::new(),
        };
        let durability = match given("--durable", &flags.durable, "OVN_IC_DB_DURABLE")? {
            None => Durability::Always,
            Some(given) => match given.value.trim() {
                "always" => Durability::Always,
                "asked" => Durability::Asked,
                _ => return Err(given.refuse("must be always or asked")),
            },
        };
        let probe = given(
            "--probe-interval",
            &flags.probe_interval,
            "OVN_IC_DB_PROBE_INTERVAL",
        )?;
        let probe_interval = match probe {
            None => 5,
            Some(given) => given.number(86_400)?,
        };
        let log_level = match given("--log-level", &flags.log_level, "OVN_IC_DB_LOG_LEVEL")? {
            None => LevelFilter::INFO,
            Some(given) => level(&given)?,
        };
        let interval = match variable("OVN_LEADER_PROBE_INTERVAL")? {
            None => 5,
            Some(given) => match given.number(86_400)? {
                0 => return Err(given.refuse("must be at least 1 second")),
                seconds => seconds,
            },
        };
        Ok(Settings {
            nb_port,
            sb_port,
            listen,
            durability,
            folders: Named {
                databases: folder(&flags.db_dir, environment, "OVN_IC_DB_DB_DIR", "OVN_DBDIR"),
                run: folder(
                    &flags.run_dir,
                    environment,
                    "OVN_IC_DB_RUN_DIR",
                    "OVN_RUNDIR",
                ),
                logs: folder(
                    &flags.log_dir,
                    environment,
                    "OVN_IC_DB_LOG_DIR",
                    "OVN_LOGDIR",
                ),
            },
            probe_interval: (probe_interval > 0).then(|| Duration::from_secs(probe_interval)),
            log_level,
            transit_switches: transit_switches(environment)?,
            transit_switch_interval: Duration::from_secs(interval),
            warnings,
        })
    }

    /// A warning for each variable that begins like ours and is none of ours.
    pub fn unknown_variables(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
        let known = |name: &str| {
            VARIABLES.iter().any(|variable| variable.name == name) || NOT_SETTINGS.contains(&name)
        };
        let mut unknown: Vec<String> = names
            .into_iter()
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name.starts_with("OVN_IC_DB_") && !known(name))
            .collect();
        unknown.sort();
        unknown
            .into_iter()
            .map(|name| format!("the environment variable {name} is not known and has no effect"))
            .collect()
    }
}

fn folder(
    flag: &Option<OsString>,
    environment: Environment<'_>,
    own: &str,
    usual: &str,
) -> Option<PathBuf> {
    flag.clone()
        .or_else(|| environment(own).filter(|value| !value.is_empty()))
        .or_else(|| environment(usual).filter(|value| !value.is_empty()))
        .map(PathBuf::from)
}

/// Addresses between commas; IPv6 ones bare or in brackets.
fn addresses(given: &Given) -> Result<Vec<IpAddr>, SettingError> {
    given
        .value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let bare = part
                .strip_prefix('[')
                .and_then(|part| part.strip_suffix(']'))
                .unwrap_or(part);
            bare.parse()
                .map_err(|_| given.refuse(format!("{part} is no IP address")))
        })
        .collect()
}

fn level(given: &Given) -> Result<LevelFilter, SettingError> {
    Ok(match given.value.trim() {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(given.refuse("must be off, error, warn, info, debug or trace")),
    })
}

fn transit_switches(environment: Environment<'_>) -> Result<Wanted, SettingError> {
    let variable = |name| from_variable(environment, name);
    let by_protocol = match variable("PROTOCOL")? {
        None => Families::V4,
        Some(given) => match given.value.trim() {
            "ipv4" => Families::V4,
            "ipv6" => Families::V6,
            "dual" => Families::Dual,
            _ => return Err(given.refuse("must be ipv4, ipv6 or dual")),
        },
    };
    let cidr = variable("TS_CIDR")?;
    if let Some(given) = &cidr {
        check_subnet(given)?;
    }
    let leader_check = match variable("ENABLE_OVN_LEADER_CHECK")? {
        Some(given) => given.boolean()?,
        None => true,
    };
    if let Some(given) = variable("TS_NUM")? {
        let count = given.number(u64::from(MOST_SWITCHES))?;
        if leader_check {
            let families = match variable("POD_IPS")? {
                None => by_protocol,
                Some(given) => {
                    let addresses = addresses(&given)?;
                    let v4 = addresses.iter().any(IpAddr::is_ipv4);
                    let v6 = addresses.iter().any(IpAddr::is_ipv6);
                    match (v4, v6) {
                        (true, true) => Families::Dual,
                        (false, true) => Families::V6,
                        _ => Families::V4,
                    }
                }
            };
            return Ok(Wanted::Number {
                // `number` has checked the bound, which fits.
                count: u32::try_from(count).unwrap_or(MOST_SWITCHES),
                families,
            });
        }
    }
    if environment("TS_NAME").is_some_and(|name| name.is_empty()) {
        return Ok(Wanted::Nothing);
    }
    Ok(Wanted::One {
        name: variable("TS_NAME")?.map_or_else(|| "ts".to_owned(), |given| given.value),
        explicit: cidr.is_some(),
        subnet: cidr.map_or_else(|| by_protocol.subnet(0), |given| given.value),
    })
}

/// One subnet, or one of each family.
fn check_subnet(given: &Given) -> Result<(), SettingError> {
    let mut seen = [false; 2];
    for part in given.value.split(',') {
        let (address, length) = part
            .split_once('/')
            .ok_or_else(|| given.refuse(format!("{part} is no subnet (ADDRESS/LENGTH)")))?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| given.refuse(format!("{address} is no IP address")))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if !length.parse::<u8>().is_ok_and(|length| length <= most) {
            return Err(given.refuse(format!("{length} is no prefix length")));
        }
        let family = &mut seen[usize::from(address.is_ipv6())];
        if std::mem::replace(family, true) {
            return Err(given.refuse("has two subnets of one family"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> Result<Settings, String> {
        resolve_with(&RunFlags::default(), variables)
    }

    fn resolve_with(flags: &RunFlags, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Settings::resolve(flags, &environment).map_err(|error| error.to_string())
    }

    fn one(name: &str, subnet: &str, explicit: bool) -> Wanted {
        Wanted::One {
            name: name.into(),
            subnet: subnet.into(),
            explicit,
        }
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let settings = resolve(&[]).expect("settings");
        assert_eq!((settings.nb_port, settings.sb_port), (6645, 6646));
        assert!(settings.listen.is_empty() && settings.warnings.is_empty());
        assert_eq!(settings.durability, Durability::Always);
        assert_eq!(settings.probe_interval, Some(Duration::from_secs(5)));
        assert_eq!(settings.log_level, LevelFilter::INFO);
        assert_eq!(settings.folders, Named::default());
        let wanted = one("ts", "169.254.100.0/24", false);
        assert_eq!(settings.transit_switches, wanted);
        // A script that passes everything on, empty, changes nothing but TS_NAME.
        let empty: Vec<(&str, &str)> = VARIABLES
            .iter()
            .filter(|variable| variable.name != "TS_NAME")
            .map(|variable| (variable.name, ""))
            .collect();
        assert_eq!(resolve(&empty), Ok(settings));
    }

    #[test]
    fn flags_win_over_variables() {
        let flags = RunFlags {
            nb_port: Some("0".into()),
            db_dir: Some("/flag".into()),
            listen: Some("127.0.0.1, [::1],fd00::1".into()),
            ..RunFlags::default()
        };
        let variables = [
            ("OVN_IC_DB_NB_PORT", "7000"),
            ("OVN_IC_DB_SB_PORT", "7001"),
            ("OVN_DBDIR", "/usual"),
            ("OVN_RUNDIR", "/usual"),
            ("OVN_IC_DB_RUN_DIR", "/own"),
            ("OVN_LOGDIR", "/usual"),
            ("OVN_IC_DB_PROBE_INTERVAL", "0"),
        ];
        let settings = resolve_with(&flags, &variables).expect("settings");
        assert_eq!((settings.nb_port, settings.sb_port), (0, 7001));
        assert_eq!(settings.folders.databases, Some("/flag".into()));
        assert_eq!(settings.folders.run, Some("/own".into()));
        assert_eq!(settings.folders.logs, Some("/usual".into()));
        assert_eq!(settings.listen.len(), 3);
        assert_eq!(settings.probe_interval, None);
    }

    #[test]
    fn transit_switches_follow_the_old_variables() {
        let number = |count, families| Wanted::Number { count, families };
        type Case<'a> = (&'a [(&'a str, &'a str)], Wanted);
        let cases: &[Case<'_>] = &[
            (&[("TS_NAME", "")], Wanted::Nothing),
            (&[("TS_NAME", "x")], one("x", "169.254.100.0/24", false)),
            (
                &[("PROTOCOL", "ipv6")],
                one("ts", "fe80:a9fe:64::/112", false),
            ),
            (
                &[("PROTOCOL", "dual")],
                one("ts", "169.254.100.0/24,fe80:a9fe:64::/112", false),
            ),
            (
                &[("TS_CIDR", "10.0.0.0/24")],
                one("ts", "10.0.0.0/24", true),
            ),
            (&[("TS_NUM", "3")], number(3, Families::V4)),
            (
                &[("TS_NUM", "3"), ("POD_IPS", "fd00::1")],
                number(3, Families::V6),
            ),
            (
                &[("TS_NUM", "0"), ("POD_IPS", "10.0.0.1,fd00::1")],
                number(0, Families::Dual),
            ),
            (
                &[("TS_NUM", "3"), ("ENABLE_OVN_LEADER_CHECK", "false")],
                one("ts", "169.254.100.0/24", false),
            ),
        ];
        for (variables, wanted) in cases {
            let settings = resolve(variables).expect("settings");
            assert_eq!(&settings.transit_switches, wanted, "{variables:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_variable() {
        for (name, value) in [
            ("OVN_IC_DB_NB_PORT", "65536"),
            ("OVN_IC_DB_NB_PORT", "6646"),
            ("OVN_IC_DB_SB_PORT", "-1"),
            ("OVN_IC_DB_LISTEN", "host"),
            ("OVN_IC_DB_DURABLE", "never"),
            ("OVN_IC_DB_LOG_LEVEL", "loud"),
            ("OVN_IC_DB_PROBE_INTERVAL", "5s"),
            ("OVN_LEADER_PROBE_INTERVAL", "0"),
            ("TS_NUM", "157"),
            ("TS_CIDR", "10.0.0.0/33"),
            ("TS_CIDR", "10.0.0.0/8,10.1.0.0/16"),
            ("PROTOCOL", "ipx"),
            ("ENABLE_SSL", "yes"),
            ("ENABLE_BIND_LOCAL_IP", "1"),
            ("NODE_IPS", "10.0.0.1,10.0.0.2"),
            ("LOCAL_IP", "10.0.0.1"),
            ("LEADER_IP", "10.0.0.1"),
        ] {
            let error = resolve(&[(name, value)]).expect_err(name);
            let names_it = error.starts_with(&format!("{name}={value}: "));
            assert!(names_it || value == "6646", "{error}");
        }
    }

    #[test]
    fn tls_is_not_silently_left_out_and_a_pod_address_is_no_cluster() {
        let settings = resolve(&[("ENABLE_SSL", "true"), ("POD_IP", "10.0.0.1")]);
        let warnings = settings.expect("settings").warnings;
        assert!(warnings[0].contains("PLAIN TEXT"), "{warnings:?}");
    }

    #[test]
    fn unknown_variables_of_ours_are_told() {
        let names = ["PATH", "OVN_IC_DB_NB_PROT", "OVN_IC_DB_NB_PORT"].map(OsString::from);
        let told = Settings::unknown_variables(names);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("OVN_IC_DB_NB_PROT"));
    }

    #[test]
    fn the_command_line_needs_no_subcommand() {
        let port = |line: &[&str]| {
            let parsed = CommandLine::try_parse_from(line).expect("parsed");
            match parsed.command {
                None => parsed.run.nb_port,
                Some(Command::Run(flags)) => flags.nb_port,
                Some(Command::OvsdbServer { arguments }) => Some(format!("{arguments:?}")),
            }
        };
        assert_eq!(port(&["ovn-ic-db"]), None);
        assert_eq!(port(&["ovn-ic-db", "--nb-port=1"]).as_deref(), Some("1"));
        assert_eq!(
            port(&["ovn-ic-db", "run", "--nb-port", "1"]).as_deref(),
            Some("1")
        );
        assert_eq!(
            port(&[
                "ovn-ic-db",
                "ovsdb-server",
                "--no-chdir",
                "-vconsole:off",
                "a.db"
            ])
            .as_deref(),
            Some(r#"["--no-chdir", "-vconsole:off", "a.db"]"#)
        );
    }

    #[test]
    fn the_document_has_every_variable_with_its_default() {
        let document = include_str!("../../../docs/configuration.md");
        for variable in VARIABLES {
            let name = format!("`{}`", variable.name);
            let row = document
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&name))
                .unwrap_or_else(|| panic!("{name} is missing in docs/configuration.md"));
            assert!(row.contains(variable.default), "{row}");
            assert!(variable.flag.is_none_or(|flag| row.contains(flag)), "{row}");
        }
    }
}
