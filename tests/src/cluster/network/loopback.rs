//! Addresses of 127.0.0.0/8, a few for each cluster.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

use super::Ports;

/// Neighbouring loopback addresses with five ports that are free on all.
#[derive(Debug)]
pub struct Loopback {
    first: Ipv4Addr,
    ports: Ports,
}

/// Ports from here on, below those that the system gives to outgoing
/// connections.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

impl Loopback {
    /// Finds addresses for `nodes` nodes.
    ///
    /// # Errors
    /// If none are free, however often it is tried.
    pub fn find(nodes: usize) -> Result<Self> {
        let mut random = fastrand::Rng::new();
        for _ in 0..100 {
            let port = random.u16(PORTS);
            let candidate = Self {
                first: Ipv4Addr::new(127, random.u8(1..255), random.u8(..), 1),
                ports: Ports {
                    northbound: port,
                    southbound: port + 1,
                    northbound_raft: port + 2,
                    southbound_raft: port + 3,
                    http: port + 4,
                },
            };
            if (0..nodes).all(|node| candidate.is_free(node)) {
                return Ok(candidate);
            }
        }
        bail!("no free loopback addresses")
    }

    fn is_free(&self, node: usize) -> bool {
        let Ports {
            northbound, http, ..
        } = self.ports;
        (northbound..=http).all(|port| TcpListener::bind((self.address(node), port)).is_ok())
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        let [a, b, c, d] = self.first.octets();
        Ipv4Addr::new(a, b, c, d + node as u8)
    }

    /// The ports of all nodes.
    pub fn ports(&self) -> Ports {
        self.ports
    }
}
