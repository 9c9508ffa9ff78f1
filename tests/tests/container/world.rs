//! Two availability zones with their real programs around three containers, of which one is away.

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::Result;
use ovn_ic_db_tests::container::Nodes;
use ovn_ic_db_tests::world::interconnect::Side;
use ovn_ic_db_tests::world::{self, Fault, Interconnect};

/// The node that is looked into, and never hurt.
const OBSERVER: usize = 2;

/// How a node is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    /// Its container was killed.
    Killed(usize),
    /// It has no network.
    CutOff(usize),
}

/// Three containers, shared with the faults.
struct Hurt {
    nodes: Nodes,
    away: Option<Away>,
}

impl Hurt {
    /// Everybody is there again.
    fn heal(&mut self) -> Result<()> {
        match self.away.take() {
            None => return Ok(()),
            Some(Away::Killed(node)) => self.nodes.containers[node].start()?,
            Some(Away::CutOff(node)) => {
                let container = &self.nodes.containers[node];
                let address = &self.nodes.addresses[node];
                self.nodes.sandbox.bring_back(container, address)?;
            }
        }
        self.nodes.wait_until_whole()
    }

    /// The leader of the southbound is away; returns when the two others have leaders.
    fn hurt_leader(&mut self, how: fn(usize) -> Away) -> Result<()> {
        self.heal()?;
        let leader = loop {
            let leader = self.nodes.wait_for_leader(Side::Southbound, &[0, 1, 2])?;
            if leader != OBSERVER {
                break leader;
            }
            // One that stops hands over.
            self.nodes.containers[OBSERVER].stop()?;
            self.nodes.containers[OBSERVER].start()?;
            self.nodes.wait_until_whole()?;
        };
        let away = how(leader);
        match away {
            Away::Killed(node) => self.nodes.containers[node].kill()?,
            Away::CutOff(node) => {
                let container = &self.nodes.containers[node];
                self.nodes.sandbox.cut_off(container)?;
            }
        }
        self.away = Some(away);
        let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
        for side in Side::BOTH {
            self.nodes.wait_for_leader(side, &others)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Shared<'a>(&'a RefCell<Hurt>);

impl Interconnect for Shared<'_> {
    fn remotes(&self, side: Side) -> String {
        self.0.borrow().nodes.remotes(side)
    }

    fn socket(&self, side: Side) -> PathBuf {
        self.0.borrow().nodes.places[OBSERVER].socket(side)
    }

    fn restart(&mut self) -> Result<()> {
        let nodes = &self.0.borrow().nodes;
        for container in &nodes.containers {
            container.stop()?;
        }
        for container in &nodes.containers {
            container.start()?;
        }
        nodes.wait_until_whole()
    }

    fn crash(&mut self) -> Result<()> {
        let nodes = &self.0.borrow().nodes;
        for container in &nodes.containers {
            container.kill()?;
        }
        for container in &nodes.containers {
            container.start()?;
        }
        nodes.wait_until_whole()
    }
}

/// The zones make the switches that they need.
fn variables(number: usize, addresses: &[String]) -> Vec<String> {
    vec![
        format!("LOCAL_IP={}", addresses[number]),
        format!("NODE_IPS={}", addresses.join(",")),
        "TS_NAME=".to_owned(),
    ]
}

#[test]
fn two_zones_converge_while_a_container_is_away() -> Result<()> {
    let hurt = RefCell::new(Hurt {
        nodes: Nodes::new(variables)?,
        away: None,
    });
    let mut shared = Shared(&hurt);
    let mut faults = [
        Fault {
            name: "the leader's container is killed",
            inflict: Box::new(|_| hurt.borrow_mut().hurt_leader(Away::Killed)),
        },
        Fault {
            name: "the leader is cut off from the network",
            inflict: Box::new(|_| hurt.borrow_mut().hurt_leader(Away::CutOff)),
        },
    ];
    let report = world::run(&mut shared, &mut faults)?;
    println!(
        "{} checks, median {:?}",
        report.times.len(),
        report.median()
    );
    hurt.borrow_mut().heal()
}
