//! Random schemas: a model that the generators can look into, and its JSON.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The five kinds of atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    /// 64 bits, signed.
    Integer,
    /// Double precision.
    Real,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// A row's or any other UUID.
    Uuid,
}

/// The type of a column's keys or values.
#[derive(Clone, Debug)]
pub struct Base {
    /// The kind.
    pub atomic: Atomic,
    /// `enum`, if not empty.
    pub choices: Vec<Value>,
    /// The lower bound: of the number, or of the text's length.
    pub low: Option<i64>,
    /// The upper bound, likewise.
    pub high: Option<i64>,
    /// `refTable`, and whether the reference is strong.
    pub target: Option<(String, bool)>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type of its elements or keys.
    pub key: Base,
    /// The type of its values, for a map.
    pub value: Option<Base>,
    /// The least number of elements, 0 or 1.
    pub min: u64,
    /// The most elements; `None` for any number.
    pub max: Option<u64>,
    /// Not written to the file.
    pub ephemeral: bool,
    /// Can change after the insert.
    pub mutable: bool,
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Rows stay without a reference to them.
    pub root: bool,
    /// `maxRows`.
    pub max_rows: Option<u64>,
    /// Columns of each unique index.
    pub indexes: Vec<Vec<String>>,
}

/// A schema, always named `d`.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Counts conversions, as the version's last part.
    pub edition: u32,
    /// Its tables.
    pub tables: Vec<Table>,
}

impl Base {
    fn random(random: &mut Rng, tables: &[String]) -> Self {
        let atomic = match random.u8(0..10) {
            0..3 => Atomic::Integer,
            3 => Atomic::Real,
            4 => Atomic::Boolean,
            5..8 => Atomic::Text,
            _ => Atomic::Uuid,
        };
        let mut base = Self::plain(atomic);
        match (atomic, random.u8(0..6)) {
            (Atomic::Integer, 0) => base.choices = vec![json!(0), json!(1), json!(2), json!(5)],
            (Atomic::Text, 0) => base.choices = vec![json!("x"), json!("y"), json!("zz")],
            (Atomic::Real, 0) => base.choices = vec![json!(0.0), json!(0.5), json!(2.25)],
            (Atomic::Integer | Atomic::Real, 1) => base.low = Some(-2),
            (Atomic::Integer | Atomic::Real, 2) => base.high = Some(9),
            (Atomic::Integer | Atomic::Real, 3) => {
                base.low = Some(-5);
                base.high = Some(20);
            }
            (Atomic::Text, 1) => base.high = Some(3),
            (Atomic::Text, 2) => base.low = Some(1),
            (Atomic::Text, 3) => {
                base.low = Some(1);
                base.high = Some(2);
            }
            (Atomic::Uuid, 1..) => {
                let table = &tables[random.usize(..tables.len())];
                base.target = Some((table.clone(), random.u8(0..5) < 3));
            }
            _ => {}
        }
        base
    }

    /// A type without constraints.
    #[must_use]
    pub fn plain(atomic: Atomic) -> Self {
        Self {
            atomic,
            choices: Vec::new(),
            low: None,
            high: None,
            target: None,
        }
    }

    fn json(&self) -> Value {
        let name = match self.atomic {
            Atomic::Integer => "integer",
            Atomic::Real => "real",
            Atomic::Boolean => "boolean",
            Atomic::Text => "string",
            Atomic::Uuid => "uuid",
        };
        let mut members = Map::new();
        if !self.choices.is_empty() {
            members.insert("enum".into(), json!(["set", self.choices]));
        }
        let (low, high) = match self.atomic {
            Atomic::Integer => ("minInteger", "maxInteger"),
            Atomic::Real => ("minReal", "maxReal"),
            _ => ("minLength", "maxLength"),
        };
        if let Some(bound) = self.low {
            members.insert(low.into(), json!(bound));
        }
        if let Some(bound) = self.high {
            members.insert(high.into(), json!(bound));
        }
        if let Some((table, strong)) = &self.target {
            members.insert("refTable".into(), json!(table));
            if !strong {
                members.insert("refType".into(), json!("weak"));
            }
        }
        if members.is_empty() {
            return json!(name);
        }
        members.insert("type".into(), json!(name));
        Value::Object(members)
    }

    /// The atom of a column that nobody has set.
    #[must_use]
    pub fn default_atom(&self) -> Value {
        match self.atomic {
            Atomic::Integer => json!(0),
            Atomic::Real => json!(0.0),
            Atomic::Boolean => json!(false),
            Atomic::Text => json!(""),
            Atomic::Uuid => json!(["uuid", "00000000-0000-0000-0000-000000000000"]),
        }
    }

    /// Whether the constraints allow [`Base::default_atom`].
    fn accepts_default(&self) -> bool {
        let default = self.default_atom();
        let bounded = match self.atomic {
            Atomic::Integer | Atomic::Real | Atomic::Text => {
                self.low.is_none_or(|low| low <= 0) && self.high.is_none_or(|high| high >= 0)
            }
            _ => true,
        };
        bounded && (self.choices.is_empty() || self.choices.contains(&default))
    }

    fn strong(&self) -> bool {
        matches!(self.target, Some((_, true)))
    }

    fn weak(&self) -> bool {
        matches!(self.target, Some((_, false)))
    }
}

impl Column {
    fn random(random: &mut Rng, name: String, tables: &[String]) -> Self {
        let key = Base::random(random, tables);
        let value = (random.u8(0..4) == 0).then(|| Base::random(random, tables));
        // A required reference makes most inserts fail: rare.
        let required = key.atomic != Atomic::Uuid || random.u8(0..5) == 0;
        let (min, max) = match (random.u8(0..8), value.is_some()) {
            (0..4, false) => (1, Some(1)),
            (0 | 4, _) => (0, Some(1)),
            (5, _) => (1, Some(3)),
            (6, _) => (0, Some(4)),
            _ => (0, None),
        };
        let mut column = Self {
            name,
            key,
            value,
            min: if required { min } else { 0 },
            max,
            ephemeral: random.u8(0..10) == 0,
            mutable: random.u8(0..12) != 0,
        };
        if column.map_mixes_references() {
            column.value = None;
        }
        column
    }

    /// A column that a conversion adds. 3.1 gives the rows there are a default
    /// value that the type may not allow, and cannot read its own file then.
    fn added(random: &mut Rng, name: String, tables: &[String]) -> Self {
        let mut column = Self::random(random, name, tables);
        let value = column.value.as_ref();
        if !column.key.accepts_default() || value.is_some_and(|value| !value.accepts_default()) {
            column.min = 0;
        }
        column
    }

    /// Allows more than before. The other way round would not fit some rows, and
    /// 3.1 goes on with memory it has freed when it finds that out.
    fn loosen(&mut self) {
        for base in std::iter::once(&mut self.key).chain(&mut self.value) {
            base.choices.clear();
            base.low = None;
            base.high = None;
        }
        self.min = 0;
        self.max = None;
        self.mutable = true;
    }

    /// Such maps are avoided: see `known.rs`.
    fn map_mixes_references(&self) -> bool {
        self.value.as_ref().is_some_and(|value| {
            self.key.strong() && value.weak() || self.key.weak() && value.strong()
        })
    }

    /// Exactly one element, which is no pair.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == Some(1)
    }

    /// One element or none, which is no pair.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.value.is_none() && self.min == 0 && self.max == Some(1)
    }

    /// What it holds when nobody has set it.
    #[must_use]
    pub fn default_value(&self) -> Value {
        match (&self.value, self.min) {
            (None, 0) => json!(["set", []]),
            (None, _) => self.key.default_atom(),
            (Some(_), 0) => json!(["map", []]),
            (Some(value), _) => json!(["map", [[self.key.default_atom(), value.default_atom()]]]),
        }
    }

    fn json(&self) -> Value {
        let mut kind = self.key.json();
        if !self.is_scalar() {
            let max = self.max.map_or(json!("unlimited"), |max| json!(max));
            kind = json!({"key": kind, "min": self.min, "max": max});
            if let Some(value) = &self.value {
                kind["value"] = value.json();
            }
        } else if kind.is_object() {
            kind = json!({"key": kind});
        }
        let mut column = json!({"type": kind});
        if self.ephemeral {
            column["ephemeral"] = json!(true);
        }
        if !self.mutable {
            column["mutable"] = json!(false);
        }
        column
    }
}

impl Table {
    fn random(random: &mut Rng, name: String, tables: &[String]) -> Self {
        let mut columns = vec![Column {
            name: "name".into(),
            key: Base::plain(Atomic::Text),
            value: None,
            min: 1,
            max: Some(1),
            ephemeral: false,
            mutable: true,
        }];
        for index in 0..random.usize(2..8) {
            columns.push(Column::random(random, format!("c{index}"), tables));
        }
        let mut table = Self {
            name,
            columns,
            root: random.u8(0..5) < 3,
            max_rows: (random.u8(0..8) == 0).then(|| random.u64(1..8)),
            indexes: Vec::new(),
        };
        for _ in 0..random.u8(0..3) {
            table.add_index(random);
        }
        table
    }

    fn add_index(&mut self, random: &mut Rng) {
        let usable: Vec<&String> = self
            .columns
            .iter()
            .filter(|column| !column.ephemeral)
            .map(|column| &column.name)
            .collect();
        let first = random.usize(..usable.len());
        let mut index = vec![usable[first].clone()];
        if random.bool() && usable.len() > 1 {
            index.push(usable[(first + 1) % usable.len()].clone());
        }
        if !self.indexes.contains(&index) {
            self.indexes.push(index);
        }
    }

    fn json(&self) -> Value {
        let columns: Map<String, Value> = self
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.json()))
            .collect();
        let mut table = json!({"columns": columns});
        if self.root {
            table["isRoot"] = json!(true);
        }
        if let Some(rows) = self.max_rows {
            table["maxRows"] = json!(rows);
        }
        if !self.indexes.is_empty() {
            table["indexes"] = json!(self.indexes);
        }
        table
    }
}

impl Schema {
    /// A schema of a few tables, at least one of which is a root.
    #[must_use]
    pub fn random(random: &mut Rng) -> Self {
        let names: Vec<String> = (0..random.usize(1..5)).map(|i| format!("t{i}")).collect();
        let mut tables: Vec<Table> = names
            .iter()
            .map(|name| Table::random(random, name.clone(), &names))
            .collect();
        tables[0].root = true;
        Self { edition: 0, tables }
    }

    /// The table of a name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Its JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let tables: Map<String, Value> = self
            .tables
            .iter()
            .map(|table| (table.name.clone(), table.json()))
            .collect();
        json!({"name": "d", "version": format!("1.0.{}", self.edition), "tables": tables})
    }

    /// One that somebody might convert the database to. It may be one that
    /// the contents do not fit, or no valid schema at all.
    #[must_use]
    pub fn altered(&self, random: &mut Rng) -> Self {
        let mut schema = self.clone();
        schema.edition += 1;
        for _ in 0..random.u8(1..4) {
            schema.alter(random);
        }
        schema
    }

    fn alter(&mut self, random: &mut Rng) {
        let names: Vec<String> = self.tables.iter().map(|table| table.name.clone()).collect();
        let edition = self.edition;
        let chosen = random.usize(..self.tables.len());
        let table = &mut self.tables[chosen];
        match random.u8(0..12) {
            0..4 => {
                let name = format!("n{edition}x{}", random.u8(0..10));
                if !table.columns.iter().any(|column| column.name == name) {
                    table.columns.push(Column::added(random, name, &names));
                }
            }
            4 if table.columns.len() > 2 => {
                let index = random.usize(1..table.columns.len());
                let column = table.columns.remove(index);
                table.indexes.retain(|index| !index.contains(&column.name));
            }
            5 => {
                let index = random.usize(1..table.columns.len());
                table.columns[index].loosen();
            }
            6 => table.add_index(random),
            7 => {
                table.indexes.pop();
            }
            8 => table.max_rows = Some(random.u64(1..10)),
            9 => table.root = !table.root || chosen == 0,
            10 if self.tables.len() > 1 && random.bool() => {
                self.tables.remove(chosen);
            }
            _ => {
                let name = format!("n{edition}");
                if !names.contains(&name) {
                    self.tables.push(Table::random(random, name, &names));
                }
            }
        }
    }
}
