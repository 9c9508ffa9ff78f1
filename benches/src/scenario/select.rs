//! Selects of one whole row in a big table, by what is indexed and by what is not.

use std::io::Write;

use anyhow::Result;

use super::Run;
use crate::closed_loop::{self, Load, Shape};
use crate::dataset;
use crate::reply::Expect;

/// A way to name one row: what it is called here, and the JSON of the condition.
type Key = (&'static str, fn(usize) -> String);

const KEYS: [Key; 3] = [
    ("_uuid", |row| {
        format!(r#"["_uuid","==",["uuid","{}"]]"#, dataset::uuid(row))
    }),
    ("a unique index", |row| {
        format!(r#"["name","==","{}"]"#, dataset::name(row))
    }),
    ("another column", |row| {
        format!(r#"["mac","==","{}"]"#, dataset::mac(row))
    }),
];

/// Each kind of condition at two shapes.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let rows = run.sizes.selects;
    let (server, mut swarm) = run.start(rows)?;
    swarm.add_many(16)?;
    for (name, condition) in KEYS {
        for shape in [
            Shape {
                connections: 1,
                depth: 1,
            },
            Shape {
                connections: 16,
                depth: 1,
            },
        ] {
            let mut next = 0;
            let mut request = |_, id: usize, out: &mut Vec<u8>| {
                // A prime step that visits rows all over the table.
                next = (next + 7919) % rows;
                let condition = condition(next);
                // A `Vec` takes everything.
                let _ = write!(
                    out,
                    r#"{{"method":"transact","params":["Bench",{{"op":"select","table":"Port","where":[{condition}]}}],"id":{id}}}"#
                );
            };
            let load = Load {
                request: &mut request,
                expect: Expect::Rows(1),
                units: 1,
            };
            let measured = closed_loop::run(&mut swarm, &[server.pid()], shape, run.span, load)?;
            run.rate(
                format!("select by {name} in {rows} rows {shape}"),
                "txn/s",
                measured,
            );
        }
    }
    Ok(())
}
