//! Shows that a server that fails would be noticed: a bench that cannot fail measures nothing.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Run, Updates};
use crate::closed_loop::{self, Load, Shape, Span};
use crate::reply::Expect;
use crate::swarm::Swarm;

/// Appends a request with an id.
type PushRequest = dyn Fn(usize, &mut Vec<u8>);

const ROWS: usize = 10;
const BRIEFLY: Span = Span {
    warm_up: Duration::ZERO,
    counted: Duration::from_millis(1),
};

/// A load whose rows exist passes; one whose row does not exist, and one whose table does not, must be refused.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let (server, _) = run.start(ROWS)?;
    let one = Shape {
        connections: 1,
        depth: 1,
    };
    let good = |id, out: &mut Vec<u8>| {
        Updates::of_row(0, false).push(id, out);
    };
    let no_row = |id, out: &mut Vec<u8>| {
        Updates::of_row(ROWS, false).push(id, out);
    };
    let no_table = |id: usize, out: &mut Vec<u8>| {
        let request = format!(
            r#"{{"method":"transact","params":["Bench",{{"op":"delete","table":"None","where":[]}}],"id":{id}}}"#
        );
        out.extend_from_slice(request.as_bytes());
    };
    let loads: [(bool, &PushRequest); 3] = [(true, &good), (false, &no_row), (false, &no_table)];
    for (passes, push) in loads {
        // A refused load leaves its connection with an answer that nobody took: the next one begins anew.
        let mut swarm = Swarm::new(server.endpoint())?;
        swarm.add()?;
        let mut request = |_, id, out: &mut Vec<u8>| push(id, out);
        let load = Load {
            request: &mut request,
            expect: Expect::OneRowChanged,
            units: 1,
        };
        match (
            passes,
            closed_loop::run(&mut swarm, &[server.pid()], one, BRIEFLY, load),
        ) {
            (true, Err(error)) => return Err(error),
            (false, Ok(_)) => bail!("the load generator took a failure for a success"),
            _ => {}
        }
    }
    Ok(())
}
