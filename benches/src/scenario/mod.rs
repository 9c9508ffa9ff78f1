//! What is measured. Each scenario is one function that measures one server once.

mod cluster;
mod fan_out;
mod fetch;
mod idle;
mod insert;
mod memory;
mod select;
mod self_check;
mod start_up;
mod update;

use std::path::PathBuf;

use anyhow::Result;

use crate::closed_loop::Span;
use crate::contender::{Programs, Role, Server};
use crate::dataset;
use crate::figure::{Figures, Meaning, Measurement};
use crate::options::Sizes;
use crate::reply::Expect;
use crate::swarm::Swarm;

/// Something that is measured for both servers.
pub struct Scenario {
    /// For `--only`.
    pub name: &'static str,
    /// Who is measured, in this order.
    pub roles: &'static [Role],
    /// More rounds than this are not run, however many are asked for: it takes long.
    pub at_most: u32,
    /// Measures one server once.
    pub run: fn(&mut Run<'_>) -> Result<()>,
}

const BOTH: &[Role] = &[Role::Reference, Role::Ours];
const BOTH_AND_ALWAYS: &[Role] = &[Role::Reference, Role::Ours, Role::OursAlways];

/// Shows for each server that a failure would be seen; measures nothing.
pub const SELF_CHECK: Scenario = Scenario {
    name: "self-check",
    roles: BOTH,
    at_most: 1,
    run: self_check::run,
};

/// Everything that is measured, in the order of the table.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "update",
        roles: BOTH,
        at_most: u32::MAX,
        run: update::plain,
    },
    Scenario {
        name: "durable",
        roles: BOTH_AND_ALWAYS,
        at_most: u32::MAX,
        run: update::durable,
    },
    Scenario {
        name: "insert",
        roles: BOTH,
        at_most: u32::MAX,
        run: insert::run,
    },
    Scenario {
        name: "select",
        roles: BOTH,
        at_most: u32::MAX,
        run: select::run,
    },
    Scenario {
        name: "fan-out",
        roles: BOTH,
        at_most: u32::MAX,
        run: fan_out::run,
    },
    Scenario {
        name: "fetch",
        roles: BOTH,
        at_most: 3,
        run: fetch::alone,
    },
    Scenario {
        name: "fetch-writes",
        roles: BOTH,
        at_most: 3,
        run: fetch::beside_writes,
    },
    Scenario {
        name: "idle",
        roles: BOTH,
        at_most: u32::MAX,
        run: idle::run,
    },
    Scenario {
        name: "cluster",
        roles: BOTH,
        at_most: u32::MAX,
        run: cluster::run,
    },
    Scenario {
        name: "start-up",
        roles: BOTH,
        at_most: u32::MAX,
        run: start_up::run,
    },
    Scenario {
        name: "memory",
        roles: BOTH,
        at_most: 3,
        run: memory::run,
    },
];

/// One server's turn in one round.
pub struct Run<'a> {
    /// Where the programs are.
    pub programs: &'a Programs,
    /// Whose turn it is.
    pub role: Role,
    /// Where the databases are put.
    pub folder: PathBuf,
    /// Clients use the Unix socket.
    pub unix: bool,
    /// How long each load runs.
    pub span: Span,
    /// How much of everything.
    pub sizes: Sizes,
    /// Where the results go.
    pub figures: &'a mut Figures,
}

impl Run<'_> {
    /// Starts the server on a database with `rows` rows, waits until it answers, and returns it without connections.
    pub fn start(&self, rows: usize) -> Result<(Server, Swarm)> {
        let (server, _) = self.start_timed(rows)?;
        let swarm = Swarm::new(server.endpoint())?;
        Ok((server, swarm))
    }

    /// Starts the server and returns it with the seconds until it had answered a request for its last row.
    pub fn start_timed(&self, rows: usize) -> Result<(Server, f64)> {
        let mut server = Server::spawn(self.programs, self.role, &self.folder, rows, self.unix)?;
        let endpoint = server.endpoint();
        let uuid = dataset::uuid(rows.saturating_sub(1));
        let request = format!(
            r#"{{"method":"transact","params":["Bench",{{"op":"select","table":"Port","where":[["_uuid","==",["uuid","{uuid}"]]]}}],"id":0}}"#
        );
        server.until(|| {
            let mut swarm = Swarm::new(endpoint.clone())?;
            let connection = swarm.add()?;
            swarm.call(connection, request.as_bytes(), Expect::Rows(rows.min(1)))
        })?;
        let seconds = server.started.elapsed().as_secs_f64();
        Ok((server, seconds))
    }

    /// Records a rate: more is better.
    pub fn rate(&mut self, name: impl Into<String>, unit: &'static str, measurement: Measurement) {
        self.figures.add(
            self.role,
            Meaning {
                name: name.into(),
                unit,
                more_is_better: true,
            },
            measurement,
        );
    }

    /// Records a time or a size: less is better.
    pub fn cost(&mut self, name: impl Into<String>, unit: &'static str, measurement: Measurement) {
        self.figures.add(
            self.role,
            Meaning {
                name: name.into(),
                unit,
                more_is_better: false,
            },
            measurement,
        );
    }
}

/// A request for everything, now and from now on.
const MONITOR_EVERYTHING: &[u8] = br#"{"method":"monitor_cond_since","params":["Bench","everything",{"Port":[{}],"Notice":[{}]},"00000000-0000-0000-0000-000000000000"],"id":1}"#;

/// Whether a message is the server's own and not an answer.
fn is_notification(message: &[u8]) -> bool {
    memchr::memmem::find(&message[..message.len().min(64)], b"\"method\":").is_some()
}

/// Requests that give `seq` of one row ever new values.
struct Updates {
    before: Vec<u8>,
    after: &'static [u8],
    next: u64,
    printed: itoa::Buffer,
}

impl Updates {
    /// For row `number`. `durable`: each asks to be on disk before it is answered.
    fn of_row(number: usize, durable: bool) -> Self {
        let uuid = dataset::uuid(number);
        let before = format!(
            r#"{{"method":"transact","params":["Bench",{{"op":"update","table":"Port","where":[["_uuid","==",["uuid","{uuid}"]]],"row":{{"seq":"#
        );
        let after: &[u8] = if durable {
            br#"}},{"op":"commit","durable":true}],"id":"#
        } else {
            br#"}}],"id":"#
        };
        Self {
            before: before.into_bytes(),
            after,
            next: dataset::FIRST_SEQ + 1,
            printed: itoa::Buffer::new(),
        }
    }

    /// Appends the next request and returns the value it sets.
    fn push(&mut self, id: usize, out: &mut Vec<u8>) -> u64 {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(self.printed.format(self.next).as_bytes());
        out.extend_from_slice(self.after);
        out.extend_from_slice(self.printed.format(id).as_bytes());
        out.push(b'}');
        self.next += 1;
        self.next - 1
    }
}
