//! A server under test as a process: started on a database file of its own,
//! waited for until it answers, and killed when the test lets go of it.

mod programs;
mod resources;

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;

pub use programs::{Program, built, executable, require};

/// How long a server may take to answer after its start, or to end when asked.
pub const START_DEADLINE: Duration = Duration::from_secs(30);

/// What the server is started on.
#[derive(Clone, Debug)]
pub enum Source {
    /// A new, empty database of the schema in this file.
    Schema(PathBuf),
    /// A new, empty database of this schema text.
    SchemaText(String),
    /// This database file, used in place (and left there).
    File(PathBuf),
    /// No file: what another server has, `DATABASE:REMOTES`.
    Relay(String),
}

/// What may differ from the usual command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Also listen on a free TCP port of 127.0.0.1.
    pub tcp: bool,
    /// More arguments, before the database file.
    pub arguments: Vec<OsString>,
    /// More environment variables.
    pub environment: Vec<(OsString, OsString)>,
    /// How many files the process may have open (`ulimit -n`).
    pub file_limit: Option<u32>,
}

/// A running server, with a temporary folder that holds its sockets and logs.
/// Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub struct Server {
    program: Program,
    options: Options,
    database: PathBuf,
    port: Option<u16>,
    child: Option<Child>,
    folder: TempDir,
}

/// Makes an empty standalone database file with `ovsdb-tool create`.
///
/// # Errors
/// If the tool is missing or refuses the schema.
pub fn create_database(file: &Path, schema: &Path) -> Result<()> {
    let tool = require("ovsdb-tool", "openvswitch-common")?;
    let output = Command::new(tool)
        .arg("create")
        .args([file, schema])
        .output()?;
    ensure!(
        output.status.success(),
        "ovsdb-tool create: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// If the system has none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Checks `condition` again and again until it gives something.
///
/// # Errors
/// If `deadline` passes first, naming `what` was waited for.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        ensure!(
            start.elapsed() < deadline,
            "{what}: not within {deadline:?}"
        );
        std::thread::sleep(Duration::from_millis(3));
    }
}

impl Server {
    /// Starts a server and waits until it answers on its socket (and port).
    ///
    /// # Errors
    /// If it does not start; the text has the end of its output and log.
    pub fn start(program: Program, source: &Source, options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ovsdb-").tempdir()?;
        let database = match source {
            Source::File(file) => file.clone(),
            Source::Relay(of) => format!("relay:{of}").into(),
            Source::Schema(schema) => {
                let file = folder.path().join("db.db");
                create_database(&file, schema)?;
                file
            }
            Source::SchemaText(text) => {
                let schema = folder.path().join("db.ovsschema");
                fs::write(&schema, text)?;
                let file = folder.path().join("db.db");
                create_database(&file, &schema)?;
                file
            }
        };
        let port = if options.tcp {
            Some(free_port()?)
        } else {
            None
        };
        let mut server = Self {
            program,
            options: options.clone(),
            database,
            port,
            child: None,
            folder,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts the process again, after [`Server::kill9`] or
    /// [`Server::terminate`], on the same file, socket and port.
    ///
    /// # Errors
    /// As [`Server::start`], or if it still runs.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the server still runs");
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.output())?;
        let executable = executable(self.program)?;
        let mut command = match self.options.file_limit {
            None => Command::new(executable),
            Some(limit) => {
                let mut shell = Command::new("/bin/sh");
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(executable);
                shell
            }
        };
        if self.program == Program::Ours {
            command.arg("ovsdb-server");
        }
        command
            .arg("--no-chdir")
            .arg(prefixed("--remote=punix:", &self.socket()))
            .arg(prefixed("--unixctl=", &self.control_socket()))
            .arg(prefixed("--pidfile=", &self.folder.path().join("db.pid")))
            .arg(prefixed("--log-file=", &self.log()))
            .arg("-vconsole:off");
        if let Some(port) = self.port {
            command.arg(format!("--remote=ptcp:{port}:127.0.0.1"));
        }
        command
            .args(&self.options.arguments)
            .envs(self.options.environment.iter().cloned())
            .arg(&self.database)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        self.child = Some(
            command
                .spawn()
                .with_context(|| format!("{:?} does not start", command.get_program()))?,
        );
        let ready = wait_for("an answer of the server", START_DEADLINE, || {
            if let Some(status) = self.ended()? {
                bail!("the server ended with {status}");
            }
            Ok(self.answers().ok())
        });
        if let Err(error) = ready {
            let text = self.said();
            self.kill9()?;
            return Err(error.context(text));
        }
        Ok(())
    }

    /// Whether it can be reached everywhere it should listen.
    fn answers(&self) -> Result<()> {
        self.client()?.call("list_dbs", json!([]))?;
        if self.port.is_some() {
            self.tcp_client()?.call("list_dbs", json!([]))?;
        }
        Ok(())
    }

    /// The exit status if the process has ended by itself.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            None => Ok(None),
            Some(child) => Ok(child.try_wait()?),
        }
    }

    /// Kills the process as a crash would.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            // It may have ended already, and that is as good.
            let _ = child.kill();
            child.wait()?;
        }
        Ok(())
    }

    /// Asks the process to stop (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// If it does not run, or does not stop in time (then it is killed).
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let status = wait_for("the server's end", START_DEADLINE, || self.ended());
        let said = self.said();
        self.kill9()?;
        status.context(said)
    }

    /// Sends the process a signal.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("the server does not run")?;
        kill_process(Pid::from_child(child), signal)?;
        Ok(())
    }

    /// [`Server::terminate`] and [`Server::start_again`].
    ///
    /// # Errors
    /// As those two.
    pub fn restart(&mut self) -> Result<()> {
        self.terminate()?;
        self.start_again()
    }

    /// A new connection over the Unix socket.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::unix(&self.socket())?)
    }

    /// A new connection over TCP.
    ///
    /// # Errors
    /// If it was not asked to listen there, or nobody does.
    pub fn tcp_client(&self) -> Result<Client> {
        let address = self.tcp_address().context("started without TCP")?;
        Ok(Client::tcp(address)?)
    }

    /// Runs a command of the control socket (as `ovs-appctl` does) and gives
    /// its text.
    ///
    /// # Errors
    /// If the command fails, with what it says.
    pub fn control(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut client = Client::unix(&self.control_socket())?;
        match client.call(command, json!(arguments))? {
            Value::String(text) => Ok(text),
            other => bail!("{command}: not a text but {other}"),
        }
    }

    /// Which implementation it is.
    #[must_use]
    pub fn program(&self) -> Program {
        self.program
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The folder of its sockets and logs, gone when the server is dropped.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The Unix socket for clients.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("db.sock")
    }

    /// The control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.folder.path().join("db.ctl")
    }

    /// The TCP address for clients, if it was asked for.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.port.map(|port| (Ipv4Addr::LOCALHOST, port).into())
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("db.log")
    }

    /// Where its standard output and error go.
    fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// The end of its log and of its output, for failure messages.
    #[must_use]
    pub fn said(&self) -> String {
        let mut text = format!("{:?} on {}", self.program, self.database.display());
        for file in [self.log(), self.output()] {
            let content = fs::read(&file).unwrap_or_default();
            let from = content.len().saturating_sub(4000);
            let end = String::from_utf8_lossy(&content[from..]);
            if !end.trim().is_empty() {
                text.push_str(&format!(
                    "\n--- {} ends:\n{}",
                    file.display(),
                    end.trim_end()
                ));
            }
        }
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.kill9();
    }
}

fn prefixed(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}
