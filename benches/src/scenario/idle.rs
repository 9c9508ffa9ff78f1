//! A crowd of clients that wait for something else, beside updates that do not concern them.

use anyhow::Result;

use super::{Run, Updates};
use crate::closed_loop::{self, Load, Shape};
use crate::reply::Expect;

const SHAPE: Shape = Shape {
    connections: 16,
    depth: 4,
};

/// The crowd waits with monitors of another table, then with blocked `wait` operations.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    for (name, waits) in [("monitors", false), ("blocked waits", true)] {
        let (server, mut swarm) = run.start(run.sizes.updates)?;
        swarm.add_many(SHAPE.connections)?;
        for number in 0..run.sizes.idle {
            let idle = swarm.add()?;
            if waits {
                swarm.send(idle, wait_for(number).as_bytes())?;
                // Answered in turn: the `wait` before it has been looked at by then.
                swarm.call(
                    idle,
                    br#"{"method":"echo","params":[],"id":2}"#,
                    Expect::Anything,
                )?;
            } else {
                swarm.call(idle, monitor_of(number).as_bytes(), Expect::Anything)?;
            }
        }
        let mut rows: Vec<Updates> = (0..SHAPE.connections)
            .map(|row| Updates::of_row(row, false))
            .collect();
        let mut request = |connection: usize, id, out: &mut Vec<u8>| {
            rows[connection].push(id, out);
        };
        let load = Load {
            request: &mut request,
            expect: Expect::OneRowChanged,
            units: 1,
        };
        let measured = closed_loop::run(&mut swarm, &[server.pid()], SHAPE, run.span, load)?;
        run.rate(
            format!("update {SHAPE} beside {} idle {name}", run.sizes.idle),
            "txn/s",
            measured,
        );
    }
    Ok(())
}

fn monitor_of(number: usize) -> String {
    format!(
        r#"{{"method":"monitor_cond_since","params":["Bench","mine",{{"Notice":[{{"where":[["topic","==","topic-{number}"]]}}]}},"00000000-0000-0000-0000-000000000000"],"id":1}}"#
    )
}

fn wait_for(number: usize) -> String {
    format!(
        r#"{{"method":"transact","params":["Bench",{{"op":"wait","table":"Notice","where":[["topic","==","topic-{number}"]],"columns":["text"],"until":"==","rows":[{{"text":"go"}}]}}],"id":1}}"#
    )
}
