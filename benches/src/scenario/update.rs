//! Small updates: each connection changes one column of a row of its own.

use anyhow::Result;

use super::{Run, Updates};
use crate::closed_loop::{self, Load, Shape};
use crate::contender::Role;
use crate::reply::Expect;

pub(super) const SHAPES: [Shape; 3] = [
    Shape {
        connections: 1,
        depth: 1,
    },
    Shape {
        connections: 16,
        depth: 1,
    },
    Shape {
        connections: 16,
        depth: 16,
    },
];

/// Answered when executed.
pub fn plain(run: &mut Run<'_>) -> Result<()> {
    updates(run, false, "update")
}

/// Answered when on disk: because each transaction asks for it, or because the server always does.
pub fn durable(run: &mut Run<'_>) -> Result<()> {
    let asks = run.role != Role::OursAlways;
    updates(run, asks, "durable update")
}

fn updates(run: &mut Run<'_>, asks: bool, name: &str) -> Result<()> {
    let (server, mut swarm) = run.start(run.sizes.updates)?;
    swarm.add_many(16)?;
    let mut rows: Vec<Updates> = (0..16).map(|row| Updates::of_row(row, asks)).collect();
    for shape in SHAPES {
        let mut request = |connection: usize, id, out: &mut Vec<u8>| {
            rows[connection].push(id, out);
        };
        let load = Load {
            request: &mut request,
            expect: Expect::OneRowChanged,
            units: 1,
        };
        let measured = closed_loop::run(&mut swarm, &[server.pid()], shape, run.span, load)?;
        run.rate(format!("{name} {shape}"), "txn/s", measured);
    }
    Ok(())
}
