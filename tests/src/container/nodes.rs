//! Three nodes with addresses of their own, by the variables of either generation of the guide.

use anyhow::Result;

use super::docker::{Container, PATIENCE, privileged};
use super::node::Place;
use super::sandbox::Sandbox;
use crate::process::wait_for;
use crate::world::interconnect::Side;

/// A node's variables, for its number and all addresses.
pub type Variables = fn(usize, &[String]) -> Vec<String>;

/// Three nodes, as the guide starts them.
#[derive(Debug)]
pub struct Nodes {
    /// Where they live.
    pub sandbox: Sandbox,
    /// Their addresses.
    pub addresses: Vec<String>,
    /// Their folders.
    pub places: Vec<Place>,
    /// Their containers.
    pub containers: Vec<Container>,
    variables: Variables,
}

impl Nodes {
    /// Starts them, and waits until all are members.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn new(variables: Variables) -> Result<Nodes> {
        let mut sandbox = Sandbox::new()?;
        let addresses = (0..3).map(|number| sandbox.address(number));
        let addresses: Vec<String> = addresses.collect::<Result<_>>()?;
        let places = (0..3).map(|number| sandbox.place(number));
        let places = places.collect::<Result<_>>()?;
        let mut nodes = Nodes {
            sandbox,
            addresses,
            places,
            containers: Vec::new(),
            variables,
        };
        for number in 0..3 {
            let image = nodes.sandbox.images.ours.clone();
            let container = nodes.start(number, &image, "first")?;
            nodes.containers.push(container);
        }
        nodes.wait_until_whole()?;
        Ok(nodes)
    }

    /// Starts a node's container on its folders.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, number: usize, image: &str, round: &str) -> Result<Container> {
        let volumes = self.places[number].volumes();
        let mut options = vec!["--network", self.sandbox.network()?];
        options.extend(["--ip", &self.addresses[number]]);
        options.extend(privileged()?);
        options.extend(volumes.iter().map(String::as_str));
        let variables = (self.variables)(number, &self.addresses);
        for variable in &variables {
            options.extend(["--env", variable]);
        }
        let name = format!("{round}-{number}");
        let command = [image, "bash", "start-ic-db.sh"];
        self.sandbox.run(&name, &options, &command)
    }

    /// Waits until all are healthy and know each other.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_until_whole(&self) -> Result<()> {
        for container in &self.containers {
            container.wait_for(&["ovn-ic-db", "health"])?;
            container.wait_for(&["bash", "/kube-ovn/ovn-ic-healthcheck.sh"])?;
        }
        for side in Side::BOTH {
            wait_for("three members everywhere", PATIENCE, || {
                let whole = self.places.iter().all(|place| {
                    let status = place.status(side);
                    status.is_ok_and(|status| status.servers.len() == 3)
                });
                Ok(whole.then_some(()))
            })?;
        }
        Ok(())
    }

    /// What clients take for `--db`: a comma list.
    #[must_use]
    pub fn remotes(&self, side: Side) -> String {
        let port = match side {
            Side::Northbound => 6645,
            Side::Southbound => 6646,
        };
        let all = self.addresses.iter();
        let all: Vec<String> = all
            .map(|address| format!("tcp:[{address}]:{port}"))
            .collect();
        all.join(",")
    }

    /// Waits until one of these nodes leads, and says which.
    ///
    /// # Errors
    /// If none does in time.
    pub fn wait_for_leader(&self, side: Side, among: &[usize]) -> Result<usize> {
        wait_for("a leader", PATIENCE, || {
            let mut leading = among.iter().copied().filter(|number| {
                let status = self.places[*number].status(side);
                status.is_ok_and(|status| status.role == "leader")
            });
            Ok(leading.next())
        })
    }
}
