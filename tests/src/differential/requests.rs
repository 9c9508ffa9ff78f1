//! What several clients do, one after the other: random requests of every
//! method, most of them right.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::damage::damage;
use super::known;
use super::operations::{LOCKS, Maker};
use super::schema::{Schema, Table};
use super::value::{Rows, misfit, pick};

/// How many clients there are.
pub const CLIENTS: usize = 4;

/// One thing that happens, the same on both servers.
#[derive(Clone, Debug)]
pub enum Action {
    /// A client sends messages at once.
    Send {
        /// Which client.
        client: usize,
        /// What it sends.
        messages: Vec<Message>,
    },
    /// A client hangs up.
    Leave {
        /// Which client.
        client: usize,
    },
}

/// One message of a client.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its `id`, and the first part of the names of the rows that it inserts.
    pub number: usize,
    /// The text, with `<NUMBER.INDEX>` for UUIDs of rows.
    pub text: String,
    /// The schema that the database has if this succeeds.
    pub converts_to: Option<Schema>,
}

/// Makes the actions; the same seed and the same answers give the same ones.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
    number: usize,
    rows: Rows,
    requests: HashMap<usize, Value>,
    waiting: BTreeMap<usize, usize>,
    /// Client, id, and the columns of each table.
    monitors: Vec<(usize, Value, BTreeMap<String, BTreeSet<String>>)>,
    /// Only the first client has a monitor, and only one at a time. Then its
    /// conditions may be on columns that it does not ask for. Otherwise 3.1 looks
    /// for them in another monitor of the same columns, which need not have them.
    lone: bool,
    next: VecDeque<(usize, &'static str, Value)>,
}

const MONITORS: [&str; 3] = ["monitor", "monitor_cond", "monitor_cond_since"];

impl Generator {
    /// A generator that goes on from this chance.
    #[must_use]
    pub fn new(mut random: Rng) -> Self {
        Self {
            lone: random.u8(0..3) == 0,
            random,
            number: 0,
            rows: Rows::default(),
            requests: HashMap::new(),
            waiting: BTreeMap::new(),
            monitors: Vec::new(),
            next: VecDeque::new(),
        }
    }

    /// The next action on a database of this schema.
    pub fn next(&mut self, schema: &Schema) -> Action {
        if let Some((client, method, params)) = self.next.pop_front() {
            return self.send(client, method, params);
        }
        let client = self.random.usize(..CLIENTS);
        if self.waiting.len() > 4 {
            let index = self.random.usize(..self.waiting.len());
            if let Some((&number, &client)) = self.waiting.iter().nth(index) {
                self.waiting.remove(&number);
                return self.send(client, "cancel", json!([number]));
            }
        }
        match self.random.u8(0..100) {
            0 => Action::Leave { client },
            1 => {
                let text = pick(&mut self.random, &GARBAGE);
                self.raw(client, text)
            }
            2..6 => {
                let mut messages = Vec::new();
                for _ in 0..self.random.u8(2..5) {
                    // Nobody knows how much is read behind a conversion, which
                    // closes the connection.
                    if let Action::Send { messages: more, .. } = self.one(client, schema)
                        && more.iter().all(|message| message.converts_to.is_none())
                    {
                        messages.extend(more);
                    }
                }
                Action::Send { client, messages }
            }
            _ => self.one(client, schema),
        }
    }

    fn one(&mut self, client: usize, schema: &Schema) -> Action {
        let kind = self.random.u8(0..100);
        let (method, mut params, converts_to) = self.request(client, schema, kind);
        let of_monitor = method.starts_with("monitor") && params[0] != "_Server";
        if self.random.u8(0..12) == 0 && !(self.lone && of_monitor) {
            damage(&mut self.random, &mut params);
        }
        let second = self.lone && of_monitor && client != 0;
        if second
            || known::is_avoided(method, &params)
            || known::forgets_weak_references(schema, &params)
        {
            return self.send(client, "echo", json!(["instead"]));
        }
        let mut action = self.send(client, method, params);
        if let Action::Send { messages, .. } = &mut action {
            messages[0].converts_to = converts_to;
        }
        action
    }

    fn request(
        &mut self,
        client: usize,
        schema: &Schema,
        kind: u8,
    ) -> (&'static str, Value, Option<Schema>) {
        let mut maker = Maker {
            random: &mut self.random,
            schema,
            rows: &mut self.rows,
        };
        let simple = |method, params| (method, params, None);
        match kind {
            0..58 => simple("transact", maker.transaction(false)),
            58..64 => simple("transact", maker.transaction(true)),
            64..73 => {
                let method = *pick(&mut self.random, &MONITORS);
                simple(method, self.monitor(client, schema, method))
            }
            73..78 => simple("monitor_cond_change", self.condition_change(client, schema)),
            78..80 => {
                let id = self.monitor_id(client);
                self.monitors
                    .retain(|(of, known, _)| *of != client || *known != id);
                simple("monitor_cancel", json!([id]))
            }
            80..86 => {
                let method = *pick(&mut self.random, &["lock", "steal", "unlock"]);
                simple(method, json!([*pick(&mut self.random, &LOCKS)]))
            }
            86 => simple("echo", json!([1, "two", {"three": [null]}])),
            87 => simple("get_schema", json!([*pick(&mut self.random, &DATABASES)])),
            88 => simple("list_dbs", json!([])),
            89 => simple("set_db_change_aware", json!([self.random.u8(0..4) != 0])),
            90 => simple("get_server_id", json!([])),
            91..94 => {
                let sent: Vec<usize> = self.waiting.keys().copied().collect();
                let number = if sent.is_empty() {
                    7
                } else {
                    *pick(&mut self.random, &sent)
                };
                simple("cancel", json!([number]))
            }
            94..96 => {
                let altered = schema.altered(&mut self.random);
                let mut text = altered.json();
                if self.random.u8(0..12) == 0 {
                    text["name"] = json!("other");
                }
                let name = *pick(&mut self.random, &["d", "d", "d", "d", "_Server", "nosuch"]);
                ("convert", json!([name, text]), Some(altered))
            }
            96 => simple("nosuch", json!([])),
            97 => simple("monitor_cond", server_monitor(&mut self.random)),
            _ => simple("transact", server_transaction(&mut self.random)),
        }
    }

    fn monitor_id(&mut self, client: usize) -> Value {
        let own: Vec<&Value> = self
            .monitors
            .iter()
            .filter(|(of, ..)| *of == client)
            .map(|(_, id, _)| id)
            .collect();
        if !own.is_empty() && self.random.u8(0..8) != 0 {
            return (*pick(&mut self.random, &own)).clone();
        }
        self.new_monitor_id()
    }

    fn monitor(&mut self, client: usize, schema: &Schema, method: &str) -> Value {
        let id = self.new_monitor_id();
        let mut tables = Map::new();
        let mut visible = BTreeMap::new();
        for table in &schema.tables {
            if self.random.u8(0..3) == 0 {
                continue;
            }
            let requests = self.table_requests(schema, table, method);
            visible.insert(table.name.clone(), visible_columns(&requests, table));
            let requests = match &requests[..] {
                [one] if self.random.bool() => one.clone(),
                _ => Value::Array(requests),
            };
            tables.insert(table.name.clone(), requests);
        }
        if self.random.u8(0..20) == 0 {
            tables.insert("nosuch".into(), json!([{}]));
        }
        self.monitors.push((client, id.clone(), visible));
        let database = if self.random.u8(0..30) == 0 {
            "nosuch"
        } else {
            "d"
        };
        let mut params = json!([database, id, tables]);
        if method == "monitor_cond_since"
            && let Value::Array(params) = &mut params
        {
            let last = pick(&mut self.random, &TRANSACTIONS);
            params.push(json!(last));
        }
        params
    }

    /// The monitor requests of one table: one, or two that share no column.
    fn table_requests(&mut self, schema: &Schema, table: &Table, method: &str) -> Vec<Value> {
        let count = if self.random.u8(0..6) == 0 { 2 } else { 1 };
        let mut maker = Maker {
            random: &mut self.random,
            schema,
            rows: &mut self.rows,
        };
        let mut requests: Vec<Value> = Vec::new();
        for part in 0..count {
            let mut request = json!({});
            if count == 2 {
                // Two requests that share a column are refused.
                let mut names: Vec<&str> = Vec::new();
                for (index, column) in table.columns.iter().enumerate() {
                    if index % 2 == part || maker.random.u8(0..30) == 0 {
                        names.push(&column.name);
                    }
                }
                request["columns"] = json!(names);
            } else if maker.random.u8(0..3) != 0 {
                request["columns"] = maker.columns(table);
            }
            if maker.random.u8(0..4) == 0 {
                let mut select = Map::new();
                for kind in ["initial", "insert", "delete", "modify"] {
                    if maker.random.bool() {
                        select.insert(kind.into(), json!(maker.random.bool()));
                    }
                }
                request["select"] = select.into();
            }
            requests.push(request);
        }
        let visible = visible_columns(&requests, table);
        let lone = self.lone;
        // Of several requests for a table the reference keeps all conditions and takes one, by the place
        // in a hash table.
        let conditional = method != "monitor" && requests.len() == 1;
        for request in &mut requests {
            if conditional && maker.random.u8(0..3) != 0 {
                let usable = |column: &str| lone || visible.contains(column);
                request["where"] = maker.condition_on(table, &usable);
            }
        }
        requests
    }

    fn new_monitor_id(&mut self) -> Value {
        if self.lone {
            return json!("m0");
        }
        pick(&mut self.random, &monitor_ids()).clone()
    }

    fn condition_change(&mut self, client: usize, schema: &Schema) -> Value {
        let id = self.monitor_id(client);
        let new = if self.random.u8(0..6) == 0 {
            self.new_monitor_id()
        } else {
            id.clone()
        };
        let known = self
            .monitors
            .iter()
            .find(|(of, known, _)| *of == client && *known == id);
        let visible = known.map(|(.., tables)| tables.clone()).unwrap_or_default();
        let mut tables = Map::new();
        for table in &schema.tables {
            let columns = visible.get(&table.name);
            if columns.is_none() && self.random.u8(0..20) != 0 || self.random.u8(0..4) == 0 {
                continue;
            }
            let mut maker = Maker {
                random: &mut self.random,
                schema,
                rows: &mut self.rows,
            };
            let lone = self.lone;
            let usable =
                |column: &str| lone || columns.is_some_and(|columns| columns.contains(column));
            let request = match maker.random.u8(0..8) {
                0 => json!({}),
                1 => json!([{"where": [true]}]),
                2 => json!([{"where": [false]}]),
                _ => json!([{"where": maker.condition_on(table, &usable)}]),
            };
            tables.insert(table.name.clone(), request);
        }
        for (of, known, _) in &mut self.monitors {
            if *of == client && *known == id {
                *known = new.clone();
            }
        }
        json!([id, new, tables])
    }

    fn send(&mut self, client: usize, method: &str, params: Value) -> Action {
        self.number += 1;
        let number = self.number;
        let id = if method == "cancel" {
            Value::Null
        } else {
            json!(number)
        };
        let message = json!({"method": method, "params": params, "id": id});
        let text = message.to_string();
        if method == "transact" {
            self.waiting.insert(number, client);
        }
        if method == "transact" || method == "monitor_cond_change" {
            self.requests.insert(number, params);
        }
        Action::Send {
            client,
            messages: vec![Message {
                number,
                text,
                converts_to: None,
            }],
        }
    }

    fn raw(&mut self, client: usize, text: &str) -> Action {
        self.number += 1;
        Action::Send {
            client,
            messages: vec![Message {
                number: self.number,
                text: text.to_owned(),
                converts_to: None,
            }],
        }
    }

    /// Takes note of what the reference said to a client.
    pub fn learn(&mut self, client: usize, message: &Value) {
        if *message == super::side::closed() {
            self.waiting.retain(|_, of| *of != client);
            self.monitors.retain(|(of, ..)| *of != client);
            return;
        }
        if message["method"] == "monitor_canceled" {
            let id = &message["params"][0];
            self.monitors
                .retain(|(of, known, _)| *of != client || known != id);
        }
        let Some(number) = message["id"].as_u64().map(|id| id as usize) else {
            return;
        };
        self.waiting.remove(&number);
        let Some(params) = self.requests.remove(&number) else {
            return;
        };
        if message["error"].is_object() && params[2].is_object() {
            // Which tables of a refused change of conditions have changed depends
            // on the reference's order of tables.
            for id in [&params[0], &params[1]] {
                self.next.push_back((client, "monitor_cancel", json!([id])));
            }
        }
        let results = message["result"].as_array().map_or(&[][..], Vec::as_slice);
        let failed = |result: &Value| result["error"].is_string();
        if results.iter().any(failed) {
            return;
        }
        for index in 0..results.len() {
            let operation = &params[index + 1];
            if let ("insert", Some(table)) = (
                operation["op"].as_str().unwrap_or_default(),
                operation["table"].as_str(),
            ) {
                self.rows.add(table, format!("<{number}.{index}>"));
            }
        }
    }
}

const DATABASES: [&str; 4] = ["d", "d", "_Server", "nosuch"];

const TRANSACTIONS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-00000000000a",
    "no id",
];

/// What is no JSON-RPC message, or an odd one.
const GARBAGE: [&str; 16] = [
    "{\"id\":1",
    "}",
    "[1,2]",
    "{}",
    "{\"method\":\"echo\"}",
    "{\"method\":\"echo\",\"params\":[]}",
    "{\"method\":\"echo\",\"params\":[],\"id\":null}",
    "{\"method\":\"echo\",\"params\":{},\"id\":\"a\"}",
    "{\"method\":\"echo\",\"params\":[1],\"id\":[\"a\",{\"b\":1.5}]}",
    "{\"method\":\"echo\",\"params\":[1],\"id\":\"x\",\"more\":1}",
    "{\"method\":7,\"params\":[1],\"id\":\"x\"}",
    "{\"result\":[],\"error\":null,\"id\":\"never asked\"}",
    "{\"method\":\"nosuch\",\"params\":[],\"id\":null}",
    "{\"method\":\"echo\",\"params\":[1],\"params\":[2],\"id\":\"twice\"}",
    "{\"method\":\"echo\",\"params\":[1e400],\"id\":\"large\"}",
    "{\"method\":\"echo\",\"params\":[nonsense],\"id\":\"n\"}",
];

/// The columns that requests ask for.
fn visible_columns(requests: &[Value], table: &Table) -> BTreeSet<String> {
    let mut visible = BTreeSet::new();
    for request in requests {
        match request["columns"].as_array() {
            Some(names) => {
                visible.extend(
                    names
                        .iter()
                        .filter_map(|name| Some(name.as_str()?.to_owned())),
                );
            }
            None => visible.extend(table.columns.iter().map(|column| column.name.clone())),
        }
    }
    visible
}

fn monitor_ids() -> [Value; 4] {
    [json!("m0"), json!("m1"), json!(7), json!(["a", null])]
}

fn server_monitor(random: &mut Rng) -> Value {
    let columns = [
        "name",
        "model",
        "connected",
        "leader",
        "schema",
        "index",
        "cid",
        "sid",
    ];
    let columns: Vec<&str> = columns.into_iter().filter(|_| random.bool()).collect();
    let mut request = json!({"columns": columns});
    if random.bool() {
        request["where"] = json!([["name", "==", *pick(random, &["d", "_Server", "none"])]]);
    }
    json!(["_Server", ["server"], {"Database": [request]}])
}

fn server_transaction(random: &mut Rng) -> Value {
    let operation = match random.u8(0..8) {
        0..4 => json!({"op": "select", "table": "Database", "where": [],
            "columns": ["_uuid", "name", "model", "connected", "leader", "schema", "index", "cid", "sid"]}),
        4 => json!({"op": "select", "table": "Database", "where": [["name", "==", "d"]]}),
        5 => json!({"op": "delete", "table": "Database", "where": [["name", "==", "none"]]}),
        6 => json!({"op": "select", "table": "nosuch", "where": []}),
        _ => misfit(random),
    };
    let name = if random.u8(0..10) == 0 {
        "nosuch"
    } else {
        "_Server"
    };
    json!([name, operation])
}
