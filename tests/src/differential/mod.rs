//! Two servers side by side: the same requests must give the same answers.
//!
//! [`generate`] makes transactions from a seed, [`symbols`] takes the random
//! UUIDs out of the answers, [`run`] drives both servers in lock step: one
//! connection writes, another one monitors everything.

pub mod generate;
pub mod symbols;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::Client;
use crate::process::{Options, Program, Server, Source};
use generate::{Generator, SCHEMA};
use symbols::Symbols;

/// One server with its connections and what is known of its UUIDs.
#[derive(Debug)]
struct Side {
    writer: Client,
    watcher: Client,
    symbols: Symbols,
    server: Server,
}

/// How a step ended that was not the same on both servers.
#[derive(Debug)]
pub struct Difference {
    /// The number of the step, from 1.
    pub step: usize,
    /// The request, with names for UUIDs.
    pub request: Value,
    /// What the two servers said, with names for UUIDs.
    pub answers: [Value; 2],
}

impl Side {
    fn start(program: Program) -> Result<Self> {
        let source = Source::SchemaText(SCHEMA.into());
        let server = Server::start(program, &source, &Options::default())?;
        let mut watcher = server.client()?;
        watcher.call("monitor_cond", json!(["d", "m", {"a": [{}], "c": [{}]}]))?;
        Ok(Self {
            writer: server.client()?,
            watcher,
            symbols: Symbols::default(),
            server,
        })
    }

    /// The reply and the notifications that one transaction caused. An `echo`
    /// after it makes sure that they have all arrived.
    fn transact(&mut self, step: usize, text: &str) -> Result<Value> {
        let id = self.writer.request(
            "transact",
            serde_json::from_str(&self.symbols.resolve(text))?,
        )?;
        let reply = self.writer.reply(&id).with_context(|| self.server.said())?;
        self.watcher.call("echo", json!([]))?;
        let updates = self.watcher.notifications();
        self.symbols.learn(step, &reply);
        Ok(self
            .symbols
            .canonical(&json!({"reply": reply, "updates": updates})))
    }
}

/// The first difference between two servers in this many transactions, if
/// there is one.
///
/// # Errors
/// If a server cannot be started, ends, or stops answering.
pub fn run(programs: [Program; 2], seed: u64, steps: usize) -> Result<Option<Difference>> {
    let [mut first, mut second] = [Side::start(programs[0])?, Side::start(programs[1])?];
    let mut generator = Generator::new(seed);
    for step in 1..=steps {
        let request = generator.transaction();
        let text = request.to_string();
        let answers = [first.transact(step, &text)?, second.transact(step, &text)?];
        if !same(&answers[0], &answers[1]) {
            return Ok(Some(Difference {
                step,
                request,
                answers,
            }));
        }
    }
    Ok(None)
}

/// Whether two canonical answers are the same. A transaction may break a rule
/// in several rows; the reference names whichever its hash table has first, so
/// the text of an error found at commit, the last result, may differ.
#[must_use]
pub fn same(first: &Value, second: &Value) -> bool {
    let masked = |answer: &Value| {
        let mut answer = answer.clone();
        if let Some(last) = answer["reply"]["result"]
            .as_array_mut()
            .and_then(|results| results.last_mut())
            && (last["error"] == "constraint violation"
                || last["error"] == "referential integrity violation")
        {
            last["details"] = Value::Null;
        }
        answer
    };
    first == second || masked(first) == masked(second)
}
