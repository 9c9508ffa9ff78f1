//! A database that random transactions change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ovsdb::json::Document;
use ovsdb::{Schema, TableId, Uuid};
use ovsdb_engine::{Changes, Context, Outcome, Transaction, Version};

use crate::steps::{Step, Target};

const SCHEMA: &str = r#"{"name":"P","version":"1.0.0","tables":{
"Root":{"isRoot":true,"maxRows":12,"indexes":[["name"],["a","b"]],"columns":{
  "name":{"type":"string"},
  "a":{"type":"integer"},"b":{"type":"integer"},
  "kids":{"type":{"key":{"type":"uuid","refTable":"Kid"},"min":0,"max":"unlimited"}},
  "friends":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"weak"},"min":0,"max":"unlimited"}},
  "must":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"strong"},"min":0,"max":1}},
  "map":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"weak"},"value":{"type":"uuid","refTable":"Kid"},"min":0,"max":"unlimited"}},
  "tags":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
  "scratch":{"type":{"key":"integer","min":0,"max":3},"ephemeral":true}}},
"Kid":{"isRoot":false,"columns":{
  "n":{"type":"integer"},
  "next":{"type":{"key":{"type":"uuid","refTable":"Kid"},"min":0,"max":1}},
  "owner":{"type":{"key":{"type":"uuid","refTable":"Root","refType":"weak"},"min":0,"max":2}}}}}}"#;

/// A database with the means to change it.
pub(crate) struct World {
    pub(crate) schema: Arc<Schema>,
    pub(crate) version: Version,
    pub(crate) drawn: u128,
}

/// The result of one transaction.
pub(crate) struct Done {
    pub(crate) changes: Changes,
    pub(crate) failed: bool,
}

impl World {
    pub(crate) fn new() -> World {
        let schema = Arc::new(Schema::from_text(SCHEMA.as_bytes()).expect("schema"));
        World {
            version: Version::empty(schema.clone()),
            schema,
            drawn: 0,
        }
    }

    pub(crate) fn table(&self, name: &str) -> TableId {
        self.schema.find(name).expect("table")
    }

    fn row(&self, table: &str, n: usize) -> Option<Uuid> {
        let table = self.version.table(self.table(table));
        table.rows().nth(n).map(|row| row.uuid())
    }

    fn reference(&self, table: &str, target: Target) -> Option<String> {
        match target {
            Target::Row(n) => self
                .row(table, n)
                .map(|uuid| format!("[\"uuid\",\"{uuid}\"]")),
            Target::New(n) => Some(format!("[\"named-uuid\",\"{table}{n}\"]")),
            Target::Nowhere => Some(format!("[\"uuid\",\"{}\"]", Uuid::max())),
        }
    }

    fn set(&self, table: &str, targets: &[Target]) -> String {
        let all: BTreeSet<_> = targets
            .iter()
            .filter_map(|t| self.reference(table, *t))
            .collect();
        let all: Vec<_> = all.into_iter().collect();
        format!("[\"set\",[{}]]", all.join(","))
    }

    pub(crate) fn operations(&self, steps: &[Step]) -> String {
        let mut out = vec!["\"P\"".to_owned()];
        let (mut roots, mut kids) = (0, 0);
        for step in steps {
            self.operation(step, &mut roots, &mut kids, &mut out);
        }
        format!("[{}]", out.join(","))
    }

    fn operation(&self, step: &Step, roots: &mut usize, kids: &mut usize, out: &mut Vec<String>) {
        let update = |table: &str, row: usize, values: String| {
            self.row(table, row).map(|uuid| {
                format!(
                    r#"{{"op":"update","table":"{table}","where":[["_uuid","==",["uuid","{uuid}"]]],"row":{{{values}}}}}"#
                )
            })
        };
        match step {
            Step::Root { name, a, b } => {
                out.push(format!(
                    r#"{{"op":"insert","table":"Root","uuid-name":"Root{roots}","row":{{"name":"n{name}","a":{a},"b":{b}}}}}"#
                ));
                *roots += 1;
            }
            Step::Kid { n, next, owner } => {
                let next = self.set("Kid", next.as_slice());
                let owner = self.set("Root", owner);
                out.push(format!(
                    r#"{{"op":"insert","table":"Kid","uuid-name":"Kid{kids}","row":{{"n":{n},"next":{next},"owner":{owner}}}}}"#
                ));
                *kids += 1;
            }
            Step::Set {
                row,
                column,
                targets,
                values,
            } => {
                let value = match *column {
                    "kids" => self.set("Kid", targets),
                    "friends" => self.set("Root", targets),
                    "must" => self.set("Root", &targets[..targets.len().min(1)]),
                    _ => {
                        let pairs: BTreeMap<_, _> = targets
                            .iter()
                            .zip(values)
                            .filter_map(|(k, v)| {
                                Some((self.reference("Root", *k)?, self.reference("Kid", *v)?))
                            })
                            .collect();
                        let pairs: Vec<_> =
                            pairs.iter().map(|(k, v)| format!("[{k},{v}]")).collect();
                        format!("[\"map\",[{}]]", pairs.join(","))
                    }
                };
                out.extend(update("Root", *row, format!("\"{column}\":{value}")));
            }
            Step::Number { row, column, to } => {
                out.extend(update("Root", *row, format!("\"{column}\":{to}")));
            }
            Step::Next { row, next } => {
                let next = self.set("Kid", next.as_slice());
                out.extend(update("Kid", *row, format!("\"next\":{next}")));
            }
            Step::Swap(x, y) => {
                let table = self.version.table(self.table("Root"));
                let name = |n: usize| {
                    let column = self.schema.table(self.table("Root")).find("name")?;
                    let row = table.rows().nth(n)?;
                    row.get(column).atoms().first()?.as_str().map(str::to_owned)
                };
                if let (Some(of_x), Some(of_y)) = (name(*x), name(*y)) {
                    out.extend(update("Root", *x, format!("\"name\":\"{of_y}\"")));
                    out.extend(update("Root", *y, format!("\"name\":\"{of_x}\"")));
                }
            }
            Step::Delete { table, row } => {
                if let Some(uuid) = self.row(table, *row) {
                    out.push(format!(
                        r#"{{"op":"delete","table":"{table}","where":[["_uuid","==",["uuid","{uuid}"]]]}}"#
                    ));
                }
            }
            Step::Tags {
                row,
                insert,
                key,
                value,
            } => {
                let (mutator, value) = if *insert {
                    ("insert", format!("[\"map\",[[\"k{key}\",\"v{value}\"]]]"))
                } else {
                    ("delete", format!("[\"set\",[\"k{key}\"]]"))
                };
                if let Some(uuid) = self.row("Root", *row) {
                    out.push(format!(
                        r#"{{"op":"mutate","table":"Root","where":[["_uuid","==",["uuid","{uuid}"]]],"mutations":[["tags","{mutator}",{value}]]}}"#
                    ));
                }
            }
        }
    }

    /// Executes operations; the version only changes if they succeed.
    pub(crate) fn execute(&mut self, text: &str) -> (Done, String) {
        let document = Document::parse(text.to_owned()).expect("JSON");
        let drawn = &mut self.drawn;
        let transaction =
            Transaction::parse(document.root(), self.version.schema(), || draw(drawn));
        let mut context = Context {
            read_only: false,
            role: None,
            elapsed: 0,
            owns_lock: &|_| false,
            new_uuid: &mut || draw(drawn),
        };
        match transaction.execute(&self.version, &mut context) {
            Outcome::Blocked { .. } => panic!("nothing waits here"),
            Outcome::Done {
                version,
                changes,
                reply,
                ..
            } => {
                self.version = version;
                let reply = String::from_utf8(reply.finish()).expect("UTF-8");
                let failed = reply.contains("\"error\"");
                (Done { changes, failed }, reply)
            }
        }
    }
}

pub(crate) fn draw(drawn: &mut u128) -> Uuid {
    *drawn += 1;
    // Scattered, so that the order of drawing is not the order of rows.
    let scattered = drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Uuid::from_u128(scattered)
}
