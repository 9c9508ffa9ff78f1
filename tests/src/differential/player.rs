//! Two servers in lock step.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::compare::{Rule, differing, is_update, normal, one, tables};
use super::known;
use super::replica::Replicas;
use super::requests::{Action, CLIENTS};
use super::schema::Schema;
use super::side::{Side, closed};
use crate::process::Program;

/// Both servers and what the clients know.
#[derive(Debug)]
pub struct Player {
    /// The first and the second server.
    pub sides: [Side; 2],
    /// The databases' schema now.
    pub schema: Schema,
    replicas: [Replicas; 2],
    restart_loses: bool,
    /// How many replies were the same only without the order of members.
    pub member_orders: usize,
}

/// How long a server may lag behind the other one.
const PATIENCE: Duration = Duration::from_secs(4);

impl Player {
    /// Starts both servers on empty databases.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(programs: [Program; 2], schema: &Schema) -> Result<Self> {
        let text = schema.json();
        Ok(Self {
            sides: [
                Side::start(programs[0], &text)?,
                Side::start(programs[1], &text)?,
            ],
            schema: schema.clone(),
            replicas: Default::default(),
            restart_loses: known::loses_rows_at_restart(schema),
            member_orders: 0,
        })
    }

    /// Does one thing on both, and says how the answers differ, if they do.
    ///
    /// # Errors
    /// If a server is gone or does not answer.
    pub fn play(&mut self, action: &Action) -> Result<Option<String>> {
        for side in &mut self.sides {
            side.received = Default::default();
            side.act(action)?;
        }
        if let Action::Leave { client } = action {
            for replicas in &mut self.replicas {
                replicas.forget(*client);
            }
        }
        let start = Instant::now();
        let difference = loop {
            for side in &mut self.sides {
                side.collect()?;
            }
            let mut rule = self.rule(action);
            let answers = self.answers(rule);
            if answers[0] == answers[1] {
                break None;
            }
            rule.any_member_order = true;
            let loose = self.answers(rule);
            if loose[0] == loose[1] {
                self.member_orders += 1;
                break None;
            }
            // Nothing that is there already will go away.
            if start.elapsed() > PATIENCE || !self.may_catch_up() {
                break Some(differing([&answers[0], &answers[1]]));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if difference.is_some() {
            return Ok(difference);
        }
        self.follow();
        self.adopt(action);
        let views = [&self.replicas[0], &self.replicas[1]].map(|side| side.view(&self.schema));
        if views[0] != views[1] {
            let [first, second] = views.map(|view| rows_of(&view));
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                these
                    .iter()
                    .filter(|row| !those.contains(row))
                    .cloned()
                    .collect()
            };
            return Ok(Some(format!(
                "rows of monitors, only in the first: {:#?}\nonly in the second: {:#?}",
                only(&first, &second),
                only(&second, &first)
            )));
        }
        Ok(None)
    }

    /// The commits of one step may be merged if several requests came at once
    /// or one ended the wait of another.
    fn rule(&self, action: &Action) -> Rule {
        let sent = match action {
            Action::Send { messages, .. } => messages.len(),
            Action::Leave { .. } => 0,
        };
        let replies = self.sides.iter().map(|side| {
            let all = side.received.iter().flatten();
            all.filter(|message| message.get("method").is_none() && message.is_object())
                .count()
        });
        if sent > 1 || replies.max() > Some(1) {
            Rule {
                merged: true,
                ..Rule::default()
            }
        } else {
            Rule::default()
        }
    }

    fn answers(&self, rule: Rule) -> [[Value; CLIENTS]; 2] {
        [normal(&self.sides[0], rule), normal(&self.sides[1], rule)]
    }

    /// Whether the two sides could still become the same: one that has fewer
    /// messages than the other for some client.
    fn may_catch_up(&self) -> bool {
        (0..CLIENTS).any(|client| {
            let [first, second] = [&self.sides[0], &self.sides[1]];
            first.received[client].len() != second.received[client].len()
        })
    }

    /// Brings the clients' replicas up to date.
    fn follow(&mut self) {
        for (side, replicas) in self.sides.iter().zip(&mut self.replicas) {
            for (client, messages) in side.received.iter().enumerate() {
                for message in messages {
                    if *message == closed() {
                        replicas.forget(client);
                        continue;
                    }
                    let Some(message) = one(side, message) else {
                        continue;
                    };
                    if is_update(&message) {
                        let id = &message["params"][0];
                        replicas.apply(client, id, tables(&message), &self.schema);
                        continue;
                    }
                    let Some(request) = side.request(&message) else {
                        continue;
                    };
                    let method = request["method"].as_str().unwrap_or_default();
                    let first = match method {
                        "monitor" | "monitor_cond" => &message["result"],
                        "monitor_cond_since" => &message["result"][2],
                        _ => continue,
                    };
                    replicas.apply(client, &request["params"][1], first, &self.schema);
                }
            }
        }
    }

    /// Takes over the schema of a conversion that succeeded.
    fn adopt(&mut self, action: &Action) {
        let Action::Send { messages, .. } = action else {
            return;
        };
        for message in messages {
            let replies = self.sides[0].received.iter().flatten();
            let done = replies
                .filter(|reply| reply["id"] == json!(message.number))
                .any(|reply| reply["error"].is_null() && !reply["result"].is_null());
            if let Some(schema) = &message.converts_to
                && done
            {
                self.schema = schema.clone();
                self.restart_loses |= known::loses_rows_at_restart(schema);
            }
        }
    }

    fn compare_contents(&self) -> Result<Option<String>> {
        let tables: Vec<&str> = self
            .schema
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        let contents = [
            self.sides[0].contents(&tables)?,
            self.sides[1].contents(&tables)?,
        ];
        if contents[0] == contents[1] {
            return Ok(None);
        }
        let [first, second] = contents;
        Ok(Some(format!("contents:\nfirst  {first}\nsecond {second}")))
    }

    /// How the contents differ, now or after both started again on their files.
    ///
    /// # Errors
    /// If a server does not stop, start or answer.
    pub fn compare_at_the_end(&mut self) -> Result<Option<String>> {
        let answers = self.compare_contents()?;
        if answers.is_some() || self.restart_loses {
            return Ok(answers);
        }
        self.sides.iter_mut().try_for_each(Side::restart)?;
        let answers = self.compare_contents()?;
        Ok(answers.map(|answers| {
            let [first, second] = &mut self.sides;
            let said = [first.said(), second.said()];
            format!("after a restart, {answers}\n{}\n{}", said[0], said[1])
        }))
    }
}

fn rows_of(view: &Value) -> Vec<String> {
    let rows = view.as_array().into_iter().flatten();
    rows.map(Value::to_string).collect()
}
