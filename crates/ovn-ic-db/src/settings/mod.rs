//! What an operator can set: flags, each with an environment variable, and the
//! variables of the deployment that this program replaces.
//!
//! A flag wins over its variable. An empty variable counts as unset, as shell
//! scripts take it; only an empty `TS_NAME` says something: make no switch.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ovsdb_cluster::address::Transport;
use ovsdb_log::SyncPolicy;
use tracing::level_filters::LevelFilter;

use crate::command_line::RunFlags;
use crate::folders::Named;
use crate::logging::Shape;
use crate::schemas::Side;
use crate::transit_switches::Wanted;

mod cluster;
#[cfg(test)]
mod deployed;
mod given;
mod pod;
mod switches;
mod tls;
pub mod variables;

pub use cluster::ClusterSettings;
pub use given::SettingError;
use given::{Environment, Given, Sources, addresses, level, log_shape, own_address};
pub use pod::PodSettings;
use switches::transit_switches;
pub use tls::{TlsSettings, enabled as tls_enabled, files as key_files};

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After its fsync.
    Always,
    /// At once, except where the client asks (RFC 7047 5.2.7).
    Asked,
}

impl Durability {
    /// `always` or `asked`.
    pub fn parse(text: &str) -> Option<Durability> {
        match text {
            "always" => Some(Durability::Always),
            "asked" => Some(Durability::Asked),
            _ => None,
        }
    }

    /// What the log's acknowledgements wait for.
    pub fn policy(self) -> SyncPolicy {
        match self {
            Durability::Always => SyncPolicy::Always,
            Durability::Asked => SyncPolicy::Asked,
        }
    }
}

/// Everything that `run` goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Client port of the northbound database; 0 is any free one.
    pub nb_port: u16,
    /// Client port of the southbound database; 0 is any free one.
    pub sb_port: u16,
    /// Addresses to listen on for clients; empty means all, IPv6 and IPv4.
    pub listen: Vec<IpAddr>,
    /// The flag or variable that says so.
    listen_source: &'static str,
    /// What makes the node one of a cluster's; none is standalone.
    pub cluster: Option<ClusterSettings>,
    /// TLS; none where connections are not encrypted.
    pub tls: Option<TlsSettings>,
    /// When writes are answered.
    pub durability: Durability,
    /// The folders that were named.
    pub folders: Named,
    /// Silence after which a client is probed; `None` never.
    pub probe_interval: Option<Duration>,
    /// Where HTTP for machines is; none if it is off.
    pub http: Option<SocketAddr>,
    /// What is logged at first.
    pub log_level: LevelFilter,
    /// How its lines look.
    pub log_shape: Shape,
    /// The transit switches to keep.
    pub transit_switches: Wanted,
    /// How often to look after them when `transit_switches` is a number, and after the pod's labels.
    pub leader_probe_interval: Duration,
    /// The pod whose labels say what this server leads.
    pub pod: Option<PodSettings>,
    /// Lines to log as warnings on start.
    pub warnings: Vec<String>,
}

/// The longest interval that can be set, in seconds: a day.
const LONGEST_INTERVAL: u64 = 86_400;

impl Settings {
    /// Makes settings of flags and environment. Pure: the same input gives the
    /// same settings, and nothing of the machine is looked at.
    pub fn resolve(flags: &RunFlags, environment: Environment<'_>) -> Result<Self, SettingError> {
        let sources = Sources { environment };
        let mut warnings = Vec::new();
        let tls = TlsSettings::resolve(flags, &sources, &mut warnings)?;
        let transport = match &tls {
            Some(tls) if tls.cluster => Transport::Ssl,
            _ => Transport::Tcp,
        };
        let (cluster, listen_alone) =
            ClusterSettings::resolve(flags, &sources, transport, &mut warnings)?.unzip();

        let nb_port = sources.port("--nb-port", &flags.nb_port, "OVN_IC_DB_NB_PORT", 6645)?;
        let sb_port = sources.port("--sb-port", &flags.sb_port, "OVN_IC_DB_SB_PORT", 6646)?;
        if nb_port == sb_port && nb_port != 0 {
            let given = Given {
                source: "--sb-port",
                value: sb_port.to_string(),
            };
            return Err(given.refuse("the northbound database has this port already"));
        }
        let listen = sources.either("--listen", &flags.listen, "OVN_IC_DB_LISTEN")?;
        let (listen_source, listen) = match (listen, listen_alone.flatten()) {
            (Some(given), _) => (given.source, addresses(&given)?),
            (None, Some((source, address))) => (source, vec![address]),
            (None, None) => ("OVN_IC_DB_LISTEN", Vec::new()),
        };
        let durability = sources.either("--durable", &flags.durable, "OVN_IC_DB_DURABLE")?;
        let probe_interval = sources.either(
            "--probe-interval",
            &flags.probe_interval,
            "OVN_IC_DB_PROBE_INTERVAL",
        )?;
        let probe_interval = match probe_interval {
            None => 5,
            Some(given) => given.number(LONGEST_INTERVAL)?,
        };
        let http = match sources.either("--http", &flags.http, "OVN_IC_DB_HTTP")? {
            Some(given) => given.place()?,
            None => None,
        };
        let log_level =
            match sources.either("--log-level", &flags.log_level, "OVN_IC_DB_LOG_LEVEL")? {
                None => LevelFilter::INFO,
                Some(given) => level(&given)?,
            };
        let leader_probe_interval = match sources.variable("OVN_LEADER_PROBE_INTERVAL")? {
            None => 5,
            Some(given) => match given.number(LONGEST_INTERVAL)? {
                0 => return Err(given.refuse("must be at least 1 second")),
                seconds => seconds,
            },
        };
        let pod = PodSettings::resolve(&sources, &mut warnings)?;
        Ok(Settings {
            nb_port,
            sb_port,
            listen,
            listen_source,
            cluster,
            tls,
            durability: match durability {
                None => Durability::Always,
                Some(given) => Durability::parse(given.value.trim())
                    .ok_or_else(|| given.refuse("must be always or asked"))?,
            },
            folders: Named {
                databases: sources.folder(&flags.db_dir, "OVN_IC_DB_DB_DIR", "OVN_DBDIR"),
                run: Settings::run_folder(&flags.run_dir, environment),
                logs: sources.folder(&flags.log_dir, "OVN_IC_DB_LOG_DIR", "OVN_LOGDIR"),
            },
            probe_interval: (probe_interval > 0).then(|| Duration::from_secs(probe_interval)),
            http,
            log_level,
            log_shape: log_shape(&sources, &flags.log_format)?,
            transit_switches: transit_switches(&sources)?,
            leader_probe_interval: Duration::from_secs(leader_probe_interval),
            pod,
            warnings,
        })
    }

    /// Whether the addresses that are listened on are this machine's. Looks at the machine, and leaves
    /// nothing behind.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_addresses(&self) -> Result<(), SettingError> {
        if let Some(cluster) = &self.cluster {
            cluster.check_local()?;
        }
        for address in &self.listen {
            own_address(self.listen_source, *address)?;
        }
        // Or its flag.
        let http = self
            .http
            .map(|place| own_address("OVN_IC_DB_HTTP", place.ip()));
        http.unwrap_or(Ok(()))
    }

    /// How lines of the log look, by the variable alone.
    pub fn log_shape(environment: Environment) -> Result<Shape, SettingError> {
        log_shape(&Sources { environment }, &None)
    }

    /// The run folder, if one is named.
    pub fn run_folder(flag: &Option<OsString>, environment: Environment) -> Option<PathBuf> {
        Sources { environment }.folder(flag, "OVN_IC_DB_RUN_DIR", "OVN_RUNDIR")
    }

    /// The folder of the database files, by the flag `--db-dir` or the variables.
    pub fn database_folder(flag: &Option<OsString>, environment: Environment) -> Option<PathBuf> {
        Sources { environment }.folder(flag, "OVN_IC_DB_DB_DIR", "OVN_DBDIR")
    }

    /// A database's client port.
    pub fn port(&self, side: Side) -> u16 {
        match side {
            Side::Northbound => self.nb_port,
            Side::Southbound => self.sb_port,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::variables::VARIABLES;
    use super::*;
    use crate::transit_switches::Families;

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
        assert_eq!(settings.http, None);
        assert_eq!(settings.log_level, LevelFilter::INFO);
        assert_eq!(settings.log_shape, Shape::Text);
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
    fn http_is_where_it_is_said_or_nowhere() {
        for (value, place) in [
            ("127.0.0.1:6649", Some(([127, 0, 0, 1], 6649).into())),
            (" [::1]:0 ", Some((std::net::Ipv6Addr::LOCALHOST, 0).into())),
            ("", None),
        ] {
            let settings = resolve(&[("OVN_IC_DB_HTTP", value)]).expect("settings");
            assert_eq!(settings.http, place, "{value}");
        }
        let flags = RunFlags {
            http: Some(String::new()),
            ..RunFlags::default()
        };
        let settings = resolve_with(&flags, &[("OVN_IC_DB_HTTP", "127.0.0.1:6649")]);
        assert_eq!(
            settings.expect("settings").http,
            None,
            "the flag turns it off"
        );
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
            ("OVN_IC_DB_HTTP", "6649"),
            ("OVN_IC_DB_HTTP", "::1:6649"),
            ("OVN_IC_DB_HTTP", "localhost:6649"),
            ("OVN_IC_DB_HTTP", "127.0.0.1:65536"),
            ("OVN_IC_DB_LOG_FORMAT", "xml"),
            ("OVN_IC_DB_PROBE_INTERVAL", "5s"),
            ("OVN_LEADER_PROBE_INTERVAL", "0"),
            ("TS_NUM", "157"),
            ("TS_CIDR", "10.0.0.0/33"),
            ("TS_CIDR", "10.0.0.0/8,10.1.0.0/16"),
            ("PROTOCOL", "ipx"),
            ("ENABLE_SSL", "yes"),
            ("ENABLE_BIND_LOCAL_IP", "1"),
        ] {
            let error = resolve(&[(name, value)]).expect_err(name);
            let names_it = error.starts_with(&format!("{name}={value}: "));
            assert!(names_it || value == "6646", "{error}");
        }
    }
}
