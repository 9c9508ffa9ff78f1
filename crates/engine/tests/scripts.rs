//! Runs the stories in `testdata`: commands with the text that they must print.
//!
//! A command is a line with its name and arguments, then lines of input, then `----`, then the
//! expected text up to an empty line. `REWRITE=1` writes what was printed into the files.
//! UUIDs are printed, and can be written, as `<N>` in the order in which they first appear.
//!
//! - `schema`: begins a database with a schema.
//! - `transact [lock=NAME] [elapsed=MS] [read-only] [role=NAME [client=NAME]] [newer]`: one operation a
//!   line; prints one result a line, then what each monitor is told. With `newer`, Debian's reference answers otherwise.
//! - `monitor NAME update|update2|update3`: prints the initial contents.
//! - `condition NAME`: changes a monitor's conditions and prints what it is told.
//! - `record`: prints the log record of the last transaction.
//! - `apply [converting]`: applies a log record and prints the contents' record.
//! - `contents`: prints the record of the whole contents.
//! - `convert`: converts the database to another schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{Error, Schema, Uuid};
use ovsdb_engine::monitor::Format;
use ovsdb_engine::record::{self, Strictness};
use ovsdb_engine::{Changes, Context, Monitor, Outcome, Role, Transaction, Version, convert};

#[test]
fn every_story_comes_out_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("testdata")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no stories in {}", folder.display());
    let rewrite = std::env::var_os("REWRITE").is_some();
    let mut wrong = String::new();
    for path in paths {
        let told = std::fs::read_to_string(&path).expect("story");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let came = run(&told, &name, &mut wrong);
        if rewrite {
            std::fs::write(&path, came).expect("rewrite");
        }
    }
    assert!(rewrite || wrong.is_empty(), "{wrong}");
}

/// Runs a story; what differs is added to `wrong`. Returns the story as it came out.
fn run(told: &str, name: &str, wrong: &mut String) -> String {
    let mut story = Story::default();
    let mut came = String::new();
    let mut lines = told.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let _ = writeln!(came, "{line}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut input = Vec::new();
        for (_, line) in lines.by_ref() {
            let _ = writeln!(came, "{line}");
            if line == "----" {
                break;
            }
            input.push(line);
        }
        let mut expected = String::new();
        for (_, line) in lines.by_ref() {
            if line.is_empty() {
                break;
            }
            let _ = writeln!(expected, "{line}");
        }
        let printed = story.command(line, &input);
        if printed != expected {
            let _ = writeln!(
                wrong,
                "{name}:{}: {line}\nexpected:\n{expected}came:\n{printed}",
                number + 1
            );
        }
        let _ = writeln!(came, "{printed}");
    }
    while came.ends_with("\n\n") {
        came.pop();
    }
    came
}

/// A story in progress.
#[derive(Default)]
struct Story {
    version: Option<Version>,
    last: Option<(Changes, Option<String>)>,
    monitors: BTreeMap<String, Monitor>,
    drawn: u128,
    /// The UUIDs by the number under which they are printed.
    seen: Vec<String>,
}

impl Story {
    fn command(&mut self, line: &str, input: &[&str]) -> String {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or_default();
        let arguments: Vec<&str> = words.collect();
        let input = self.with_uuids(input);
        let out = match (command, arguments.as_slice()) {
            ("schema", []) => self.schema(&input.concat()),
            ("transact", options) => self.transact(&input, options),
            ("monitor", [name, format]) => self.monitor(name, format, &input.concat()),
            ("condition", [name]) => self.condition(name, &input.concat()),
            ("record", []) => self.record(),
            ("apply", options) => self.apply(&input.concat(), options),
            ("contents", []) => self.contents(),
            ("convert", []) => self.convert(&input.concat()),
            _ => panic!("no such command: {line}"),
        };
        self.with_numbers(out)
    }

    fn with_uuids(&self, input: &[&str]) -> Vec<String> {
        let replace = |line: &&str| {
            let numbered = self.seen.iter().enumerate();
            numbered.fold(line.to_string(), |line, (number, uuid)| {
                line.replace(&format!("<{number}>"), uuid)
            })
        };
        input.iter().map(replace).collect()
    }

    /// Drawn UUIDs all begin alike, so that they are found in any text.
    fn with_numbers(&mut self, mut out: String) -> String {
        let prefix = "0d0b0000-";
        while let Some(at) = out.find(prefix) {
            let uuid = out[at..at + 36].to_owned();
            let number = match self.seen.iter().position(|seen| *seen == uuid) {
                Some(number) => number,
                None => {
                    self.seen.push(uuid.clone());
                    self.seen.len() - 1
                }
            };
            out = out.replace(&uuid, &format!("<{number}>"));
        }
        out
    }

    fn version(&self) -> &Version {
        self.version.as_ref().expect("the story begins with schema")
    }

    fn schema(&mut self, text: &str) -> String {
        match Schema::from_text(text.as_bytes()) {
            Ok(schema) => {
                self.version = Some(Version::empty(Arc::new(schema)));
                self.monitors.clear();
                "ok\n".to_owned()
            }
            Err(error) => line(&error),
        }
    }

    fn transact(&mut self, operations: &[String], options: &[&str]) -> String {
        let operations = operations.iter().map(String::as_str);
        let params: Vec<&str> = std::iter::once("\"db\"").chain(operations).collect();
        let text = format!("[{}]", params.join(","));
        let document = Document::parse(text).expect("operations in JSON");
        let version = self.version().clone();
        let drawn = &mut self.drawn;
        let transaction = Transaction::parse(document.root(), version.schema(), || draw(drawn));
        let option = |name: &str| options.iter().find_map(|option| option.strip_prefix(name));
        let lock = option("lock=");
        let role = option("role=").and_then(|role| Role::new(role, option("client=")));
        let mut context = Context {
            read_only: options.contains(&"read-only"),
            role: role.as_ref(),
            elapsed: option("elapsed=").map_or(0, |ms| ms.parse().expect("milliseconds")),
            owns_lock: &|name| Some(name) == lock,
            new_uuid: &mut || draw(drawn),
        };
        let (version, changes, reply, durable, comment) =
            match transaction.execute(&version, &mut context) {
                Outcome::Blocked { timeout } => return format!("blocked, timeout {timeout:?}\n"),
                Outcome::Done {
                    version,
                    changes,
                    reply,
                    durable,
                    comment,
                    ..
                } => (version, changes, reply, durable, comment),
            };
        let mut out = String::new();
        let reply = Document::parse(reply.finish()).expect("reply in JSON");
        for result in reply.root().elements() {
            out.push_str(&result.canonical());
            out.push('\n');
        }
        if durable {
            out.push_str("durable\n");
        }
        for (name, monitor) in &self.monitors {
            if let Some(update) = monitor.update(&changes) {
                let _ = writeln!(out, "{name}: {}", canonical(update));
            }
        }
        self.version = Some(version);
        self.last = Some((changes, comment));
        out
    }

    fn monitor(&mut self, name: &str, format: &str, requests: &str) -> String {
        let format = match format {
            "update" => Format::Update,
            "update2" => Format::Update2,
            "update3" => Format::Update3,
            other => panic!("no such format: {other}"),
        };
        let document = Document::parse(requests.to_owned()).expect("requests in JSON");
        match Monitor::parse(document.root(), format, self.version().schema()) {
            Ok(monitor) => {
                let initial = canonical(monitor.initial(self.version()));
                self.monitors.insert(name.to_owned(), monitor);
                format!("{initial}\n")
            }
            Err(error) => line(&error),
        }
    }

    fn condition(&mut self, name: &str, requests: &str) -> String {
        let document = Document::parse(requests.to_owned()).expect("requests in JSON");
        let old = self.monitors.get(name).expect("monitor");
        let new = match old.with_conditions(document.root(), self.version().schema()) {
            Ok(new) => new,
            Err(error) => return line(&error),
        };
        let update = old.condition_change(&new, self.version());
        self.monitors.insert(name.to_owned(), new);
        match update {
            Some(update) => format!("{name}: {}\n", canonical(update)),
            None => "nothing\n".to_owned(),
        }
    }

    fn record(&self) -> String {
        let (changes, comment) = self.last.as_ref().expect("a transaction before");
        let mut out = Vec::new();
        if record::write_changes(&mut out, changes, 0, comment.as_deref()) {
            format!("{}\n", canonical(out))
        } else {
            "none\n".to_owned()
        }
    }

    fn contents(&self) -> String {
        let mut out = Vec::new();
        record::write_contents(&mut out, self.version(), 0, None);
        format!("{}\n", canonical(out))
    }

    fn apply(&mut self, text: &str, options: &[&str]) -> String {
        let strictness = match options {
            [] => Strictness::Exact,
            _ => Strictness::Converting,
        };
        let document = Document::parse(text.to_owned()).expect("record in JSON");
        let version = self.version().clone();
        let drawn = &mut self.drawn;
        match record::apply(&version, document.root(), strictness, &mut || draw(drawn)) {
            Ok((version, _)) => {
                self.version = Some(version);
                self.contents()
            }
            Err(error) => line(&error),
        }
    }

    fn convert(&mut self, text: &str) -> String {
        let schema = match Schema::from_text(text.as_bytes()) {
            Ok(schema) => Arc::new(schema),
            Err(error) => return line(&error),
        };
        let version = self.version().clone();
        let drawn = &mut self.drawn;
        match convert::convert(&version, schema, &mut || draw(drawn)) {
            Ok(version) => {
                self.version = Some(version);
                self.monitors.clear();
                self.contents()
            }
            Err(error) => line(&error),
        }
    }
}

fn draw(drawn: &mut u128) -> Uuid {
    *drawn += 1;
    Uuid::from_u128(0x0d0b_0000 << 96 | *drawn)
}

fn line(error: &Error) -> String {
    format!("{}\n", error.to_json())
}

fn canonical(json: Vec<u8>) -> String {
    Document::parse(json).expect("JSON").root().canonical()
}
