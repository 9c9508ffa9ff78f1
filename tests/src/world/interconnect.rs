//! The interconnection database under test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::daemon::Daemon;
use super::database::Database;
use crate::process::{Program, create_database, executable, free_port, require};

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `OVN_IC_Northbound`.
    Northbound,
    /// `OVN_IC_Southbound`.
    Southbound,
}

/// Something that serves both databases and can be hurt.
pub trait Interconnect {
    /// What the clients' `--db` options take: one remote or a comma list.
    fn remotes(&self, side: Side) -> String;
    /// A Unix socket of a member that can be looked into.
    fn socket(&self, side: Side) -> PathBuf;
    /// Stops everything cleanly and starts it again on the same files.
    ///
    /// # Errors
    /// If it does not stop or start.
    fn restart(&mut self) -> Result<()>;
    /// Kills everything as a crash would and starts it again.
    ///
    /// # Errors
    /// If it does not start.
    fn crash(&mut self) -> Result<()>;
}

/// What a fault does to the server.
pub type Inflict<'a> = Box<dyn FnMut(&mut dyn Interconnect) -> Result<()> + 'a>;

/// Something that is done to the server in the middle of the sequence, after
/// which both zones must converge by themselves and no row may be missing.
pub struct Fault<'a> {
    /// How the report calls it.
    pub name: &'a str,
    /// Does it; returns when the server should be able to work again.
    pub inflict: Inflict<'a>,
}

/// The faults that a standalone server has to survive.
#[must_use]
pub fn standalone_faults() -> Vec<Fault<'static>> {
    vec![
        Fault {
            name: "restart of the server",
            inflict: Box::new(|server| server.restart()),
        },
        Fault {
            name: "kill -9 of the server",
            inflict: Box::new(|server| server.crash()),
        },
    ]
}

/// A server without a cluster: two processes of the reference, or one of ours.
#[derive(Debug)]
pub struct Standalone {
    daemons: Vec<Daemon>,
    folder: PathBuf,
    ports: Ports,
}

/// The TCP ports of both databases.
#[derive(Clone, Copy, Debug)]
struct Ports {
    northbound: u16,
    southbound: u16,
}

impl Ports {
    fn free() -> Result<Self> {
        Ok(Self {
            northbound: free_port()?,
            southbound: free_port()?,
        })
    }

    fn of(self, side: Side) -> u16 {
        match side {
            Side::Northbound => self.northbound,
            Side::Southbound => self.southbound,
        }
    }
}

impl Standalone {
    /// Starts `program` with its files and sockets in `folder`, and no transit
    /// switch.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: Program, folder: &Path) -> Result<Self> {
        match program {
            Program::Reference => Self::reference(folder, Path::new(DEBIAN_SCHEMAS)),
            Program::Ours => {
                let ports = Ports::free()?;
                Self::with(vec![ours(folder, ports)?], folder, ports)
            }
        }
    }

    /// Starts two `ovsdb-server`s on the schemas in the folder `schemas`.
    ///
    /// # Errors
    /// As [`Standalone::start`].
    pub fn reference(folder: &Path, schemas: &Path) -> Result<Self> {
        let ports = Ports::free()?;
        let mut daemons = Vec::new();
        for side in Side::BOTH {
            let schema = existing(&schemas.join(side.schema()))?;
            let port = Some(ports.of(side));
            daemons.push(ovsdb_server(folder, side.file_stem(), &schema, port)?);
        }
        Self::with(daemons, folder, ports)
    }

    fn with(daemons: Vec<Daemon>, folder: &Path, ports: Ports) -> Result<Self> {
        let mut server = Self {
            daemons,
            folder: folder.to_owned(),
            ports,
        };
        server.start_all()?;
        Ok(server)
    }

    fn start_all(&mut self) -> Result<()> {
        for daemon in &mut self.daemons {
            daemon.start()?;
        }
        for side in Side::BOTH {
            look(self, side).wait_until_served(side.global_table())?;
        }
        for daemon in &mut self.daemons {
            daemon.check_alive()?;
        }
        Ok(())
    }
}

impl Interconnect for Standalone {
    fn remotes(&self, side: Side) -> String {
        format!("tcp:127.0.0.1:{}", self.ports.of(side))
    }

    fn socket(&self, side: Side) -> PathBuf {
        self.folder.join(format!("{}.sock", side.file_stem()))
    }

    fn restart(&mut self) -> Result<()> {
        for daemon in &mut self.daemons {
            daemon.terminate()?;
        }
        self.start_all()
    }

    fn crash(&mut self) -> Result<()> {
        for daemon in &mut self.daemons {
            daemon.kill9()?;
        }
        self.start_all()
    }
}

/// A look into one of the databases of `server`.
pub fn look(server: &dyn Interconnect, side: Side) -> Database {
    Database::new(server.socket(side), side.database())
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Northbound, Self::Southbound];

    /// The database's name.
    #[must_use]
    pub fn database(self) -> &'static str {
        match self {
            Self::Northbound => "OVN_IC_Northbound",
            Self::Southbound => "OVN_IC_Southbound",
        }
    }

    /// What the names of its files begin with, in the deployment.
    #[must_use]
    pub fn file_stem(self) -> &'static str {
        match self {
            Self::Northbound => "ovn_ic_nb_db",
            Self::Southbound => "ovn_ic_sb_db",
        }
    }

    /// Its schema's file in Debian's packages.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Self::Northbound => "ovn-ic-nb.ovsschema",
            Self::Southbound => "ovn-ic-sb.ovsschema",
        }
    }

    /// The table of its one global row.
    #[must_use]
    pub fn global_table(self) -> &'static str {
        match self {
            Self::Northbound => "IC_NB_Global",
            Self::Southbound => "IC_SB_Global",
        }
    }
}

/// Where Debian's packages put OVN's schemas.
const DEBIAN_SCHEMAS: &str = "/usr/share/ovn";

/// A schema file of Debian's OVN packages.
///
/// # Errors
/// If it is missing, with the package.
pub fn debian_schema(name: &str) -> Result<PathBuf> {
    existing(&Path::new(DEBIAN_SCHEMAS).join(name))
}

fn existing(file: &Path) -> Result<PathBuf> {
    anyhow::ensure!(
        file.is_file(),
        "{} is missing: apt-get install ovn-common",
        file.display()
    );
    Ok(file.to_owned())
}

/// Debian's `ovsdb-server` on a new database `STEM.db` in `folder`, listening
/// on `STEM.sock` there, and on a TCP port if one is given; not started yet.
///
/// # Errors
/// If a program or the schema is missing.
pub fn ovsdb_server(folder: &Path, stem: &str, schema: &Path, port: Option<u16>) -> Result<Daemon> {
    let file = |end: &str| folder.join(format!("{stem}{end}")).display().to_string();
    create_database(Path::new(&file(".db")), schema)?;
    let mut arguments: Vec<OsString> = [
        "--no-chdir".to_owned(),
        format!("--remote=punix:{}", file(".sock")),
        format!("--unixctl={}", file(".ctl")),
        format!("--pidfile={}", file(".pid")),
        format!("--log-file={}", file(".log")),
        "-vconsole:off".to_owned(),
        file(".db"),
    ]
    .map(OsString::from)
    .to_vec();
    if let Some(port) = port {
        arguments.insert(0, format!("--remote=ptcp:{port}:127.0.0.1").into());
    }
    Ok(Daemon::new(
        require("ovsdb-server", "openvswitch-common")?,
        arguments,
        file(".out").into(),
    ))
}

fn ours(folder: &Path, ports: Ports) -> Result<Daemon> {
    fs::create_dir_all(folder)?;
    let place = folder.as_os_str().to_owned();
    let environment = vec![
        ("OVN_DBDIR".into(), place.clone()),
        ("OVN_RUNDIR".into(), place.clone()),
        ("OVN_LOGDIR".into(), place),
        (
            "OVN_IC_DB_NB_PORT".into(),
            ports.northbound.to_string().into(),
        ),
        (
            "OVN_IC_DB_SB_PORT".into(),
            ports.southbound.to_string().into(),
        ),
        ("OVN_IC_DB_LISTEN".into(), "127.0.0.1".into()),
        // As durable as the reference, so that times can be compared.
        ("OVN_IC_DB_DURABLE".into(), "asked".into()),
        ("TS_NAME".into(), "".into()),
    ];
    Ok(Daemon::new(
        executable(Program::Ours)?,
        vec!["run".into()],
        folder.join("output"),
    )
    .with_environment(environment))
}
