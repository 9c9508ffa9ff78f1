//! IPv6 addresses of one network namespace, a few on its loopback device.

use std::ffi::OsString;
use std::net::Ipv6Addr;

use anyhow::Result;

use super::holder::Holder;

/// The namespace with all addresses.
#[derive(Debug)]
pub struct Ipv6(Holder);

impl Ipv6 {
    /// Makes the namespace and addresses for `nodes` nodes.
    ///
    /// # Errors
    /// If the machine does not permit namespaces, or has no IPv6.
    pub fn make(nodes: usize) -> Result<Self> {
        let namespace = Holder::outermost()?;
        let addresses = (0..nodes).map(|node| {
            let address = Self::address(node);
            format!("addr add {address}/128 dev lo nodad\n")
        });
        let lines: String = addresses.collect();
        namespace.ip(&format!("link set lo up\n{lines}"))?;
        Ok(Self(namespace))
    }

    /// The address of a node.
    #[must_use]
    pub fn address(node: usize) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, node as u16 + 1)
    }

    /// What a command line begins with to run where the addresses are.
    #[must_use]
    pub fn enter(&self) -> Vec<OsString> {
        self.0.enter()
    }
}
