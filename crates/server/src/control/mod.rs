//! The control socket, which `ovs-appctl` talks to: JSON-RPC requests whose method is a command
//! and whose parameters are strings, answered with one string (ovs-appctl(8)).

mod format;
mod serving;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use ovsdb::json::{Json, write};
use ovsdb::message::Message;
use ovsdb_counters::Counter;

use format::{Format, format_asked_for};
pub use serving::{MAX_REQUEST, serve};

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

/// Text ends in a newline unless it is empty: `ovs-appctl` prints it as it is.
fn line(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
