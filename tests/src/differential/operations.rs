//! Random transactions over a schema.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::schema::{Atomic, Column, Schema, Table};
use super::value::{Rows, atom, datum, elements, misfit, pick};

/// The names of the locks that clients take and assert.
pub const LOCKS: [&str; 3] = ["l0", "l1", "other lock"];

/// Makes the operations of one transaction.
#[derive(Debug)]
pub struct Maker<'a> {
    /// Where the chance comes from.
    pub random: &'a mut Rng,
    /// What the database looks like.
    pub schema: &'a Schema,
    /// What can be referred to.
    pub rows: &'a mut Rows,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Update,
    Mutate,
    Delete,
    Select,
    Wait,
    Other,
}

impl Maker<'_> {
    /// The `params` of a `transact`. With `blocking`, waits may last for ever.
    pub fn transaction(&mut self, blocking: bool) -> Value {
        let count = match self.random.u8(0..10) {
            0..4 => 1,
            4..7 => 2,
            7..9 => 3,
            _ => 6,
        };
        let mut plan: Vec<(Kind, usize)> = (0..count).map(|_| self.kind_and_table()).collect();
        if blocking {
            let place = self.random.usize(..=plan.len());
            plan.insert(
                place,
                (Kind::Wait, self.random.usize(..self.schema.tables.len())),
            );
        }
        self.rows.named.clear();
        for (index, (kind, table)) in plan.iter().enumerate() {
            if *kind == Kind::Insert && self.random.u8(0..8) != 0 {
                let table = self.schema.tables[*table].name.clone();
                self.rows.named.push((table, format!("n{index}")));
            }
        }
        let mut params = vec![json!("d")];
        for (index, (kind, table)) in plan.into_iter().enumerate() {
            let table = &self.schema.tables[table];
            params.push(self.operation(kind, table, index, blocking));
        }
        Value::Array(params)
    }

    fn kind_and_table(&mut self) -> (Kind, usize) {
        let kind = match self.random.u8(0..32) {
            0..12 => Kind::Insert,
            12..17 => Kind::Update,
            17..22 => Kind::Mutate,
            22..24 => Kind::Delete,
            24..28 => Kind::Select,
            28..30 => Kind::Wait,
            _ => Kind::Other,
        };
        (kind, self.random.usize(..self.schema.tables.len()))
    }

    fn operation(&mut self, kind: Kind, table: &Table, index: usize, blocking: bool) -> Value {
        let name = &table.name;
        match kind {
            Kind::Insert => self.insert(table, index),
            Kind::Update => {
                let condition = self.condition(table);
                json!({"op": "update", "table": name, "where": condition, "row": self.row(table, 3)})
            }
            Kind::Mutate => {
                let condition = self.condition(table);
                let mutations: Vec<Value> = (0..self.random.u8(1..3))
                    .map(|_| self.mutation(table))
                    .collect();
                json!({"op": "mutate", "table": name, "where": condition, "mutations": mutations})
            }
            Kind::Delete => json!({"op": "delete", "table": name, "where": self.condition(table)}),
            Kind::Select => {
                let mut select =
                    json!({"op": "select", "table": name, "where": self.condition(table)});
                if self.random.bool() {
                    select["columns"] = self.columns(table);
                }
                select
            }
            Kind::Wait => self.wait(table, blocking),
            Kind::Other => self.other(table),
        }
    }

    fn insert(&mut self, table: &Table, index: usize) -> Value {
        let mut insert = json!({"op": "insert", "table": table.name, "row": self.row(table, 2)});
        let name = format!("n{index}");
        if self.rows.named.iter().any(|(_, known)| *known == name) {
            insert["uuid-name"] = json!(name);
        }
        if self.random.u8(0..25) == 0 {
            let last = self.random.u8(0..20);
            insert["uuid"] = json!(format!("00000000-0000-0000-0001-0000000000{last:02}"));
        }
        insert
    }

    fn row(&mut self, table: &Table, one_of: u8) -> Value {
        let mut row = Map::new();
        for column in &table.columns {
            // Most types with a minimum refuse their own default value.
            let needed = one_of == 2 && column.min == 1 && self.random.u8(0..6) != 0;
            if needed || self.random.u8(0..one_of) == 0 {
                row.insert(column.name.clone(), datum(self.random, column, self.rows));
            }
        }
        if self.random.u8(0..80) == 0 {
            let column = *pick(self.random, &["_uuid", "_version", "nosuch"]);
            row.insert(column.into(), misfit(self.random));
        }
        Value::Object(row)
    }

    fn condition(&mut self, table: &Table) -> Value {
        self.condition_on(table, &|_| true)
    }

    /// A `where` on columns for which `usable` holds.
    pub fn condition_on(&mut self, table: &Table, usable: &dyn Fn(&str) -> bool) -> Value {
        let clauses = match self.random.u8(0..10) {
            0 => 0,
            1..8 => 1,
            _ => 2,
        };
        (0..clauses).map(|_| self.clause(table, usable)).collect()
    }

    fn clause(&mut self, table: &Table, usable: &dyn Fn(&str) -> bool) -> Value {
        match self.random.u8(0..20) {
            0..6 if usable("_uuid") => {
                let function = *pick(
                    self.random,
                    &["==", "==", "==", "!=", "includes", "excludes"],
                );
                return json!([
                    "_uuid",
                    function,
                    self.rows.existing(self.random, &table.name)
                ]);
            }
            6 => return json!(self.random.bool()),
            7 if self.random.u8(0..6) == 0 => return misfit(self.random),
            8 if self.random.u8(0..6) == 0 => return json!(["nosuch", "==", 1]),
            _ => {}
        }
        let column = pick(self.random, &table.columns);
        if !usable(&column.name) {
            return json!(self.random.bool());
        }
        let ordered = matches!(column.key.atomic, Atomic::Integer | Atomic::Real)
            && (column.is_scalar() || column.is_optional());
        let function = if ordered || self.random.u8(0..30) == 0 {
            *pick(
                self.random,
                &["<", "<=", "==", "!=", ">=", ">", "includes", "excludes"],
            )
        } else {
            *pick(
                self.random,
                &["==", "!=", "includes", "excludes", "includes"],
            )
        };
        let value = if self.random.bool() && !column.is_scalar() {
            elements(self.random, column, self.rows, 1)
        } else {
            datum(self.random, column, self.rows)
        };
        json!([column.name, function, value])
    }

    fn mutation(&mut self, table: &Table) -> Value {
        let column = pick(self.random, &table.columns);
        let number = matches!(column.key.atomic, Atomic::Integer | Atomic::Real);
        if number && column.value.is_none() && self.random.u8(0..3) != 0 {
            let mutator = *pick(self.random, &["+=", "-=", "*=", "/=", "%="]);
            let value = match self.random.u8(0..12) {
                0 => json!(i64::MAX),
                1 if mutator != "*=" => json!(0),
                2 => json!(2.5),
                3 => misfit(self.random),
                _ => json!(self.random.i64(1..5)),
            };
            return json!([column.name, mutator, value]);
        }
        let mutator = *pick(
            self.random,
            &[
                "insert", "insert", "insert", "delete", "delete", "+=", "odd",
            ],
        );
        let value = match (&column.value, mutator) {
            (Some(_), "delete") if self.random.bool() => {
                let count = self.random.u8(0..3);
                let keys: Vec<Value> = (0..count)
                    .map(|_| atom(self.random, &column.key, self.rows))
                    .collect();
                json!(["set", keys])
            }
            _ => datum(self.random, column, self.rows),
        };
        json!([column.name, mutator, value])
    }

    /// Some of a table's columns.
    pub fn columns(&mut self, table: &Table) -> Value {
        let mut names: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|_| self.random.bool())
            .collect();
        if self.random.u8(0..5) == 0 {
            names.push("_uuid");
        }
        if self.random.u8(0..10) == 0 {
            names.push("_version");
        }
        if self.random.u8(0..40) == 0 {
            names.push("nosuch");
        }
        if self.random.u8(0..40) == 0 {
            names.push("name");
        }
        json!(names)
    }

    fn wait(&mut self, table: &Table, blocking: bool) -> Value {
        let names: Vec<&Column> = table
            .columns
            .iter()
            .filter(|_| self.random.u8(0..3) == 0)
            .collect();
        let rows: Vec<Value> = (0..self.random.u8(0..2))
            .map(|_| {
                names
                    .iter()
                    .map(|column| (column.name.clone(), datum(self.random, column, self.rows)))
                    .collect::<Map<_, _>>()
                    .into()
            })
            .collect();
        let names: Vec<&String> = names.iter().map(|column| &column.name).collect();
        let mut wait = json!({"op": "wait", "table": table.name, "where": self.condition(table),
            "columns": names, "until": *pick(self.random, &["==", "!=", "!="]), "rows": rows});
        match (blocking, self.random.u8(0..6)) {
            (false, _) => wait["timeout"] = json!(0),
            (true, 0) => {}
            (true, _) => wait["timeout"] = json!(10_000_000),
        }
        if self.random.u8(0..8) == 0
            && let Some(members) = wait.as_object_mut()
        {
            members.remove("columns");
        }
        wait
    }

    fn other(&mut self, table: &Table) -> Value {
        match self.random.u8(0..12) {
            0..2 => json!({"op": "comment", "comment": "why\u{e9}"}),
            2..4 => json!({"op": "commit", "durable": self.random.bool()}),
            4 => json!({"op": "abort"}),
            5..8 => json!({"op": "assert", "lock": *pick(self.random, &LOCKS)}),
            8 => json!({"op": "nonsense"}),
            9 => json!({"op": "select", "table": "nosuch", "where": []}),
            10 => json!({"op": "insert", "table": table.name, "row": {}, "uuid-name": "n0"}),
            _ => misfit(self.random),
        }
    }
}
