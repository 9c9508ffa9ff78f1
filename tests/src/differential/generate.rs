//! Random transactions over one schema that has every kind of column: valid
//! ones mostly, and every so often something that is wrong.

use fastrand::Rng;
use serde_json::{Value, json};

/// The schema that the transactions are about.
pub const SCHEMA: &str = r#"{"name":"d","version":"1.0.0","tables":{
 "a":{"isRoot":true,"indexes":[["name"]],"columns":{
  "name":{"type":"string"},
  "i":{"type":{"key":{"type":"integer","minInteger":-10,"maxInteger":1000}}},
  "r":{"type":"real"}, "b":{"type":"boolean"}, "fixed":{"type":"integer","mutable":false},
  "e":{"type":{"key":{"type":"string","enum":["set",["x","y","z"]]},"min":0,"max":1}},
  "is":{"type":{"key":"integer","min":0,"max":4}},
  "ss":{"type":{"key":{"type":"string","maxLength":5},"min":0,"max":"unlimited"}},
  "m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
  "strong":{"type":{"key":{"type":"uuid","refTable":"c"},"min":0,"max":"unlimited"}},
  "weak":{"type":{"key":{"type":"uuid","refTable":"c","refType":"weak"},"min":0,"max":"unlimited"}}}},
 "c":{"columns":{"n":{"type":"integer"},
  "next":{"type":{"key":{"type":"uuid","refTable":"c"},"min":0,"max":1}}}}}}"#;

/// Makes the messages; the same seed gives the same ones.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
    step: usize,
    rows: Vec<String>,
}

impl Generator {
    /// A generator that starts from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            step: 0,
            rows: vec!["<0.0>".into()],
        }
    }

    /// The `params` of the next `transact`, with `<STEP.INDEX>` for rows that
    /// earlier ones inserted.
    pub fn transaction(&mut self) -> Value {
        self.step += 1;
        let mut params = vec![json!("d")];
        for index in 0..self.random.usize(1..4) {
            let operation = self.operation(index);
            if operation["op"] == "insert" {
                self.rows.push(format!("<{}.{index}>", self.step));
            }
            params.push(operation);
        }
        if self.rows.len() > 40 {
            self.rows.drain(..20);
        }
        Value::Array(params)
    }

    fn operation(&mut self, index: usize) -> Value {
        let condition = self.conditions();
        match self.random.u8(0..16) {
            0..=5 => {
                // The child comes with its parent, or it would be collected at once.
                let (table, row) = if self.random.u8(0..4) == 0 {
                    ("c", json!({"n": self.random.i8(..)}))
                } else {
                    ("a", self.row())
                };
                json!({"op": "insert", "table": table, "row": row, "uuid-name": format!("n{index}")})
            }
            6..=8 => json!({"op": "update", "table": "a", "where": condition, "row": self.row()}),
            9..=10 => {
                let mutations = self.mutations();
                json!({"op": "mutate", "table": "a", "where": condition, "mutations": mutations})
            }
            11 => json!({"op": "delete", "table": "a", "where": condition}),
            12..=13 => json!({"op": "select", "table": "a", "where": condition}),
            14 => json!({"op": "wait", "table": "a", "where": condition, "timeout": 0,
                "columns": ["i"], "until": *self.pick(&["==", "!=", "<"]), "rows": []}),
            _ => self
                .pick(&[
                    json!({"op": "comment", "comment": "c"}),
                    json!({"op": "commit", "durable": false}),
                    json!({"op": "abort"}),
                    json!({"op": "assert", "lock": "l"}),
                    json!({"op": "nonsense"}),
                    json!({"op": "select", "table": "none", "where": []}),
                    json!({"op": "select", "table": "a"}),
                    json!({"op": "insert", "table": "a", "row": {"none": 1}}),
                    json!({"op": "insert", "table": "a", "row": {}, "extra": 1}),
                    json!({"op": "insert", "table": "a", "row": {}, "uuid-name": "0 bad"}),
                    json!({"op": "delete", "table": "a", "where": [["name", "==", 1]]}),
                    json!({"op": "update", "table": "a", "where": [], "row": {"fixed": 3}}),
                    json!(7),
                ])
                .clone(),
        }
    }

    fn row(&mut self) -> Value {
        let mut row = serde_json::Map::new();
        for column in [
            "name", "i", "r", "b", "e", "is", "ss", "m", "strong", "weak",
        ] {
            if self.random.u8(0..3) == 0 || column == "name" && self.random.bool() {
                row.insert(column.into(), self.value(column));
            }
        }
        Value::Object(row)
    }

    fn value(&mut self, column: &str) -> Value {
        if self.random.u8(0..40) == 0 {
            return self
                .pick(&[
                    json!(null),
                    json!("x"),
                    json!(1.5),
                    json!(["set", 1]),
                    json!(["map", [[1]]]),
                ])
                .clone();
        }
        let small = self.random.i64(-12..40);
        match column {
            "name" => json!(format!("n{}", self.random.u16(0..300))),
            "i" => json!(small),
            "r" => json!(small as f64 / 4.0),
            "b" => json!(self.random.bool()),
            "e" => self
                .pick(&[
                    json!("x"),
                    json!(["set", []]),
                    json!(["set", ["y"]]),
                    json!("w"),
                ])
                .clone(),
            "is" => json!(["set", [small, small + 1, small * 2]]),
            "ss" => self
                .pick(&[
                    json!("é\u{1}"),
                    json!(["set", ["a", "b"]]),
                    json!(["set", ["a", "a"]]),
                    json!("longer"),
                ])
                .clone(),
            "m" => json!(["map", [["k", small], [format!("k{small}"), 1]]]),
            _ => {
                let row = self.reference();
                json!(["set", [row]])
            }
        }
    }

    fn reference(&mut self) -> Value {
        if self.random.u8(0..3) > 0 {
            return json!(["named-uuid", format!("n{}", self.random.u8(0..3))]);
        }
        json!(["uuid", self.pick_row()])
    }

    fn conditions(&mut self) -> Value {
        if self.random.u8(0..3) == 0 {
            let row = self.pick_row();
            return json!([["_uuid", "==", ["uuid", row]]]);
        }
        let column = *self.pick(&["name", "i", "r", "b", "e", "is", "ss", "m", "weak"]);
        let function = *self.pick(&["==", "!=", "<", "<=", ">", ">=", "includes", "excludes"]);
        let value = self.value(column);
        json!([[column, function, value]])
    }

    fn mutations(&mut self) -> Value {
        let column = *self.pick(&["name", "i", "r", "is", "ss", "m", "weak"]);
        let mutator = *self.pick(&["+=", "-=", "*=", "/=", "%=", "insert", "delete"]);
        let value = if self.random.bool() && matches!(column, "i" | "is" | "r") {
            // The reference's process ended at `*= 0` of a set of several
            // integers: no 0 there. -1 is left out in case of -2^63 / -1.
            let low = if column == "is" { 1 } else { 0 };
            json!(*self.pick(&[-2, low, 1, 2, 3]))
        } else {
            self.value(column)
        };
        json!([[column, mutator, value]])
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.random.usize(..choices.len())]
    }

    fn pick_row(&mut self) -> String {
        let index = self.random.usize(..self.rows.len());
        self.rows[index].clone()
    }
}
