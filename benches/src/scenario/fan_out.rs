//! One writer, many monitors of everything: commits that all of them have seen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;

use super::{MONITOR_EVERYTHING, Run, Updates, is_notification};
use crate::connection::Event;
use crate::dataset::FIRST_SEQ;
use crate::figure::{self, Measurement};
use crate::process_stat::Busy;
use crate::reply::{self, Expect};
use crate::swarm::Swarm;

/// Rows that each monitor holds.
const ROWS: usize = 100;

/// With one commit on its way to the monitors, and with sixteen.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let monitors = run.sizes.monitors;
    let (server, mut swarm) = run.start(ROWS)?;
    let writer = swarm.add()?;
    for _ in 0..monitors {
        let monitor = swarm.add()?;
        swarm.call(monitor, MONITOR_EVERYTHING, Expect::Rows(ROWS))?;
    }
    let mut race = Race {
        writer,
        updates: Updates::of_row(0, false),
        seen: vec![FIRST_SEQ; monitors + 1],
        on_the_way: Vec::new(),
        written: FIRST_SEQ,
        delivered: FIRST_SEQ,
        unanswered: 0,
        latency: figure::latencies()?,
    };
    for depth in [1, 16] {
        let begun = Instant::now();
        while begun.elapsed() < run.span.warm_up {
            race.step(&mut swarm, depth)?;
        }
        race.latency.reset();
        let (busy, since, before) = (
            Busy::start(&[server.pid()])?,
            Instant::now(),
            race.delivered,
        );
        while since.elapsed() < run.span.counted || race.delivered == before {
            race.step(&mut swarm, depth)?;
        }
        let (used, elapsed) = (busy.used()?, since.elapsed());
        let commits = (race.delivered - before) as f64;
        while race.delivered < race.written || race.unanswered > 0 {
            race.step(&mut swarm, 0)?;
        }
        let measured = Measurement::new(commits / elapsed.as_secs_f64())
            .latency(&race.latency)
            .server_time(used.server.as_secs_f64() / commits)
            .generator(used.generator);
        run.rate(
            format!("commits to {monitors} monitors, {depth} in flight"),
            "commits/s",
            measured,
        );
    }
    Ok(())
}

/// The writer's values and how far each monitor has followed them. A server may merge updates for a monitor that lags:
/// whoever has seen a value has been told of all before it.
struct Race {
    writer: usize,
    updates: Updates,
    /// The newest value each connection has seen.
    seen: Vec<u64>,
    /// For each value not yet seen by all, oldest first: when it was sent, and how many have not seen it.
    on_the_way: Vec<(Instant, usize)>,
    /// The newest value sent.
    written: u64,
    /// The newest value that all have seen.
    delivered: u64,
    unanswered: usize,
    latency: Histogram<u64>,
}

impl Race {
    /// Fills up to `depth` commits on their way, then takes in what arrives.
    fn step(&mut self, swarm: &mut Swarm, depth: usize) -> Result<()> {
        let connection = swarm.connection(self.writer);
        while self.on_the_way.len() < depth {
            self.written = self.updates.push(0, connection.outgoing());
            self.on_the_way.push((Instant::now(), self.seen.len() - 1));
            self.unanswered += 1;
        }
        connection.flush()?;
        swarm.turn(
            Some(Duration::from_millis(20)),
            |from, event, _| match event {
                Event::Message(message) if from == self.writer => {
                    self.unanswered -= 1;
                    reply::check(message, Expect::OneRowChanged)
                }
                Event::Message(message) => self.notified(from, message),
                Event::Skipped => Ok(()),
                Event::Closed => bail!("the server closed connection {from}"),
            },
        )?;
        let all = self
            .on_the_way
            .iter()
            .take_while(|(_, missing)| *missing == 0)
            .count();
        for (sent, _) in self.on_the_way.drain(..all) {
            self.latency
                .saturating_record(sent.elapsed().as_nanos() as u64);
        }
        self.delivered += all as u64;
        Ok(())
    }

    fn notified(&mut self, from: usize, message: &[u8]) -> Result<()> {
        let value = reply::number_after(message, b"\"seq\":").map(|value| value as u64);
        let value = value.filter(|_| is_notification(message));
        let value = value.filter(|value| (self.seen[from] + 1..=self.written).contains(value));
        let value =
            value.with_context(|| format!("monitor {from} got {}", reply::excerpt(message)))?;
        for step in self.seen[from] + 1..=value {
            // Values up to `delivered` are no longer on the way, and this monitor has not seen this one.
            let place = (step - self.delivered - 1) as usize;
            self.on_the_way[place].1 -= 1;
        }
        self.seen[from] = value;
        Ok(())
    }
}
