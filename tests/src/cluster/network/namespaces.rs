//! One network namespace for each node, and one between them that routes.
//!
//! Node `i` has the address 10.77.(i + 1).1 on a link of its own to the
//! router, 10.77.(i + 1).254. A direction between two nodes is cut by a rule
//! of the router that drops its packets silently, as a broken link does, so no
//! firewall is needed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, ensure};

use super::USUAL;
use super::holder::Holder;
use super::slow::{Order, Pace, SlowLinks};

/// The namespaces of one cluster.
#[derive(Debug)]
pub struct Namespaces {
    router: Holder,
    nodes: Vec<Holder>,
    cut: Mutex<BTreeSet<(usize, usize)>>,
    slow: OnceLock<SlowLinks>,
}

impl Namespaces {
    /// Makes the namespaces and the links.
    ///
    /// # Errors
    /// If the machine does not permit namespaces or lacks a program.
    pub fn make(nodes: usize) -> Result<Self> {
        let router = Holder::outermost()?;
        router.run(&["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], "")?;
        router.ip("link set lo up\n")?;
        let mut made = Self {
            router,
            nodes: Vec::new(),
            cut: Mutex::default(),
            slow: OnceLock::new(),
        };
        for number in 0..nodes {
            made.add(number)?;
        }
        Ok(made)
    }

    fn add(&mut self, number: usize) -> Result<()> {
        let node = self.router.inner()?;
        let (link, pid) = (format!("node{number}"), node.pid());
        let (own, gateway) = (Self::address(number), gateway(number));
        self.router.ip(&format!(
            "link add {link} type veth peer name eth0 netns {pid}\n\
             addr add {gateway}/24 dev {link}\n\
             link set {link} up\n"
        ))?;
        node.ip(&format!(
            "link set lo up\n\
             addr add {own}/24 dev eth0\n\
             link set eth0 up\n\
             route add default via {gateway}\n"
        ))?;
        self.nodes.push(node);
        Ok(())
    }

    /// The address of a node.
    #[must_use]
    pub fn address(node: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, node as u8 + 1, 1)
    }

    /// What a command line begins with to run at a node.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn at_node(&self, node: usize) -> Vec<OsString> {
        self.nodes[node].enter()
    }

    /// What a command line begins with to run at the router.
    #[must_use]
    pub fn at_router(&self) -> Vec<OsString> {
        self.router.enter()
    }

    /// Drops all packets from one node to another from now on.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn cut(&self, from: usize, to: usize) -> Result<()> {
        if self.lock().insert((from, to)) {
            self.router.ip(&rule("add", from, to))?;
        }
        Ok(())
    }

    /// Lets the packets from one node to another through again.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn mend(&self, from: usize, to: usize) -> Result<()> {
        if self.lock().remove(&(from, to)) {
            self.router.ip(&rule("del", from, to))?;
        }
        Ok(())
    }

    /// Cuts a node from all others, both ways.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn isolate(&self, node: usize) -> Result<()> {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.cut(node, other)?;
            self.cut(other, node)?;
        }
        Ok(())
    }

    /// Mends everything that is cut.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn mend_all(&self) -> Result<()> {
        let cut = std::mem::take(&mut *self.lock());
        let lines: String = cut
            .iter()
            .map(|(from, to)| rule("del", *from, *to))
            .collect();
        self.router.ip(&lines)
    }

    /// From now on, what nodes dial at the peers' ports of each other goes
    /// through a relay that can be slow. Connections that exist end.
    ///
    /// # Errors
    /// If the relay does not start, or the system refuses.
    pub fn put_relay_between(&self) -> Result<()> {
        let ports = [USUAL.northbound_raft, USUAL.southbound_raft];
        let relay = SlowLinks::start(self.at_router(), &ports)?;
        ensure!(self.slow.set(relay).is_ok(), "there is a relay already");
        let mut lines = "route add local default dev lo table 100\n".to_owned();
        for (from, to) in self.pairs() {
            let (source, target) = (Self::address(from), Self::address(to));
            lines +=
                &format!("rule add from {source} to {target} iif node{from} prio 20 lookup 100\n");
        }
        self.router.ip(&lines)
    }

    /// Makes every direction of every link as slow as `pace` says. There must
    /// be a relay ([`Namespaces::put_relay_between`]).
    ///
    /// # Errors
    /// If there is none.
    pub fn slow_down(&self, pace: Pace) -> Result<()> {
        let relay = self.slow.get().context("there is no relay")?;
        self.pairs().into_iter().try_for_each(|(from, to)| {
            relay.tell(&Order {
                from: Self::address(from),
                to: Self::address(to),
                pace,
            })
        })
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = 0..self.nodes.len();
        all.clone()
            .flat_map(|from| all.clone().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(usize, usize)>> {
        self.cut
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn gateway(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, node as u8 + 1, 254)
}

fn rule(verb: &str, from: usize, to: usize) -> String {
    let (from, to) = (Namespaces::address(from), Namespaces::address(to));
    format!("rule {verb} from {from} to {to} prio 10 blackhole\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::holder;
    use super::*;
    use crate::process::wait_for;

    /// Packets to ports where nobody listens are counted by the receiver.
    #[test]
    fn directions_are_cut_and_mended_each_for_itself() -> Result<()> {
        let network = Namespaces::make(2)?;
        let send = |from: usize, to: usize| {
            let to = Namespaces::address(to);
            let script = format!("echo >/dev/udp/{to}/9");
            network.nodes[from].run(&["bash", "-c", &script], "")
        };
        let arrived = |node: usize| -> Result<u64> {
            let mut line = network.at_node(node);
            line.extend(["cat", "/proc/net/snmp"].map(OsString::from));
            let output = holder::command(&line)?.output()?;
            let text = String::from_utf8(output.stdout)?;
            let figures = text.lines().filter(|line| line.starts_with("Udp: ")).nth(1);
            let figure = figures.and_then(|line| line.split(' ').nth(2));
            Ok(figure.context("no figure of UDP")?.parse()?)
        };
        let wait = |node: usize, count: u64| {
            wait_for("a packet", Duration::from_secs(5), || {
                Ok((arrived(node)? >= count).then_some(()))
            })
        };
        send(0, 1)?;
        wait(1, 1)?;
        network.cut(0, 1)?;
        send(0, 1)?;
        send(1, 0)?;
        wait(0, 1)?;
        network.mend_all()?;
        network.isolate(1)?;
        send(1, 0)?;
        network.mend(1, 0)?;
        network.mend(0, 1)?;
        send(1, 0)?;
        wait(0, 2)?;
        send(0, 1)?;
        wait(1, 2)?;
        ensure!((arrived(0)?, arrived(1)?) == (2, 2), "a cut lets through");
        Ok(())
    }
}
