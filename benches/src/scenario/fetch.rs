//! Many clients that fetch the whole database at once, as they do when a server has come back.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

use super::{MONITOR_EVERYTHING, Run, Updates, is_notification};
use crate::connection::Event;
use crate::figure::{self, Measurement};
use crate::process_stat::Busy;
use crate::reply::{self, Expect};
use crate::swarm::Swarm;

/// Between two of the writes beside the fetch.
const WRITE_EVERY: Duration = Duration::from_millis(20);

/// Longer than this no fetch takes that is worth a figure.
const DEADLINE: Duration = Duration::from_secs(600);

/// Nobody else there.
pub fn alone(run: &mut Run<'_>) -> Result<()> {
    fetch(run, false)
}

/// With 50 small writes a second from one more client.
pub fn beside_writes(run: &mut Run<'_>) -> Result<()> {
    fetch(run, true)
}

fn fetch(run: &mut Run<'_>, writes: bool) -> Result<()> {
    let (clients, rows) = (run.sizes.fetch_clients, run.sizes.fetch_rows);
    let (server, mut swarm) = run.start(rows)?;
    let writer = swarm.add()?;

    // One client before, whose answer is looked at in full: all answers are as long as this one.
    let mut first = Swarm::new(server.endpoint())?;
    let connection = first.add()?;
    let length = first
        .call(connection, MONITOR_EVERYTHING, Expect::Rows(rows))?
        .len();
    drop(first);

    swarm.add_many(clients)?;
    let mut crowd = Crowd {
        writer,
        rows,
        length,
        waiting: clients,
        fetched: vec![false; clients + 1],
        closed: Vec::new(),
        lost: 0,
        writes: Vec::new(),
        write_latency: figure::latencies()?,
    };
    let mut updates = Updates::of_row(0, false);
    let (busy, begun) = (Busy::start(&[server.pid()])?, Instant::now());
    for client in 1..=clients {
        crowd.ask(&mut swarm, client)?;
    }
    let mut next_write = begun;
    while crowd.waiting > 0 {
        while writes && Instant::now() >= next_write {
            updates.push(0, swarm.connection(writer).outgoing());
            // Counted from when it was due, so that a server that holds up the writer does not hide it.
            crowd.writes.push(next_write);
            next_write += WRITE_EVERY;
        }
        swarm.connection(writer).flush()?;
        crowd.step(&mut swarm)?;
        if begun.elapsed() > DEADLINE {
            bail!("{} clients still wait after {DEADLINE:?}", crowd.waiting);
        }
    }
    let (elapsed, used) = (begun.elapsed().as_secs_f64(), busy.used()?);
    while !crowd.writes.is_empty() {
        crowd.step(&mut swarm)?;
    }

    let beside = if writes { " beside 50 writes/s" } else { "" };
    let name = format!("{clients} clients fetch {rows} rows{beside}");
    let mebibytes = (length * clients) as f64 / f64::from(1 << 20);
    let rate = Measurement::new(mebibytes / elapsed)
        .server_time(used.server.as_secs_f64() / mebibytes)
        .generator(used.generator)
        .lost(crowd.lost);
    run.rate(name.clone(), "MiB/s", rate);
    run.cost(
        format!("{name}, until the last has it"),
        "s",
        Measurement::new(elapsed),
    );
    if writes {
        let slowest = Duration::from_nanos(crowd.write_latency.max()).as_secs_f64() * 1000.0;
        let slowest = Measurement::new(slowest).latency(&crowd.write_latency);
        run.cost(
            format!("slowest write beside {clients} clients that fetch"),
            "ms",
            slowest,
        );
    }
    Ok(())
}

/// The clients that fetch, and the one that writes.
struct Crowd {
    writer: usize,
    rows: usize,
    /// Bytes of an answer.
    length: usize,
    /// Clients whose answer is not complete.
    waiting: usize,
    fetched: Vec<bool>,
    /// Clients that were disconnected in the last step.
    closed: Vec<usize>,
    /// Disconnected in all.
    lost: u64,
    /// When the unanswered writes were due, oldest first.
    writes: Vec<Instant>,
    write_latency: Histogram<u64>,
}

impl Crowd {
    fn ask(&self, swarm: &mut Swarm, client: usize) -> Result<()> {
        // The last one's answer is kept and its rows are counted, the others' only weighed: fifty times that much
        // reading would slow down the servers, who share the processors.
        if client + 1 < self.fetched.len() {
            swarm.connection(client).skip(self.length);
        }
        swarm.send(client, MONITOR_EVERYTHING)
    }

    fn step(&mut self, swarm: &mut Swarm) -> Result<()> {
        swarm.turn(
            Some(Duration::from_millis(5)),
            |from, event, _| match event {
                Event::Message(message) if from == self.writer => {
                    let due = self.writes.remove(0);
                    self.write_latency
                        .saturating_record(due.elapsed().as_nanos() as u64);
                    reply::check(message, Expect::OneRowChanged)
                }
                // An update of what was fetched.
                Event::Message(message) if is_notification(message) => Ok(()),
                Event::Message(message) => {
                    reply::check(message, Expect::Rows(self.rows))?;
                    self.complete(from)
                }
                Event::Skipped => self.complete(from),
                Event::Closed if from == self.writer => {
                    bail!("the server closed the writer's connection")
                }
                Event::Closed => {
                    self.closed.push(from);
                    Ok(())
                }
            },
        )?;
        for client in std::mem::take(&mut self.closed) {
            self.lost += 1;
            // What a real client does: it comes back and asks again.
            if !self.fetched[client] {
                swarm.reconnect(client)?;
                self.ask(swarm, client)?;
            }
        }
        Ok(())
    }

    fn complete(&mut self, client: usize) -> Result<()> {
        if std::mem::replace(&mut self.fetched[client], true) {
            bail!("client {client} got two answers");
        }
        self.waiting -= 1;
        Ok(())
    }
}
