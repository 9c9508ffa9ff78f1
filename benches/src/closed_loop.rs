//! The common load: so many connections, each with so many requests in flight, for so long.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::connection::Event;
use crate::figure::{self, Measurement};
use crate::process_stat::Busy;
use crate::reply::{self, Expect};
use crate::swarm::Swarm;

/// Connections and requests in flight on each.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Connections that send.
    pub connections: usize,
    /// Requests that each keeps unanswered.
    pub depth: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.connections, self.depth)
    }
}

/// How long to run.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Load that is not counted, before.
    pub warm_up: Duration,
    /// Load that is.
    pub counted: Duration,
}

/// What is sent and what must come back.
pub struct Load<'a> {
    /// Writes the request of a connection (first argument) with the id (second argument) to the buffer.
    pub request: &'a mut dyn FnMut(usize, usize, &mut Vec<u8>),
    /// What every answer must be.
    pub expect: Expect,
    /// Units (rows, transactions) that one answer stands for.
    pub units: u64,
}

/// Runs the load on the first connections of `swarm`, which must be silent otherwise; those after them may get
/// nothing but probes. Fails at the first answer that is not the expected success.
pub fn run(
    swarm: &mut Swarm,
    pids: &[u32],
    shape: Shape,
    span: Span,
    load: Load<'_>,
) -> Result<Measurement> {
    let Load {
        request,
        expect,
        units,
    } = load;
    let begun = Instant::now();
    let mut sent_at = vec![begun; shape.connections * shape.depth];
    for connection in 0..shape.connections {
        for id in 0..shape.depth {
            sent_at[connection * shape.depth + id] = Instant::now();
            request(connection, id, swarm.connection(connection).outgoing());
        }
        swarm.connection(connection).flush()?;
    }

    let mut latency = figure::latencies()?;
    let mut busy = None;
    let mut in_flight = shape.connections * shape.depth;
    let mut answers = 0;
    let mut counting = None;
    let mut result = None;
    while in_flight > 0 {
        let now = Instant::now();
        if counting.is_none() && now - begun >= span.warm_up {
            busy = Some(Busy::start(pids)?);
            counting = Some(Instant::now());
        }
        if let (Some(since), None, Some(busy)) = (counting, &result, &busy) {
            // At least one answer, however slow the server is.
            if now - since >= span.counted && answers > 0 {
                result = Some((now - since, busy.used()?, answers));
            }
        }
        let stop = result.is_some();
        swarm.turn(Some(Duration::from_millis(20)), |connection, event, out| {
            let message = match event {
                Event::Message(message) if connection < shape.connections => message,
                Event::Message(message) => bail!("an idle client got {}", reply::excerpt(message)),
                Event::Skipped => return Ok(()),
                Event::Closed => bail!("the server closed connection {connection}"),
            };
            reply::check(message, expect)?;
            let id = reply::id(message)?;
            let Some(slot) = sent_at[connection * shape.depth..]
                .get_mut(id)
                .filter(|_| id < shape.depth)
            else {
                bail!("an answer to no request: {}", reply::excerpt(message));
            };
            let now = Instant::now();
            if stop {
                in_flight -= 1;
                return Ok(());
            }
            if counting.is_some() {
                answers += 1;
                latency.saturating_record((now - *slot).as_nanos() as u64);
            }
            *slot = now;
            request(connection, id, out);
            Ok(())
        })?;
    }
    let Some((elapsed, used, answers)) = result else {
        bail!("nothing was counted")
    };
    let done = (answers * units) as f64;
    Ok(Measurement::new(done / elapsed.as_secs_f64())
        .latency(&latency)
        .server_time(used.server.as_secs_f64() / done)
        .generator(used.generator))
}
