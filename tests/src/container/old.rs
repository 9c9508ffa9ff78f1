//! The deployment that is replaced: Debian's `ovn-ctl` and `ovsdb-server` in containers, on the
//! same folders.

use anyhow::Result;

use super::docker::Container;
use super::node::Place;
use super::sandbox::Sandbox;
use crate::world::interconnect::{Side, debian_schema};

/// Starts both servers, and stops them as its container is stopped. `$@` are ovn-ctl's options.
const SCRIPT: &str = "
ctl=/usr/share/ovn/scripts/ovn-ctl
trap '$ctl stop_ic_ovsdb; exit 0' TERM
$ctl --db-ic-nb-create-insecure-remote=yes --db-ic-sb-create-insecure-remote=yes \"$@\" start_ic_ovsdb
sleep infinity &
wait
";

/// A node of the old deployment. `cluster` are its number and all nodes' addresses.
///
/// # Errors
/// If it does not start.
pub fn start(
    sandbox: &Sandbox,
    name: &str,
    place: &Place,
    cluster: Option<(usize, &[String])>,
) -> Result<Container> {
    let volumes = place.volumes();
    // The image has no need of the schemas.
    let schemas = Side::BOTH.map(|side| debian_schema(side.schema()));
    let schemas = schemas.into_iter().map(|schema| {
        let schema = schema?;
        Ok(format!("{0}:{0}:ro", schema.display()))
    });
    let schemas: Vec<String> = schemas.collect::<Result<_>>()?;
    let mut options: Vec<&str> = volumes.iter().map(String::as_str).collect();
    // Debian's package has another folder for databases than the deployment's image.
    options.extend(["--env", "OVN_DBDIR=/etc/ovn"]);
    options.extend(schemas.iter().flat_map(|mount| ["-v", mount]));
    let mut arguments = Vec::new();
    let variables = cluster.map_or_else(Vec::new, |(number, all)| variables(number, all));
    options.extend(variables.iter().flat_map(|one| ["--env", one]));
    match cluster {
        None => options.extend(["--network", "none"]),
        Some((number, addresses)) => {
            options.extend(["--network", sandbox.network()?, "--ip", &addresses[number]]);
            let all = |port: u16| {
                let all = addresses
                    .iter()
                    .map(|address| format!("tcp:[{address}]:{port}"));
                all.collect::<Vec<_>>().join(",")
            };
            arguments.push(format!("--ovn-ic-nb-db={}", all(6647)));
            arguments.push(format!("--ovn-ic-sb-db={}", all(6648)));
            for side in ["nb", "sb"] {
                let local = &addresses[number];
                arguments.push(format!("--db-ic-{side}-addr=[::]"));
                arguments.push(format!("--db-ic-{side}-cluster-local-addr={local}"));
                if number > 0 {
                    let first = &addresses[0];
                    arguments.push(format!("--db-ic-{side}-cluster-remote-addr={first}"));
                }
            }
        }
    }
    let image = &sandbox.images.debian;
    let mut command = vec![image.as_str(), "bash", "-c", SCRIPT, "old"];
    command.extend(arguments.iter().map(String::as_str));
    sandbox.run(name, &options, &command)
}

/// What the deployment's own script made its options of; the guide gives it to the container.
#[must_use]
pub fn variables(number: usize, addresses: &[String]) -> Vec<String> {
    let mut variables = vec![
        format!("LOCAL_IP={}", addresses[number]),
        format!("NODE_IPS={}", addresses.join(",")),
    ];
    if number > 0 {
        variables.push(format!("LEADER_IP={}", addresses[0]));
    }
    variables
}

/// Waits until a node of it serves both databases.
///
/// # Errors
/// If it does not in time.
pub fn wait_until_served(container: &Container) -> Result<()> {
    for side in ["nb", "sb"] {
        let program = format!("ovn-ic-{side}ctl");
        container.wait_for(&[&program, "--no-leader-only", "--timeout=2", "show"])?;
    }
    Ok(())
}
