//! Inserts into an empty table, one row or a thousand in a transaction.

use anyhow::Result;

use super::Run;
use crate::closed_loop::{self, Load, Shape};
use crate::dataset;
use crate::reply::Expect;

/// Single ones at two shapes, then bulk ones, each on a server of its own so that all begin empty.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    for (shape, rows, name) in [
        (
            Shape {
                connections: 1,
                depth: 1,
            },
            1,
            "insert",
        ),
        (
            Shape {
                connections: 16,
                depth: 16,
            },
            1,
            "insert",
        ),
        (
            Shape {
                connections: 1,
                depth: 1,
            },
            dataset::BULK,
            "insert, 1000 rows a transaction,",
        ),
    ] {
        let (server, mut swarm) = run.start(0)?;
        swarm.add_many(shape.connections)?;
        let mut next = 0;
        let mut printed = itoa::Buffer::new();
        let mut request = |_, id: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(br#"{"method":"transact","params":["Bench""#);
            for _ in 0..rows {
                out.extend_from_slice(br#",{"op":"insert","table":"Port","row":"#);
                dataset::push_row(next, out);
                out.push(b'}');
                next += 1;
            }
            out.extend_from_slice(br#"],"id":"#);
            out.extend_from_slice(printed.format(id).as_bytes());
            out.push(b'}');
        };
        let load = Load {
            request: &mut request,
            expect: Expect::Inserted(rows),
            units: rows as u64,
        };
        let measured = closed_loop::run(&mut swarm, &[server.pid()], shape, run.span, load)?;
        run.rate(format!("{name} {shape}"), "rows/s", measured);
    }
    Ok(())
}
