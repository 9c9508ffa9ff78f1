//! Resident memory: what a row costs, and what a client that only watches costs.

use anyhow::Result;

use super::{MONITOR_EVERYTHING, Run};
use crate::dataset;
use crate::figure::Measurement;
use crate::process_stat::settled_resident;
use crate::reply::Expect;

/// Rows that each idle monitor has been sent.
const WATCHED: usize = 100;

/// A row loaded from the file, a row inserted by a client, and a session with a monitor.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let rows = run.sizes.memory;
    let (server, mut swarm) = run.start(0)?;
    let empty = settled_resident(server.pid())?;
    let writer = swarm.add()?;
    for first in (0..rows).step_by(dataset::BULK) {
        let mut request = br#"{"method":"transact","params":["Bench""#.to_vec();
        for number in first..rows.min(first + dataset::BULK) {
            request.extend_from_slice(br#",{"op":"insert","table":"Port","row":"#);
            dataset::push_row(number, &mut request);
            request.push(b'}');
        }
        request.extend_from_slice(br#"],"id":1}"#);
        swarm.call(
            writer,
            &request,
            Expect::Inserted(rows.min(first + dataset::BULK) - first),
        )?;
    }
    let inserted = settled_resident(server.pid())?;
    drop((swarm, server));

    let (server, _) = run.start(rows)?;
    let loaded = settled_resident(server.pid())?;
    drop(server);

    let (server, mut swarm) = run.start(WATCHED)?;
    let alone = settled_resident(server.pid())?;
    for _ in 0..run.sizes.idle {
        let session = swarm.add()?;
        swarm.call(session, MONITOR_EVERYTHING, Expect::Rows(WATCHED))?;
    }
    let watched = settled_resident(server.pid())?;

    let each = |after: u64, before: u64, count: usize| {
        Measurement::new(after.saturating_sub(before) as f64 / count as f64)
    };
    run.cost(
        format!("memory a row, started from a file of {rows}"),
        "bytes",
        each(loaded, empty, rows),
    );
    run.cost(
        format!("memory a row, after {rows} inserts"),
        "bytes",
        each(inserted, empty, rows),
    );
    let sessions = run.sizes.idle;
    run.cost(
        format!("memory an idle monitor, of {sessions}"),
        "bytes",
        each(watched, alone, sessions),
    );
    Ok(())
}
