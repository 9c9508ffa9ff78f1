//! Small updates in a cluster of three, at the leader and at a follower.

use anyhow::Result;

use super::Run;
use super::update::SHAPES;
use crate::closed_loop::{self, Load};
use crate::cluster::{Cluster, DATABASE, switch_name};
use crate::dataset;
use crate::reply::Expect;
use crate::swarm::Swarm;

/// Answered when a majority has it on disk: in a cluster there is nothing less.
pub fn run(run: &mut Run<'_>) -> Result<()> {
    let rows = run.sizes.updates;
    let cluster = Cluster::start(run.programs, run.role, &run.folder, rows, run.unix)?;
    let mut next = dataset::FIRST_SEQ;
    for place in ["the leader", "a follower"] {
        for shape in SHAPES {
            // Asked each time: an election may have come between.
            let leader = cluster.leader()?;
            let member = match place {
                "the leader" => leader,
                _ => (leader + 1) % 3,
            };
            let mut swarm = Swarm::new(cluster.endpoint(member))?;
            swarm.add_many(shape.connections)?;
            let mut request = |connection: usize, id: usize, out: &mut Vec<u8>| {
                next += 1;
                let (uuid, value) = (dataset::uuid(connection), switch_name(next));
                let request = format!(
                    r#"{{"method":"transact","params":["{DATABASE}",{{"op":"update","table":"Datapath_Binding","where":[["_uuid","==",["uuid","{uuid}"]]],"row":{{"transit_switch":"{value}"}}}}],"id":{id}}}"#
                );
                out.extend_from_slice(request.as_bytes());
            };
            let load = Load {
                request: &mut request,
                expect: Expect::OneRowChanged,
                units: 1,
            };
            let pids = cluster.pids();
            let measured = closed_loop::run(&mut swarm, &pids, shape, run.span, load)?;
            run.rate(
                format!("cluster of 3, update at {place} {shape}"),
                "txn/s",
                measured,
            );
        }
    }
    Ok(())
}
