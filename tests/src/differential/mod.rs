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
        let reply = self.writer.reply(&id).with_context(|| {
            let ended = self.server.ended();
            format!("{text}\nended: {ended:?}\n{}", self.server.said())
        })?;
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
        if !same(&request, &answers[0], &answers[1]) {
            return Ok(Some(Difference {
                step,
                request,
                answers,
            }));
        }
    }
    Ok(None)
}

/// Whether two canonical answers to the same `transact` params are the same.
///
/// Two things are the reference's own chance, as it takes rows in the order of
/// a hash table of random UUIDs: which row it names in an error found at commit
/// (the extra last result), and which row's value it names when a mutation of
/// several rows breaks a rule. There the `details` may differ, the `error` not.
#[must_use]
pub fn same(request: &Value, first: &Value, second: &Value) -> bool {
    first == second || without_chance(request, first) == without_chance(request, second)
}

fn without_chance(params: &Value, answer: &Value) -> Value {
    let mut answer = answer.clone();
    let operations = params.as_array().map_or(0, Vec::len).saturating_sub(1);
    let results = answer["reply"]["result"].as_array_mut();
    for (index, result) in results.into_iter().flatten().enumerate() {
        let at_commit = index == operations;
        let of_mutation = params[index + 1]["op"] == "mutate";
        if (at_commit || of_mutation)
            && (result["error"] == "constraint violation"
                || result["error"] == "referential integrity violation")
        {
            result["details"] = Value::Null;
        }
    }
    answer
}
