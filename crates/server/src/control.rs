//! The control socket, which `ovs-appctl` talks to: JSON-RPC requests whose method is a command
//! and whose parameters are strings, answered with one string (ovs-appctl(8)).

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ovsdb::json::{Document, Json, Scanner, write};
use ovsdb::message::Message;
use ovsdb_counters::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument as _, Span};

use crate::listener::Listener;
use crate::message_log;
use crate::stream::{Connection, Stream};

/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;
/// The most clients at once; further ones are turned away.
const MAX_CLIENTS: usize = 256;
/// How long answers may take to leave after the server was told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// A command's answer: the result's text, or the error's.
pub type Answer = Result<String, String>;
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

struct Command {
    /// None hides it from `list-commands`.
    usage: Option<String>,
    min_args: usize,
    max_args: usize,
    /// The command is unknown while this is false.
    offered: Condition,
    handler: Box<dyn Fn(Vec<String>) -> Pending + Send + Sync>,
}

type Condition = Arc<dyn Fn() -> bool + Send + Sync>;

/// The commands that a control socket knows. `list-commands` is always among them.
pub struct Commands {
    commands: BTreeMap<String, Command>,
    counters: Arc<ControlCounters>,
}

/// What has happened at a control socket.
#[derive(Debug, Default)]
pub struct ControlCounters {
    /// Requests that have come.
    pub received: Counter,
    /// Answers that were given.
    pub replied: Counter,
}

/// How answers look: as they are, or wrapped in JSON for who has asked for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Text,
    Json,
}

/// The format that `set-options` asks for, if it does.
fn format_asked_for(arguments: &[String]) -> Result<Option<Format>, String> {
    let mut asked = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            break;
        }
        let Some(option) = argument.strip_prefix("--") else {
            continue;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        // As getopt_long(3) does, by a beginning of the name.
        if !"format".starts_with(name) {
            return Err(format!("unrecognized option '--{name}'"));
        }
        let value = value.or_else(|| arguments.next().map(String::as_str));
        asked = match value {
            Some("json") => Some(Format::Json),
            Some("text") => Some(Format::Text),
            Some(other) => return Err(format!("option format has invalid value {other}")),
            None => return Err("option '--format' requires an argument".to_owned()),
        };
    }
    Ok(asked)
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.commands.keys()).finish()
    }
}

impl Commands {
    /// `list-commands`, and `version`, which answers `version`, for example `ovsdb-server ... 1.0`.
    pub fn new(version: &str) -> Commands {
        let mut commands = Commands {
            commands: BTreeMap::new(),
            counters: Arc::default(),
        };
        let version = version.to_owned();
        commands.register("list-commands", Some(""), 0, 0, |_| async {
            Ok(String::new())
        });
        commands.register("version", Some(""), 0, 0, move |_| {
            std::future::ready(Ok(version.clone()))
        });
        let usage = Some("[--format text|json]");
        commands.register("set-options", usage, 1, 2, |arguments| {
            let checked = format_asked_for(&arguments);
            std::future::ready(checked.map(|_| String::new()))
        });
        commands
    }

    /// Adds a command, or replaces the one of that name. `usage` describes its arguments; `None`
    /// hides it. For any number of arguments, `max_args` is `usize::MAX`.
    pub fn register<F, R>(
        &mut self,
        name: &str,
        usage: Option<&str>,
        min_args: usize,
        max_args: usize,
        handler: F,
    ) where
        F: Fn(Vec<String>) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        let handler = Box::new(move |args| -> Pending { Box::pin(handler(args)) });
        let usage = usage.map(str::to_owned);
        self.commands.insert(
            name.to_owned(),
            Command {
                usage,
                min_args,
                max_args,
                offered: Arc::new(|| true),
                handler,
            },
        );
    }

    /// What has happened to them.
    pub fn counters(&self) -> &Arc<ControlCounters> {
        &self.counters
    }

    /// From now on a command is known only while a condition holds.
    pub fn offer_while(&mut self, name: &str, offered: Arc<dyn Fn() -> bool + Send + Sync>) {
        if let Some(command) = self.commands.get_mut(name) {
            command.offered = offered;
        }
    }

    /// Executes a command.
    pub async fn execute(&self, name: &str, params: Json<'_>) -> Answer {
        let command = self.commands.get(name);
        let Some(command) = command.filter(|command| (command.offered)()) else {
            return Err(format!(
                "\"{name}\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
            ));
        };
        if params.len() < command.min_args {
            return Err(format!(
                "\"{name}\" command requires at least {} arguments",
                command.min_args
            ));
        }
        if params.len() > command.max_args {
            return Err(format!(
                "\"{name}\" command takes at most {} arguments",
                command.max_args
            ));
        }
        let args: Option<Vec<String>> = params
            .elements()
            .map(|arg| arg.string().map(|s| s.into_owned()))
            .collect();
        let Some(args) = args else {
            return Err(format!("\"{name}\" command has non-string argument"));
        };
        if name == "list-commands" {
            return Ok(self.list());
        }
        (command.handler)(args).await
    }

    /// Answers a request; an error is the reason to close its connection, in words.
    ///
    /// # Errors
    /// If it is none.
    pub async fn answer(&self, request: Json<'_>) -> Result<Vec<u8>, String> {
        self.answer_in(request, &mut Format::default()).await
    }

    /// The same, in the format that the client has asked for, or asks for now.
    async fn answer_in(&self, request: Json<'_>, format: &mut Format) -> Result<Vec<u8>, String> {
        let Message::Request { method, params, id } = Message::parse(request)? else {
            return Err("received an unexpected message".to_owned());
        };
        self.counters.received.increment();
        let text = |json: Json<'_>| String::from_utf8_lossy(json.source()).into_owned();
        tracing::debug!("received request {method}{}, id={}", text(params), text(id));
        let answer = self.execute(&method, params).await;
        if method == "set-options" && answer.is_ok() {
            let arguments = params.elements().filter_map(Json::string);
            let arguments: Vec<String> = arguments.map(|text| text.into_owned()).collect();
            *format = format_asked_for(&arguments)?.unwrap_or(*format);
        }
        self.counters.replied.increment();
        let (outcome, body) = match &answer {
            Ok(body) => ("success", body),
            Err(body) => ("error", body),
        };
        tracing::debug!("replying with {outcome}, id={}: {body:?}", text(id));
        let mut out = b"{\"id\":".to_vec();
        out.extend_from_slice(id.source());
        match answer {
            Ok(text) => {
                out.extend_from_slice(b",\"result\":");
                match format {
                    Format::Text => write::string(&mut out, &line(text)),
                    Format::Json => {
                        out.extend_from_slice(b"{\"reply\":");
                        write::string(&mut out, &text);
                        out.extend_from_slice(b",\"reply-format\":\"plain\"}");
                    }
                }
                out.extend_from_slice(b",\"error\":null}");
            }
            Err(text) => {
                out.extend_from_slice(b",\"result\":null,\"error\":");
                write::string(&mut out, &line(text));
                out.push(b'}');
            }
        }
        Ok(out)
    }

    fn list(&self) -> String {
        let mut text = String::from("The available commands are:\n");
        for (name, command) in &self.commands {
            if let Some(usage) = &command.usage
                && (command.offered)()
            {
                text.push_str(&format!("  {name:<23} {usage}\n"));
            }
        }
        text
    }
}

/// Serves a control socket until `shutdown` is done. Answers that are under way then still go out,
/// the one to `exit` among them.
pub async fn serve(
    listener: Listener,
    commands: Arc<Commands>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    tokio::pin!(shutdown);
    let result = loop {
        tokio::select! {
            () = &mut shutdown => break Ok(()),
            Some(_) = clients.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(Connection { peer, .. }) if clients.len() >= MAX_CLIENTS => {
                    tracing::warn!("{peer}: turned away, {MAX_CLIENTS} control connections are open");
                }
                Ok(connection) => {
                    let client = serve_client(connection, commands.clone(), stopped.clone());
                    clients.spawn(client.in_current_span());
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    let _ = stop.send(true);
    let all = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, all).await;
    result
}

/// One request at a time, as the reference.
async fn serve_client(
    Connection { mut stream, peer }: Connection,
    commands: Arc<Commands>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut scanner = Scanner::new();
    let mut input = Vec::new();
    let mut format = Format::default();
    loop {
        let request = tokio::select! {
            biased;
            request = next_text(&mut stream, &mut scanner, &mut input) => request,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let reply = match request {
            Ok(Some(document)) => {
                message_log::received(&Span::current(), &peer, document.root());
                commands.answer_in(document.root(), &mut format).await
            }
            Ok(None) => return,
            Err(why) => Err(why),
        };
        match reply {
            Ok(reply) => {
                message_log::sent_text(&Span::current(), &peer, &reply);
                if stream.write_all(&reply).await.is_err() {
                    return;
                }
            }
            Err(why) => {
                tracing::warn!("{peer}: {why}, closing the control connection");
                return;
            }
        }
    }
}

/// The next JSON text; none when the client has closed the connection.
async fn next_text(
    stream: &mut Stream,
    scanner: &mut Scanner,
    input: &mut Vec<u8>,
) -> Result<Option<Document<Vec<u8>>>, String> {
    loop {
        if let Some(length) = scanner.scan(input).map_err(|e| e.to_string())? {
            let rest = input.split_off(length);
            let text = std::mem::replace(input, rest);
            return match Document::from_scanned(scanner, text) {
                Some(document) => Ok(Some(document)),
                None => Err("request cannot be read".to_owned()),
            };
        }
        if input.len() >= MAX_REQUEST {
            return Err(format!("request longer than {MAX_REQUEST} bytes"));
        }
        match stream.read_buf(input).await {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Text ends in a newline unless it is empty: `ovs-appctl` prints it as it is.
fn line(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Remote;
    use std::path::Path;
    use std::process::Output;
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    async fn appctl(path: &Path, args: &[&str]) -> Output {
        tokio::process::Command::new("ovs-appctl")
            .args(["-T", "10", "-t"])
            .arg(path)
            .args(args)
            .kill_on_drop(true)
            .output()
            .await
            .expect("ovs-appctl of the Debian package openvswitch-common")
    }

    struct Running {
        folder: tempfile::TempDir,
        server: tokio::task::JoinHandle<io::Result<()>>,
    }

    impl Running {
        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("c.ctl")
        }
    }

    fn start() -> Running {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::open(&Remote::Unix(folder.path().join("c.ctl"))).unwrap();
        let stop = Arc::new(Notify::new());
        let mut commands = Commands::new("program 1.0");
        commands.register("join", Some("WORD..."), 1, 3, |args| async move {
            Ok(args.join("+"))
        });
        commands.register("hidden", None, 0, 0, |_| async { Err("no".to_owned()) });
        let at_exit = stop.clone();
        commands.register("exit", Some("[--cleanup]"), 0, 1, move |_| {
            at_exit.notify_one();
            std::future::ready(Ok(String::new()))
        });
        let server = tokio::spawn(serve(listener, Arc::new(commands), async move {
            stop.notified().await
        }));
        Running { folder, server }
    }

    #[tokio::test]
    async fn the_real_client_is_served() {
        let running = start();
        let path = running.path();
        for (args, out) in [
            (&["version"][..], "program 1.0\n"),
            (&["join", "a", "b \"c\"\n"], "a+b \"c\"\n"),
            (
                &["list-commands"],
                "The available commands are:\n  exit                    [--cleanup]\n  \
                 join                    WORD...\n  list-commands           \n  \
                 set-options             [--format text|json]\n  version                 \n",
            ),
        ] {
            let output = appctl(&path, args).await;
            assert!(output.status.success(), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), out);
        }
        for (args, error) in [
            (
                &["foo"][..],
                "\"foo\" is not a valid command (use \"list-commands\" to see a list of valid commands)",
            ),
            (&["join"], "\"join\" command requires at least 1 arguments"),
            (
                &["exit", "a", "b"],
                "\"exit\" command takes at most 1 arguments",
            ),
            (&["hidden"], "no"),
        ] {
            let output = appctl(&path, args).await;
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.starts_with(&format!("{error}\n")), "{text}");
        }
        assert!(appctl(&path, &["exit"]).await.status.success());
        let ended = tokio::time::timeout(Duration::from_secs(10), running.server).await;
        ended.expect("ends").expect("no panic").expect("no error");
        assert!(!path.exists());
    }

    #[test]
    fn options_are_those_of_the_reference() {
        let asked = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
            format_asked_for(&arguments)
        };
        assert_eq!(asked(&["--format", "json"]), Ok(Some(Format::Json)));
        assert_eq!(asked(&["--format=text"]), Ok(Some(Format::Text)));
        assert_eq!(asked(&["a"]), Ok(None));
        for (arguments, error) in [
            (
                &["--format", "xml"][..],
                "option format has invalid value xml",
            ),
            (&["--foo"], "unrecognized option '--foo'"),
            (&["--format"], "option '--format' requires an argument"),
        ] {
            assert_eq!(asked(arguments), Err(error.to_owned()));
        }
    }

    #[tokio::test]
    async fn garbage_ends_only_its_own_connection() {
        let running = start();
        let mut other = UnixStream::connect(running.path()).await.unwrap();
        for garbage in [
            b"hello".to_vec(),
            b"{}".to_vec(),
            [b"[\"".to_vec(), vec![b'x'; MAX_REQUEST]].concat(),
        ] {
            let mut client = UnixStream::connect(running.path()).await.unwrap();
            let _ = client.write_all(&garbage).await;
            let mut byte = [0];
            let end = tokio::time::timeout(Duration::from_secs(10), client.read(&mut byte)).await;
            assert!(matches!(end.expect("closed"), Ok(0) | Err(_)));
        }
        let two =
            br#"{"id":1,"method":"join","params":["a"]}{"id":"x","method":"join","params":[1]}"#;
        other.write_all(two).await.unwrap();
        let expected = concat!(
            r#"{"id":1,"result":"a\n","error":null}"#,
            r#"{"id":"x","result":null,"error":"\"join\" command has non-string argument\n"}"#
        );
        let mut got = vec![0; expected.len()];
        other.read_exact(&mut got).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&got), expected);
        running.server.abort();
    }
}
