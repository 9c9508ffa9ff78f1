//! Random values: mostly ones that fit their column, from a small choice so
//! that conditions hit, and now and then something that does not fit.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use super::schema::{Atomic, Base, Column};

/// The rows that a request can refer to.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Names of rows of earlier transactions, by table.
    pub known: BTreeMap<String, Vec<String>>,
    /// Table and `uuid-name` of the inserts of the transaction being made.
    pub named: Vec<(String, String)>,
}

impl Rows {
    /// Remembers a row, and forgets old ones when there are many.
    pub fn add(&mut self, table: &str, row: String) {
        let rows = self.known.entry(table.to_owned()).or_default();
        rows.push(row);
        if rows.len() > 24 {
            rows.drain(..8);
        }
    }

    /// A `uuid` atom of a row of the table, or of none.
    pub fn existing(&self, random: &mut Rng, table: &str) -> Value {
        match self.known.get(table) {
            Some(rows) if random.u8(0..12) != 0 => {
                json!(["uuid", rows[random.usize(..rows.len())]])
            }
            _ => json!(["uuid", format!("<0.{}>", random.u8(0..3))]),
        }
    }

    fn reference(&self, random: &mut Rng, table: &str) -> Value {
        let named: Vec<&String> = self
            .named
            .iter()
            .filter(|(of, _)| of == table)
            .map(|(_, name)| name)
            .collect();
        if !named.is_empty() && random.u8(0..3) != 0 {
            return json!(["named-uuid", named[random.usize(..named.len())]]);
        }
        if random.u8(0..30) == 0 {
            return json!(["named-uuid", "nobody"]);
        }
        self.existing(random, table)
    }
}

/// Something out of a list.
pub fn pick<'a, T>(random: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[random.usize(..choices.len())]
}

/// An atom that fits the type, most of the time.
pub fn atom(random: &mut Rng, base: &Base, rows: &Rows) -> Value {
    if !base.choices.is_empty() && random.u8(0..20) != 0 {
        return pick(random, &base.choices).clone();
    }
    let any = random.u8(0..25) == 0;
    match base.atomic {
        Atomic::Integer => {
            let (low, high) = match (any, base.low, base.high) {
                (true, ..) => {
                    return pick(
                        random,
                        &[
                            json!(i64::MAX),
                            json!(i64::MIN),
                            json!(1_000_000_007),
                            json!(4.0),
                            json!(-77),
                        ],
                    )
                    .clone();
                }
                (_, low, high) => (low.unwrap_or(-3), high.unwrap_or(12).min(12)),
            };
            json!(random.i64(low..=high))
        }
        Atomic::Real => {
            if any {
                return pick(
                    random,
                    &[
                        json!(1e100),
                        json!(-1.5e-7),
                        json!(0.1),
                        json!(123_456_789_012_345_680.0),
                        json!(-0.0),
                        json!(3),
                    ],
                )
                .clone();
            }
            let low = base.low.unwrap_or(-3) * 4;
            let high = base.high.unwrap_or(9).min(9) * 4;
            json!(random.i64(low..=high) as f64 / 4.0)
        }
        Atomic::Boolean => json!(random.bool()),
        Atomic::Text => text(random, base, any),
        Atomic::Uuid => match &base.target {
            Some((table, _)) => rows.reference(random, table),
            None => {
                json!([
                    "uuid",
                    format!("00000000-0000-0000-0000-00000000000{}", random.u8(0..6))
                ])
            }
        },
    }
}

fn text(random: &mut Rng, base: &Base, any: bool) -> Value {
    if any {
        let odd = [
            "",
            "é",
            "\u{1}\t\n",
            "\"q\\",
            "a longer text",
            "\u{1F600}",
            "\u{7f}/",
        ];
        return json!(pick(random, &odd));
    }
    let low = base.low.unwrap_or(0) as usize;
    let high = base.high.unwrap_or(3) as usize;
    let length = random.usize(low..=high);
    let text: String = (0..length)
        .map(|_| char::from(b'a' + random.u8(0..3)))
        .collect();
    json!(text)
}

/// A value that fits the column, most of the time.
pub fn datum(random: &mut Rng, column: &Column, rows: &Rows) -> Value {
    if random.u8(0..60) == 0 {
        return misfit(random);
    }
    let mut most = column.max.unwrap_or(4).min(4);
    if random.u8(0..40) == 0 {
        most += 2;
    }
    let count = random.u64(column.min.min(most)..=most);
    elements(random, column, rows, count)
}

/// This many elements of a column's type.
pub fn elements(random: &mut Rng, column: &Column, rows: &Rows, count: u64) -> Value {
    let mut atoms: Vec<Value> = Vec::new();
    for _ in 0..count {
        let key = atom(random, &column.key, rows);
        let repeated = atoms
            .iter()
            .any(|other| *other == key || column.value.is_some() && other[0] == key);
        if repeated && random.u8(0..20) != 0 {
            continue;
        }
        atoms.push(match &column.value {
            Some(value) => json!([key, atom(random, value, rows)]),
            None => key,
        });
    }
    if column.value.is_some() {
        json!(["map", atoms])
    } else if atoms.len() == 1 && random.u8(0..8) != 0 {
        atoms.swap_remove(0)
    } else {
        json!(["set", atoms])
    }
}

/// Something that fits few columns or none.
pub fn misfit(random: &mut Rng) -> Value {
    pick(
        random,
        &[
            json!(null),
            json!("x"),
            json!(1.5),
            json!(true),
            json!(-9),
            json!([]),
            json!({}),
            json!(["set", 1]),
            json!(["set", [1, 2, 2]]),
            json!(["set", []]),
            json!(["map", []]),
            json!(["map", [[1]]]),
            json!(["map", [[1, 2], [1, 3]]]),
            json!(["uuid", "not one"]),
            json!(["uuid", 3]),
            json!(["named-uuid", "0 bad"]),
            json!(["set", [["uuid", "00000000-0000-0000-0000-000000000001"], 2]]),
            json!(["other", []]),
            json!([1, 2]),
        ],
    )
    .clone()
}
