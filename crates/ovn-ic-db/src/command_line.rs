//! The command line, as it is typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::schemas::Side;

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
    Run(Box<RunFlags>),
    /// Show both databases' servers, with their places in the cluster and what they hold
    Status(StatusFlags),
    /// Copy the databases of running servers into files
    Backup(BackupFlags),
    /// Put what copies hold into running servers, or into new files
    Restore(RestoreFlags),
    /// Rewrite the files of this machine's server in their shortest form
    Compact(CompactFlags),
    /// Check OVSDB files of any kind: records, schema, every transaction
    Check(CheckFlags),
    /// What a person decides about a cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Make keys and certificates for trying TLS out
    Pki(PkiFlags),
    /// Say in one line whether this machine's server serves both databases and knows their leaders
    Health(HealthFlags),
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
    /// Port for the other members of the northbound database [default: 6647]
    #[arg(long, value_name = "PORT")]
    pub nb_raft_port: Option<String>,
    /// Port for the other members of the southbound database [default: 6648]
    #[arg(long, value_name = "PORT")]
    pub sb_raft_port: Option<String>,
    /// Election timer of a cluster that this node founds [default: 1000]
    #[arg(long, value_name = "MILLISECONDS")]
    pub election_timer: Option<String>,
    /// Addresses to listen on for clients [default: all of this host]
    #[arg(long, value_name = "ADDRESS,...")]
    pub listen: Option<String>,
    /// Which writes are answered after their fsync: always, or asked for [default: always]
    #[arg(long, value_name = "always|asked")]
    pub durable: Option<String>,
    /// Where TLS finds its keys; ENABLE_SSL=true turns it on.
    #[command(flatten)]
    pub keys: KeyFlags,
    /// Clients without TLS while it is on: allow, or refuse [default: allow]
    #[arg(long, value_name = "allow|refuse")]
    pub plaintext: Option<String>,
    /// TLS between members of clusters that this node founds or joins: true, or false [default: as ENABLE_SSL]
    #[arg(long, value_name = "true|false")]
    pub raft_tls: Option<String>,
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
    /// Where /metrics, /healthz and /readyz are, by HTTP; empty: nowhere [default: nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<String>,
    /// What is logged: off, error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How lines of the log look: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Where the three files of TLS are.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyFlags {
    /// TLS: the private key [default: /var/run/tls/key]
    #[arg(long, short = 'p', value_name = "FILE")]
    pub private_key: Option<OsString>,
    /// TLS: its certificate [default: /var/run/tls/cert]
    #[arg(long, short = 'c', value_name = "FILE")]
    pub certificate: Option<OsString>,
    /// TLS: the authority whose certificates are taken from others [default: /var/run/tls/cacert]
    #[arg(long, short = 'C', value_name = "FILE")]
    pub ca_cert: Option<OsString>,
}

/// The flags of `pki`.
#[derive(Debug, Clone, Args)]
pub struct PkiFlags {
    /// Where to put them; it is made if it is not there, and nothing in it is replaced
    #[arg(value_name = "FOLDER")]
    pub folder: std::path::PathBuf,
    /// Days that they are valid for
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: u32,
    /// Also a key and a certificate of this name, as NAME.key and NAME.cert; may come several times
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,
}

/// The flags of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusFlags {
    /// Whom to ask.
    #[command(flatten)]
    pub servers: ServerFlags,
    /// Seconds that every server has for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// List all clients, zones, gateways, ports and routes, however many
    #[arg(long)]
    pub all: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

/// The flags of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthFlags {
    /// Ask only whether the server answers, led or not: for liveness probes
    #[arg(long)]
    pub alive: bool,
    /// Seconds that the server has for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Folder of the server's sockets [default: /var/run/ovn]
    #[arg(long, value_name = "FOLDER")]
    pub run_dir: Option<OsString>,
}

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs: docs/status.md has its shape
    Json,
}

/// The flags of commands that ask servers. Without any, those of this machine are asked, at their
/// Unix sockets.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerFlags {
    /// Hosts of both databases, at ports 6645 and 6646; with ENABLE_SSL=true by TLS
    #[arg(long, value_name = "HOST,...", conflicts_with_all = ["nb", "sb"])]
    pub host: Option<String>,
    /// Servers of the northbound database: tcp:HOST:PORT, ssl:HOST:PORT, unix:FILE
    #[arg(long, value_name = "REMOTE,...", requires = "sb")]
    pub nb: Option<String>,
    /// Servers of the southbound database
    #[arg(long, value_name = "REMOTE,...", requires = "nb")]
    pub sb: Option<String>,
    /// Folder of the sockets of this machine's server [default: /var/run/ovn]
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["host", "nb", "sb"])]
    pub run_dir: Option<OsString>,
    /// The keys for TLS.
    #[command(flatten)]
    pub keys: KeyFlags,
}

/// The flags of `backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupFlags {
    /// Whom to ask.
    #[command(flatten)]
    pub servers: ServerFlags,
    /// Only one of the databases
    #[arg(long, value_name = "nb|sb")]
    pub only: Option<Only>,
    /// Replace the copies that are in the folder
    #[arg(long)]
    pub overwrite: bool,
    /// Where a cluster has lost its majority: take the newest copy of the servers that answer
    #[arg(long)]
    pub without_leader: bool,
    /// Seconds for finding a server that leads, and for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Where the copies go; it is made if there is none
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// The flags of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreFlags {
    /// Whose contents are replaced.
    #[command(flatten)]
    pub servers: ServerFlags,
    /// Only one of the databases
    #[arg(long, value_name = "nb|sb")]
    pub only: Option<Only>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make new database files in this folder, where no server runs
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["host", "nb", "sb", "run_dir"])]
    pub to: Option<PathBuf>,
    /// Seconds for finding a server that leads, and for its answers
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Where the copies are
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// The flags of `compact`.
#[derive(Debug, Clone, Args)]
pub struct CompactFlags {
    /// Only one of the databases
    #[arg(long, value_name = "nb|sb")]
    pub only: Option<Only>,
    /// Folder of the control sockets [default: /var/run/ovn]
    #[arg(long, value_name = "FOLDER")]
    pub run_dir: Option<OsString>,
    /// Seconds that each compaction may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

/// The flags of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckFlags {
    /// The files; a running server's may be among them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// The subcommands of `cluster`.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make a new cluster of what one server has, where the old cluster's majority is lost for good
    ///
    /// No server may run on the files. What is in them stays beside them as FILE.old-cluster-DATE.
    FoundFrom(FoundFromFlags),
}

/// The flags of `cluster found-from`.
#[derive(Debug, Clone, Args)]
pub struct FoundFromFlags {
    /// The survivor's database files [default: both of the database folder]
    #[arg(value_name = "FILE", conflicts_with_all = ["only", "db_dir"])]
    pub files: Vec<PathBuf>,
    /// Only one of the databases
    #[arg(long, value_name = "nb|sb")]
    pub only: Option<Only>,
    /// Folder of the database files [default: /etc/ovn]
    #[arg(long, value_name = "FOLDER")]
    pub db_dir: Option<OsString>,
    /// Where the new cluster's first member listens [default: as before]; a standalone file needs it
    #[arg(long, value_name = "tcp:IP:PORT")]
    pub local_address: Option<String>,
    /// Do not ask whether it is meant
    #[arg(long)]
    pub yes: bool,
}

/// One of the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// `OVN_IC_Northbound`
    Nb,
    /// `OVN_IC_Southbound`
    Sb,
}

impl Only {
    /// The one, or both.
    pub fn sides(only: Option<Only>) -> Vec<Side> {
        match only {
            Some(Only::Nb) => vec![Side::Northbound],
            Some(Only::Sb) => vec![Side::Southbound],
            None => Side::BOTH.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_needs_no_subcommand() {
        let port = |line: &[&str]| {
            let parsed = CommandLine::try_parse_from(line).expect("parsed");
            match parsed.command {
                None => parsed.run.nb_port,
                Some(Command::Run(flags)) => flags.nb_port,
                Some(Command::Status(flags)) => flags.servers.host,
                Some(Command::Pki(flags)) => flags.name.first().cloned(),
                Some(Command::Health(flags)) => Some(flags.timeout.to_string()),
                Some(Command::OvsdbServer { arguments }) => Some(format!("{arguments:?}")),
                Some(other) => Some(format!("{other:?}")),
            }
        };
        assert_eq!(port(&["ovn-ic-db"]), None);
        assert_eq!(port(&["ovn-ic-db", "--nb-port=1"]).as_deref(), Some("1"));
        assert_eq!(
            port(&["ovn-ic-db", "run", "--nb-port", "1"]).as_deref(),
            Some("1")
        );
        assert_eq!(
            port(&["ovn-ic-db", "status", "--host", "a,b"]).as_deref(),
            Some("a,b")
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
    fn servers_are_named_in_one_way() {
        let wrong = |line: &str| CommandLine::try_parse_from(line.split(' ')).expect_err(line);
        for line in [
            "ovn-ic-db status --host a --nb tcp:a:1 --sb tcp:a:2",
            "ovn-ic-db status --nb tcp:a:1",
            "ovn-ic-db status --host a --run-dir /x",
            "ovn-ic-db status --timeout 0",
            "ovn-ic-db health --timeout 0",
            "ovn-ic-db health --host a",
            "ovn-ic-db status --format yaml",
        ] {
            assert_eq!(wrong(line).exit_code(), 2, "{line}");
        }
    }
}
