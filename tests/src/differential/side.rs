//! One of the two servers with its clients.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::requests::{Action, CLIENTS};
use super::symbols::Symbols;
use crate::client::{Client, Received};
use crate::process::{Options, Program, Server, Source};

/// What stands for the end of a connection among a client's messages.
#[must_use]
pub fn closed() -> Value {
    json!("the server closed the connection")
}

/// A server, its clients, and what they have received in this step.
#[derive(Debug)]
pub struct Side {
    /// Names for its UUIDs.
    pub symbols: Symbols,
    /// What each client received, in order.
    pub received: [Vec<Value>; CLIENTS],
    /// The request of each number.
    requests: HashMap<usize, Value>,
    /// Whether a conversion has succeeded.
    pub converted: bool,
    clients: [Option<Client>; CLIENTS],
    barriers: u64,
    server: Server,
}

/// How long an answer may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

impl Side {
    /// Starts a server on an empty database.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: Program, schema: &Value) -> Result<Self> {
        let source = Source::SchemaText(schema.to_string());
        let server = Server::start(program, &source, &Options::default())?;
        let mut side = Self {
            symbols: Symbols::default(),
            received: Default::default(),
            requests: HashMap::new(),
            converted: false,
            clients: Default::default(),
            barriers: 0,
            server,
        };
        let select =
            json!({"op": "select", "table": "Database", "where": [], "columns": ["_uuid", "name"]});
        let results = side.server.client()?.transact("_Server", &[select])?;
        for row in results[0]["rows"].as_array().into_iter().flatten() {
            if let (Some(uuid), Some(name)) = (row["_uuid"][1].as_str(), row["name"].as_str()) {
                side.symbols.name(uuid, format!("<database {name}>"));
            }
        }
        Ok(side)
    }

    /// Does what the action says, without waiting for anything.
    ///
    /// # Errors
    /// If a client cannot connect.
    pub fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Leave { client } => self.clients[*client] = None,
            Action::Send { client, messages } => {
                let mut text = String::new();
                for message in messages {
                    let resolved = self.symbols.resolve(&message.text);
                    if let Ok(request) = serde_json::from_str(&resolved) {
                        self.requests.insert(message.number, request);
                    }
                    text.push_str(&resolved);
                }
                if self.clients[*client].is_none() {
                    let opened = self.server.client();
                    let opened = opened.with_context(|| self.said())?;
                    self.clients[*client] = Some(opened);
                }
                if let Some(client) = &mut self.clients[*client] {
                    // If it is gone, reading says so.
                    let _ = client.send_bytes(text.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// Takes what the server has sent to all clients, until nothing comes any
    /// more. A client asks for an `echo` each time, so that what was on its way
    /// before that has arrived.
    ///
    /// # Errors
    /// If the server does not answer, with its last words.
    pub fn collect(&mut self) -> Result<()> {
        let mut quiet = 0;
        // The end of a blocked wait is seen one round after what released it.
        while quiet < 2 {
            let mut anything = false;
            for client in 0..CLIENTS {
                anything |= self.take(client)?;
            }
            quiet = if anything { 0 } else { quiet + 1 };
        }
        Ok(())
    }

    fn take(&mut self, index: usize) -> Result<bool> {
        let Some(client) = &mut self.clients[index] else {
            return Ok(false);
        };
        self.barriers += 1;
        let barrier = json!(format!("barrier {}", self.barriers));
        let request = json!({"method": "echo", "params": [], "id": barrier});
        // If it is gone, reading says so.
        let _ = client.send(&request);
        let before = self.received[index].len();
        loop {
            match client.receive_within(DEADLINE)? {
                Received::Message(message) if message["id"] == barrier => break,
                Received::Message(message) => {
                    if message.get("method").is_none()
                        && let Some(number) = message["id"].as_u64()
                    {
                        self.symbols.learn(number as usize, &message);
                        let request = self.requests.get(&(number as usize));
                        self.converted |= request.is_some_and(|it| it["method"] == "convert")
                            && !message["result"].is_null();
                    }
                    self.received[index].push(message);
                }
                Received::Closed => {
                    self.received[index].push(closed());
                    self.clients[index] = None;
                    break;
                }
                Received::Nothing => bail!("no answer to an echo: {}", self.said()),
            }
        }
        Ok(self.received[index].len() > before)
    }

    /// Rows of all tables, under the names of their UUIDs.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn contents(&self, tables: &[&str]) -> Result<Value> {
        let selects: Vec<Value> = tables
            .iter()
            .map(|table| json!({"op": "select", "table": table, "where": []}))
            .collect();
        let results = self.server.client()?.transact("d", &selects)?;
        Ok(self.symbols.canonical(&json!(results)))
    }

    /// Starts the server again on its file; every client is gone.
    ///
    /// # Errors
    /// If it does not stop or start.
    pub fn restart(&mut self) -> Result<()> {
        self.clients = Default::default();
        self.server.restart()
    }

    /// The request that a reply answers.
    #[must_use]
    pub fn request(&self, reply: &Value) -> Option<&Value> {
        let number = reply["id"].as_u64()? as usize;
        self.requests.get(&number)
    }

    /// Whether the process has ended by itself.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn has_ended(&mut self) -> Result<bool> {
        // Its connections may be closed a moment before.
        std::thread::sleep(Duration::from_millis(100));
        Ok(self.server.ended()?.is_some())
    }

    /// Whether it is the reference.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.server.program() == Program::Reference
    }

    /// Whether it runs, and the end of its log.
    pub fn said(&mut self) -> String {
        let ended = self.server.ended();
        format!("ended: {ended:?}\n{}", self.server.said())
    }
}
