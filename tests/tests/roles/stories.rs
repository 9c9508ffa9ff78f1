//! The engine's story of roles, told by servers: clients by TLS say who they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ovn_ic_db_tests::process::Program;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::limited::{Limited, Limits, People};

/// One command of the story.
#[derive(Debug)]
struct Command {
    line: String,
    input: Vec<String>,
    expected: Vec<String>,
}

fn read_story() -> Result<Vec<Command>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/engine/testdata/roles.txt");
    let text = fs::read_to_string(path)?;
    let mut commands = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut until = |end: &str| -> Vec<String> {
            let lines = lines.by_ref().take_while(|line| *line != end);
            lines.map(str::to_owned).collect()
        };
        let input = until("----");
        let expected = until("");
        commands.push(Command {
            line: line.to_owned(),
            input,
            expected,
        });
    }
    Ok(commands)
}

impl Command {
    fn option(&self, name: &str) -> Option<&str> {
        self.line
            .split(' ')
            .find_map(|word| word.strip_prefix(name))
    }

    fn is_schema(&self) -> bool {
        self.line == "schema"
    }

    fn limits(&self) -> Option<Limits> {
        Some(Limits {
            role: self.option("role=")?.to_owned(),
            read_only: self.option("read-only").is_some(),
        })
    }
}

/// Every UUID gets a number, in the order in which they appear.
#[derive(Default)]
struct Numbers(Vec<String>);

impl Numbers {
    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if text.parse::<Uuid>().is_ok() => {
                let known = self.0.iter().position(|known| known == text);
                let number = known.unwrap_or_else(|| {
                    self.0.push(text.clone());
                    self.0.len() - 1
                });
                *text = format!("<{number}>");
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(members) => members.values_mut().for_each(|item| self.replace(item)),
            _ => {}
        }
    }
}

fn tell(program: Program) -> Result<()> {
    let story = read_story()?;
    let names: BTreeSet<_> = story.iter().filter_map(|c| c.option("client=")).collect();
    ensure!(names.len() > 3, "the story has clients");
    let folder = tempfile::tempdir()?;
    let people = People::new(folder.path(), names)?;
    let mut numbers = Numbers::default();
    for part in story.chunk_by(|_, next| !next.is_schema()) {
        let [schema, steps @ ..] = part else {
            bail!("a part without a schema")
        };
        let limits: BTreeSet<Limits> = steps.iter().filter_map(Command::limits).collect();
        let server = Limited::start(program, &schema.input.concat(), &people, limits)?;
        let is_for_it =
            |step: &&Command| program == Program::Ours || step.option("newer").is_none();
        for step in steps.iter().filter(is_for_it) {
            let mut params = vec![json!("T")];
            for operation in &step.input {
                params.push(serde_json::from_str(operation)?);
            }
            let params = Value::Array(params);
            let mut results = match (step.limits(), step.option("client=")) {
                (None, _) => server.free()?.call("transact", params)?,
                (Some(limits), None) => server.plain(&limits)?.call("transact", params)?,
                (Some(limits), Some(name)) => {
                    server.transact_as(&limits, &people, name, &params)?
                }
            };
            numbers.replace(&mut results);
            let results = results.as_array().context("results")?;
            let came: Vec<String> = results.iter().map(Value::to_string).collect();
            ensure!(
                came == step.expected,
                "{program:?}: {step:?}\ncame {came:#?}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_reference_tells_the_story_of_roles() -> Result<()> {
    tell(Program::Reference)
}

#[test]
fn ours_tells_the_story_of_roles() -> Result<()> {
    tell(Program::Ours)
}
