//! Two availability zones with their real programs around a cluster, which is
//! hurt in the middle.

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::Result;
use ovn_ic_db_tests::cluster::{Cluster, Kind, Options, Wiring, run};
use ovn_ic_db_tests::world::interconnect::Side;
use ovn_ic_db_tests::world::{self, Fault, Interconnect};

/// The cluster, shared with the faults.
#[derive(Clone, Copy)]
struct Shared<'a>(&'a RefCell<&'a mut Cluster>);

impl Shared<'_> {
    /// Does something to every node, and gets them to work again.
    fn to_all(self, hurt: impl Fn(&mut Cluster, usize) -> Result<()>) -> Result<()> {
        let cluster = &mut *self.0.borrow_mut();
        for node in 0..cluster.size() {
            hurt(cluster, node)?;
        }
        for node in 0..cluster.size() {
            cluster.start(node)?;
        }
        whole(cluster)
    }

    /// Hurts the leader of the southbound; when another one leads, it is
    /// healed.
    fn to_leader(
        self,
        hurt: impl Fn(&mut Cluster, usize) -> Result<()>,
        heal: impl Fn(&mut Cluster, usize) -> Result<()>,
    ) -> Result<()> {
        let cluster = &mut *self.0.borrow_mut();
        let leader = cluster.wait_for_leader(Side::Southbound, |_| true)?;
        hurt(cluster, leader)?;
        for side in Side::BOTH {
            cluster.wait_for_leader(side, |new| new != leader)?;
        }
        heal(cluster, leader)?;
        whole(cluster)
    }
}

fn whole(cluster: &mut Cluster) -> Result<()> {
    cluster.wait_until_whole()?;
    cluster.wait_until_even()
}

impl Interconnect for Shared<'_> {
    fn remotes(&self, side: Side) -> String {
        self.0.borrow().remotes(side)
    }

    fn socket(&self, side: Side) -> PathBuf {
        self.0.borrow().node(0).socket(side)
    }

    fn restart(&mut self) -> Result<()> {
        self.to_all(|cluster, node| cluster.node_mut(node).stop())
    }

    fn crash(&mut self) -> Result<()> {
        self.to_all(|cluster, node| cluster.node_mut(node).kill9())
    }
}

#[test]
fn two_zones_converge_again_after_faults_of_a_cluster() -> Result<()> {
    let options = Options::three(Kind::under_test()?, Wiring::Loopback);
    run(&options, |cluster| {
        let cell = RefCell::new(cluster);
        let shared = Shared(&cell);
        let mut faults = [
            Fault {
                name: "kill -9 of the leader",
                inflict: Box::new(|_| {
                    shared.to_leader(
                        |cluster, node| cluster.node_mut(node).kill9(),
                        Cluster::start,
                    )
                }),
            },
            Fault {
                name: "graceful stop of the leader",
                inflict: Box::new(|_| {
                    shared.to_leader(
                        |cluster, node| cluster.node_mut(node).stop(),
                        Cluster::start,
                    )
                }),
            },
            Fault {
                name: "frozen leader",
                inflict: Box::new(|_| {
                    shared.to_leader(
                        |cluster, node| cluster.node_mut(node).freeze(),
                        |cluster, node| cluster.node_mut(node).thaw(),
                    )
                }),
            },
            Fault {
                name: "kill -9 of all",
                inflict: Box::new(|server| server.crash()),
            },
        ];
        let mut interconnect = shared;
        let report = world::run(&mut interconnect, &mut faults)?;
        for (name, time) in &report.times {
            println!("{name:<62} {:>9.1} ms", time.as_secs_f64() * 1e3);
        }
        println!("median {:?}", report.median());
        Ok(())
    })
}
